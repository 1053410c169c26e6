"""What an artwork gains on a device and in a part of the day, from which of a title's artworks was taken there.

Given how often a title was taken in a context, how often it was with each of its artworks is multinomial, with chances
    expected_a exp(x_a . (w_device + w_day_part))
(the conditional logit; McFadden 1974), so that what a device does to a title as a whole cancels: phones take what is
short whatever it looks like. What all contexts have in common is the region level's to say, and has weights beside;
w ~ N(0, a variance of devices or of day parts), averaged over what is likely of these under the prior of ``variances``.
G contexts (a device in a part of the day), D devices, H parts, K = D + H, A artworks, P coordinates.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.special import expit

from keyart.learning.blocks import Arrays
from keyart.learning.coordinates import by_title
from keyart.learning.logistic import log_odds
from keyart.learning.response import Base, rows_of
from keyart.learning.variances import log_prior

__all__ = ["NOWHERE", "ContextEffects", "Contexts", "choose_contexts", "context_sums", "fit_contexts", "late_gain"]

EVIDENCE = 4.0
"""Standard deviations by which the score test must exceed chance; else no context is claimed to matter."""
ROUNDS, ENOUGH = 20, 1e-3
"""Of Newton's method at most, and the step in log rates at which it has come to rest."""
LONGEST = 1.0
"""Step in log rates that a round may take."""
COMMON, DEVICES, PARTS = range(3)
"""Kinds of weights."""
GROUPS = 4
"""Of members, by which it is seen how much they differ from each other."""
NOTHING = 1e-9
"""Of the largest eigenvalue: smaller ones are rounding."""
UNLIKELY = 1e-4
"""Of the likeliest variances' chance: less likely ones are left out."""
COMMON_SD = 2.0
"""Of the prior of what contexts have in common: next to nothing is known of it."""
LOG_SDS = np.linspace(np.log(0.003), np.log(2.0), 14)
"""Logs of the standard deviations that devices' weights, and parts', may have."""


Solve = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Weights and their covariance from a Hessian and a right side."""


@dataclass(frozen=True)
class Contexts:
    """Devices and parts of the day that the model tells apart; a context is one of each, devices' parts together."""

    devices: tuple[str, ...] = ()
    day_parts: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.devices) * len(self.day_parts)

    @property
    def design(self) -> np.ndarray:
        """(G, K) 1 where a context is of the device or the part."""
        pairs = product(np.eye(len(self.devices)), np.eye(len(self.day_parts)))
        rows = [np.concatenate(pair) for pair in pairs]
        return np.array(rows).reshape(len(self), len(self.devices) + len(self.day_parts))


NOWHERE = Contexts()
"""None are told apart."""


@dataclass(frozen=True)
class ContextEffects:
    """Weights of devices, then of day parts, in log rates of takes."""

    mean: np.ndarray  # (K, P)
    covariance: np.ndarray  # (K, P, P) of each one's weights among themselves

    def arrays(self, loadings: np.ndarray) -> Arrays:
        """For the response model: weights (K, P), and of the features that loadings (F, P) make the coordinates of
        their standard deviations (K, F)."""
        variance = np.einsum("fp,kpq,fq->kf", loadings, self.covariance, loadings, optimize=True)
        return {"context_weights": self.mean, "context_features_sd": np.sqrt(np.maximum(variance, 0))}


def context_sums(
    block: Mapping[str, np.ndarray],
    base: Base,
    effects: np.ndarray,
    features: np.ndarray,
    weights: np.ndarray,
    contexts: int,
) -> Arrays:
    """``contexts`` (2, GROUPS + 2, G, A), early and late: weighted takes of members in GROUPS parts; weighted expected
    takes of all, and expected takes under squared weights.

    What is expected stands on offset, effects (regions, A) and member weights, so that what a device's members like is
    not taken for its doing. Decisions in no context are left out.
    """
    rows, keep = rows_of(block, base, effects, features), block["context"] >= 0
    chance = expit(np.where(block["personal"], log_odds(rows, weights), rows.offset))[keep]
    weight, take = block["weight"][keep].astype(np.float64), block["take"][keep]
    artwork, late = block["artwork"][block["combination"][keep]], block["late"][keep]
    place = (late * contexts + block["context"][keep]) * base.artworks + artwork
    shape = (2, contexts, base.artworks)
    # A member's decisions lie in one block.
    parts = [weight * take * (block["member"][keep] % GROUPS == group) for group in range(GROUPS)]
    kinds = (*parts, weight * chance, weight**2 * chance)
    found = [np.bincount(place, kind, int(np.prod(shape))).reshape(shape).astype(np.float32) for kind in kinds]
    return {"contexts": np.stack(found, axis=1)}


def choose_contexts(
    sums: np.ndarray, contexts: Contexts, features: np.ndarray, title_index: np.ndarray
) -> tuple[ContextEffects | None, dict[str, float]]:
    """Effects from ``context_sums`` of all days, and what the choice stands on.

    None are claimed where the early days' score test says no more than chance, or where weights of half of the members'
    early days do not foretell the other half's late days: tastes that a few members of a device happen to have would
    be found in their late days again.
    """
    early, late = (_counts(half.astype(np.float64)) for half in sums)
    whole = _counts(sums.sum(axis=0, dtype=np.float64))
    spread = _dispersion(*early, contexts, features, title_index)
    score = _score_of(early[0].sum(axis=0) / spread, early[1] / spread, contexts, features, title_index)
    metrics, gain = {"context_score": score, "context_dispersion": spread}, 0.0
    if score <= EVIDENCE:
        return None, metrics
    for own, other in ((slice(None, None, 2), slice(1, None, 2)), (slice(1, None, 2), slice(None, None, 2))):
        taught = fit_contexts(early[0][own].sum(axis=0) / spread, early[1] / spread, contexts, features, title_index)
        gain += late_gain(taught, late[0][other].sum(axis=0), late[1], contexts, features, title_index)
    metrics["validation_context_gain"] = gain
    if gain <= 0:
        return None, metrics
    return fit_contexts(whole[0].sum(axis=0) / spread, whole[1] / spread, contexts, features, title_index), metrics


def _counts(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Takes by group (GROUPS, G, A) and expected takes (G, A), divided so that their variance is that of a Poisson
    count where decisions are independent."""
    *takes, expected, squared = sums
    inflation = np.divide(squared, expected, out=np.ones_like(expected), where=expected > 0)
    return np.array(takes) / inflation, expected / inflation


def _dispersion(
    seen: np.ndarray, expected: np.ndarray, contexts: Contexts, features: np.ndarray, title_index: np.ndarray
) -> float:
    """How much more the slopes of groups of members (GROUPS, G, A) differ than those of independent decisions would; 1
    at least. A member's decisions are of one taste, and often on one device."""
    width, design = features.shape[1], _design(contexts)
    shared = _settled(
        _as_one(width), np.zeros(design.shape[1] * width), seen.sum(axis=0), expected, design, features, title_index
    )[0]
    at = design @ shared.reshape(-1, width)
    parts = [_slopes(group, expected, design, at, features, title_index) for group in seen]
    hessian = sum(inner for _, inner in parts)
    total = sum(gradient for gradient, _ in parts)
    size = np.array([group.sum() for group in seen]) / max(seen.sum(), 1e-12)
    away = np.array([gradient - share * total for (gradient, _), share in zip(parts, size, strict=True)])
    rank, inverse = _inverse(np.asarray(hessian))
    if not rank:
        return 1.0
    found = np.einsum("gk,kl,gl->g", away, inverse, away) / np.maximum(size, 1e-12)
    return float(max(1.0, found.sum() / ((len(seen) - 1) * rank)))


def fit_contexts(
    seen: np.ndarray, expected: np.ndarray, contexts: Contexts, features: np.ndarray, title_index: np.ndarray
) -> ContextEffects:
    """Effects from counts and what was expected of them (G, A), up to a factor of the title in the context."""
    width, design, kinds = features.shape[1], _design(contexts), _kinds(contexts)
    kind = np.repeat(kinds, width)
    start, _ = _settled(_as_one(width), np.zeros(len(kind)), seen, expected, design, features, title_index)
    mean, covariance = _settled(
        lambda hessian, right: _averaged(hessian, right, kind), start, seen, expected, design, features, title_index
    )
    centring = _centring(contexts, seen)
    blocks = covariance.reshape(len(kinds), width, len(kinds), width)[1:, :, 1:]
    return ContextEffects(
        centring @ mean.reshape(-1, width)[1:],
        np.einsum("kc,cpdq,kd->kpq", centring, blocks, centring, optimize=True),
    )


def _design(contexts: Contexts) -> np.ndarray:
    """(G, 1 + K): what contexts have in common, then what each device and part adds."""
    return np.hstack([np.ones((len(contexts), 1)), contexts.design])


def _kinds(contexts: Contexts) -> list[int]:
    return [COMMON, *[DEVICES] * len(contexts.devices), *[PARTS] * len(contexts.day_parts)]


def _as_one(width: int) -> Solve:
    """As if contexts did not differ: the first ``width`` weights alone."""

    def solve(hessian: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found, inner = np.zeros(len(right)), hessian[:width, :width] + np.eye(width) / COMMON_SD**2
        found[:width] = np.linalg.solve(inner, right[:width])
        return found, hessian

    return solve


def _settled(
    solve: Solve,
    mean: np.ndarray,
    seen: np.ndarray,
    expected: np.ndarray,
    design: np.ndarray,
    features: np.ndarray,
    title_index: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Where Newton's method comes to rest from some weights, and what ``solve`` says beside them there."""
    width = features.shape[1]
    for _ in range(ROUNDS):
        at = design @ mean.reshape(-1, width)
        gradient, hessian = _slopes(seen, expected, design, at, features, title_index)
        wanted, beside = solve(hessian, gradient + hessian @ mean)
        step = np.abs(design @ (wanted - mean).reshape(-1, width) @ features.T).max(initial=0.0)
        mean = mean + (wanted - mean) * min(1.0, LONGEST / max(step, 1e-12))  # further away the curve is another
        if step < ENOUGH:
            break
    return mean, beside


def _score_of(
    seen: np.ndarray, expected: np.ndarray, contexts: Contexts, features: np.ndarray, title_index: np.ndarray
) -> float:
    """Rao's score statistic of what devices and parts add, against its mean and standard deviation where that is
    nothing."""
    width, design = features.shape[1], _design(contexts)
    start = np.zeros(design.shape[1] * width)
    shared, hessian = _settled(_as_one(width), start, seen, expected, design, features, title_index)
    gradient, hessian = _slopes(seen, expected, design, design @ shared.reshape(-1, width), features, title_index)
    rank, inverse = _inverse(hessian)
    free = rank - _inverse(hessian[:width, :width])[0]
    return float((gradient @ inverse @ gradient - free) / np.sqrt(2 * free)) if free > 0 else 0.0


def _inverse(hessian: np.ndarray) -> tuple[int, np.ndarray]:
    """Rank and pseudo-inverse, by one word on what is nothing."""
    values, vectors = np.linalg.eigh(hessian)
    real = values > NOTHING * max(values.max(initial=0.0), 1e-300)
    kept = vectors[:, real]
    return int(real.sum()), (kept / values[real]) @ kept.T


def late_gain(
    found: ContextEffects,
    seen: np.ndarray,
    expected: np.ndarray,
    contexts: Contexts,
    features: np.ndarray,
    title_index: np.ndarray,
) -> float:
    """By how much the effects raise the log likelihood of other counts (G, A)."""
    pulls = contexts.design @ found.mean @ features.T
    took = np.log(_shares(expected * np.exp(pulls), title_index)) - np.log(_shares(expected, title_index))
    return float(np.sum(seen * np.where(expected > 0, took, 0)))


def _shares(expected: np.ndarray, title_index: np.ndarray) -> np.ndarray:
    """Of each title's sum in the context, (G, A); 1 where nothing was expected."""
    total = by_title(expected.T, title_index)[title_index].T
    return np.divide(expected, total, out=np.ones_like(expected), where=expected > 0)


def _centring(contexts: Contexts, seen: np.ndarray) -> np.ndarray:
    """(K, K): takes from each device's weights the mean of them all, as often as each took, which the region level has
    learned; parts likewise."""
    share = seen.sum(axis=1) @ contexts.design
    centring, devices = np.eye(len(share)), len(contexts.devices)
    for block in (slice(0, devices), slice(devices, None)):
        centring[block, block] -= share[block] / max(share[block].sum(), 1e-12)
    return centring


def _slopes(
    seen: np.ndarray,
    expected: np.ndarray,
    design: np.ndarray,
    weights: np.ndarray,
    features: np.ndarray,
    title_index: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient (K P,) and negative Hessian (K P, K P) of the log likelihood at weights (G, P) of the contexts."""
    shares = np.where(expected > 0, _shares(expected * np.exp(weights @ features.T), title_index), 0)
    counts = by_title(np.where(expected > 0, seen, 0).T, title_index)  # (T, G)
    fitted = counts[title_index].T * shares
    gradient, width = design.T @ ((np.where(expected > 0, seen, 0) - fitted) @ features), features.shape[1]
    hessian = np.zeros((design.shape[1], width, design.shape[1], width))
    for row, of_title, chance, amount in zip(design, counts.T, shares, fitted, strict=True):
        means = by_title(chance[:, None] * features, title_index)
        inner = (features * amount[:, None]).T @ features - (means * of_title[:, None]).T @ means
        hessian += np.multiply.outer(np.outer(row, row), inner).transpose(0, 2, 1, 3)
    return gradient.ravel(), hessian.reshape(gradient.size, gradient.size)


def _averaged(hessian: np.ndarray, right: np.ndarray, kind: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the weights over what is likely of the two variances, given a likelihood that is normal
    with this Hessian and right side: taken for known, the most likely ones would make errors too small."""
    points = np.array(list(product(LOG_SDS, LOG_SDS)))
    scales = np.array([np.array([COMMON_SD, *np.exp(log_sds)])[kind] for log_sds in points])
    evidence = []
    for log_sds, scale in zip(points, scales, strict=True):
        factor = np.linalg.cholesky(np.eye(len(kind)) + scale[:, None] * hessian * scale)
        fit = np.sum(np.linalg.solve(factor, scale * right) ** 2)
        evidence.append(0.5 * fit - np.log(np.diag(factor)).sum() + log_prior(log_sds).sum())
    chance = np.exp(np.array(evidence) - max(evidence))
    mean, spread, second = 0.0, 0.0, 0.0
    chance[chance < UNLIKELY] = 0.0
    for share, scale in zip(chance / chance.sum(), scales, strict=True):
        if share:
            covariance = scale[:, None] * np.linalg.inv(np.eye(len(kind)) + scale[:, None] * hessian * scale) * scale
            own = covariance @ right
            mean, second = mean + share * own, second + share * np.outer(own, own)
            spread = spread + share * covariance
    return np.asarray(mean), np.asarray(spread + second - np.outer(mean, mean))
