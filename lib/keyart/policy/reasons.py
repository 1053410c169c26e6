"""What decided, in words: the named feature that contributed most, and whose taste or which record spoke for it."""

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit

from keyart.learning.members import standardised
from keyart.policy.assignment import Overrides

__all__ = ["level_reasons", "member_reasons"]


def member_reasons(
    arrays: Mapping[str, np.ndarray],
    members: np.ndarray,
    found: Overrides,
    feature_names: Sequence[str],
    member_names: Sequence[str],
) -> tuple[list[str], np.ndarray]:
    """Different sentences, and which of them (o,) each override has: the feature that won it, and the side of the
    member that asked for it.

    ``members`` (n, K) are raw member vectors. The score's gain is a sum over features f and member traits k of
    standardised trait x weight on the named feature x difference of the feature; the largest feature is named, then the
    trait that contributed most to it.
    """
    standard = standardised(arrays, members).astype(np.float32)
    named = (np.asarray(arrays["loadings"]) @ np.asarray(arrays["weights"]).T).astype(np.float32)  # (F, K)
    values = np.asarray(arrays["feature_values"], np.float32)
    codes = _codes(standard, standard @ named.T, named, values, found.member, found.artwork, found.default)
    used = np.zeros(len(feature_names) * 4 * len(member_names), dtype=bool)
    used[codes] = True
    feature, up, trait, more = np.unravel_index(np.flatnonzero(used), (len(feature_names), 2, len(member_names), 2))
    texts = [
        f"{_feature(feature_names[f], bool(u))}; {_trait(member_names[k], bool(m))}"
        for f, u, k, m in zip(feature, up, trait, more, strict=True)
    ]
    return texts, (np.cumsum(used) - 1)[codes]


@njit(cache=True, nogil=True, error_model="numpy")
def _codes(standard, liking, named, values, member, artwork, default):
    """One number an override for its feature, whether more of it, the trait and whether there is more of that."""
    codes = np.empty(len(member), dtype=np.int64)
    features, traits = named.shape
    for o in range(len(member)):
        m, new, old = member[o], values[artwork[o]], values[default[o]]
        feature, most = 0, -np.inf
        for f in range(features):
            pull = liking[m, f] * (new[f] - old[f])
            if pull > most:
                feature, most = f, pull
        up = new[feature] > old[feature]
        sign = 1.0 if up else -1.0
        trait, most = 0, -np.inf
        for k in range(traits):
            pull = sign * standard[m, k] * named[feature, k]
            if pull > most:
                trait, most = k, pull
        codes[o] = ((feature * 2 + up) * traits + trait) * 2 + (standard[m, trait] > 0)
    return codes


def level_reasons(
    arrays: Mapping[str, np.ndarray], cell: int, known: np.ndarray, feature_names: Sequence[str], of: np.ndarray
) -> list[str]:
    """A sentence for each of some artworks ``of`` (n,), of what moves it in one cell: a feature, or its own record
    where that says more."""
    mean, known = np.asarray(arrays["cell_mean"])[cell, of], known[of]
    parts = np.asarray(arrays["feature_values"])[of] * np.asarray(arrays["region_weights"])[cell]  # (n, F)
    up = mean >= 0
    toward = np.where(up[:, None], parts, -parts)
    feature = np.argmax(toward, axis=1)
    rows = np.arange(len(mean))
    pull = toward[rows, feature]
    record = np.where(up, 1, -1) * (mean - parts.sum(axis=1))
    n, takes = np.asarray(arrays["cell_n"])[cell, of], np.asarray(arrays["cell_takes"])[cell, of]
    more = np.asarray(arrays["feature_values"])[of, feature] > 0
    return [
        "new: nobody has seen it yet, so it counts as its title's average"
        if not known[a]
        else "like its title's average here"
        if max(pull[a], record[a]) <= 0
        else f"{_verb(up[a])} by its own record here: {int(takes[a])} takes of {int(n[a])}"
        if record[a] > pull[a]
        else f"{_verb(up[a])} by {_feature(feature_names[feature[a]], bool(more[a]))}"
        for a in rows
    ]


def _verb(up: bool) -> str:
    return "gains" if up else "loses"


def _feature(name: str, up: bool) -> str:
    return f"{'more' if up else 'less'} {name.replace('_', ' ')}"


def _trait(name: str, above: bool) -> str:
    kind, _, value = name.partition(" ")
    if kind == "genre" and value:
        return f"watches {'more' if above else 'less'} {value} than most"
    return f"{name.replace('_', ' ')} {'above' if above else 'below'} average"
