"""What decided, in words: the named feature that contributed most, and whose taste or which record spoke for it."""

from collections.abc import Mapping, Sequence

import numpy as np

from keyart.learning.members import standardised
from keyart.policy.assignment import Overrides

__all__ = ["level_reasons", "member_reasons"]


def member_reasons(
    arrays: Mapping[str, np.ndarray],
    members: np.ndarray,
    found: Overrides,
    feature_names: Sequence[str],
    member_names: Sequence[str],
) -> np.ndarray:
    """One sentence an override: the feature that won it, and the side of the member that asked for it.

    ``members`` (n, K) are raw member vectors. The score's gain is a sum over features f and member traits k of
    standardised trait x weight on the named feature x difference of the feature; the largest feature is named, then the
    trait that contributed most to it.
    """
    if not len(found.member):
        return np.empty(0, dtype=np.str_)
    standard = standardised(arrays, members[found.member])
    named = np.asarray(arrays["weights"]) @ np.asarray(arrays["loadings"]).T  # (K, F)
    values = np.asarray(arrays["feature_values"])
    difference = values[found.artwork] - values[found.default]
    feature = np.argmax((standard @ named) * difference, axis=1)
    step = difference[np.arange(len(feature)), feature]
    trait = np.argmax(standard * named[:, feature].T * step[:, None], axis=1)
    side = standard[np.arange(len(trait)), trait] > 0
    # Sentences repeat: build each once.
    codes = np.stack([feature, step > 0, trait, side], axis=1).astype(np.int64)
    unique, inverse = np.unique(codes, axis=0, return_inverse=True)
    texts = [f"{_feature(feature_names[f], up)}; {_trait(member_names[k], more)}" for f, up, k, more in unique]
    return np.array(texts)[inverse.ravel()]


def level_reasons(
    arrays: Mapping[str, np.ndarray], cell: int, known: np.ndarray, feature_names: Sequence[str]
) -> list[str]:
    """One sentence an artwork (A) of what moves it in one cell: a feature, or its own record where that says more."""
    mean = np.asarray(arrays["cell_mean"])[cell]
    parts = np.asarray(arrays["feature_values"]) * np.asarray(arrays["region_weights"])[cell]  # (A, F)
    up = mean >= 0
    toward = np.where(up[:, None], parts, -parts)
    feature = np.argmax(toward, axis=1)
    rows = np.arange(len(mean))
    pull = toward[rows, feature]
    record = np.where(up, 1, -1) * (mean - parts.sum(axis=1))
    n, takes = np.asarray(arrays["cell_n"])[cell], np.asarray(arrays["cell_takes"])[cell]
    more = np.asarray(arrays["feature_values"])[rows, feature] > 0
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
