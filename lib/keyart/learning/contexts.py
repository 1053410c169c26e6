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

from keyart.learning.blocks import Arrays
from keyart.learning.coordinates import by_title
from keyart.learning.offset import offset_sums
from keyart.learning.response import Base
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
    score: float  # standard deviations by which the score test exceeds what chance gives

    def arrays(self, loadings: np.ndarray) -> Arrays:
        """For the response model: weights (K, P), and of the features that loadings (F, P) make the coordinates of
        their standard deviations (K, F)."""
        variance = np.einsum("fp,kpq,fq->kf", loadings, self.covariance, loadings, optimize=True)
        return {"context_weights": self.mean, "context_features_sd": np.sqrt(np.maximum(variance, 0))}


def context_sums(block: Mapping[str, np.ndarray], base: Base, effects: np.ndarray, contexts: int) -> Arrays:
    """``contexts`` (2, 3, G, A), early and late: weighted takes, weighted expected takes under the offset and the
    effects (regions, A), and expected takes under squared weights; decisions in no context are left out."""
    keep = block["context"] >= 0
    slot = base.cell(block)[keep]
    offset = effects.ravel()[slot]
    chance = offset_sums(base.offset, block["group"][keep], base.covariates(block)[keep], block["take"][keep])[1]
    # Effects are of log rates, as the cells they were learned from.
    expected = chance * np.exp(offset)
    weight, take = block["weight"][keep].astype(np.float64), block["take"][keep]
    shape = (2, contexts, base.artworks)
    place = (block["late"][keep] * contexts + block["context"][keep]) * base.artworks + slot % base.artworks
    kinds = (weight * take, weight * expected, weight**2 * expected)
    found = [np.bincount(place, kind, int(np.prod(shape))).reshape(shape) for kind in kinds]
    return {"contexts": np.stack(found, axis=1)}


def choose_contexts(
    sums: np.ndarray, contexts: Contexts, features: np.ndarray, title_index: np.ndarray
) -> tuple[ContextEffects | None, dict[str, float]]:
    """Effects from ``context_sums`` (2, 3, G, A) of all days, None where none are claimed: where the early days' score
    test says no more than chance, or their weights do not foretell the late days; and what the choice stands on."""
    early, late = (_counts(half) for half in sums)
    found = fit_contexts(*early, contexts, features, title_index)
    gain = late_gain(found, *late, contexts, features, title_index)
    metrics = {"context_score": found.score, "validation_context_gain": gain}
    if found.score <= EVIDENCE or gain <= 0:
        return None, metrics
    return fit_contexts(*_counts(sums.sum(axis=0)), contexts, features, title_index), metrics


def _counts(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Takes and expected takes (G, A), divided so that their variance is that of a Poisson count."""
    takes, expected, squared = sums
    inflation = np.divide(squared, expected, out=np.ones_like(expected), where=expected > 0)
    return takes / inflation, expected / inflation


def fit_contexts(
    seen: np.ndarray, expected: np.ndarray, contexts: Contexts, features: np.ndarray, title_index: np.ndarray
) -> ContextEffects:
    """Effects from counts and what was expected of them (G, A), up to a factor of the title in the context."""
    width, kinds = features.shape[1], [COMMON, *[DEVICES] * len(contexts.devices), *[PARTS] * len(contexts.day_parts)]
    design, kind = np.hstack([np.ones((len(contexts), 1)), contexts.design]), np.repeat(kinds, width)

    def slopes(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _slopes(seen, expected, design, design @ at.reshape(-1, width), features, title_index)

    def common(hessian: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As if contexts did not differ."""
        found, inner = np.zeros(len(kind)), hessian[:width, :width] + np.eye(width) / COMMON_SD**2
        found[:width] = np.linalg.solve(inner, right[:width])
        return found, hessian

    def settled(solve: Solve, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where Newton's method comes to rest, and the covariance there."""
        for _ in range(ROUNDS):
            gradient, hessian = slopes(mean)
            wanted, covariance = solve(hessian, gradient + hessian @ mean)
            step = np.abs(design @ (wanted - mean).reshape(-1, width) @ features.T).max(initial=0.0)
            mean = mean + (wanted - mean) * min(1.0, LONGEST / max(step, 1e-12))  # further away the curve is another
            if step < ENOUGH:
                break
        return mean, covariance

    shared, _ = settled(common, np.zeros(len(kind)))
    mean, covariance = settled(lambda hessian, right: _averaged(hessian, right, kind), shared)
    centring = _centring(contexts, seen)
    blocks = covariance.reshape(len(kinds), width, len(kinds), width)[1:, :, 1:]
    return ContextEffects(
        centring @ mean.reshape(-1, width)[1:],
        np.einsum("kc,cpdq,kd->kpq", centring, blocks, centring, optimize=True),
        _score(*slopes(shared), width),
    )


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


def _score(gradient: np.ndarray, hessian: np.ndarray, common: int) -> float:
    """Rao's score statistic of all weights but the ``common`` first, against its mean and standard deviation where
    contexts do nothing."""
    rank = int(np.linalg.matrix_rank(hessian, hermitian=True)) - common
    if rank <= 0:
        return 0.0
    statistic = gradient @ np.linalg.pinv(hessian, hermitian=True) @ gradient
    return float((statistic - rank) / np.sqrt(2 * rank))


def _averaged(hessian: np.ndarray, right: np.ndarray, kind: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the weights over what is likely of the two variances, given a likelihood that is normal
    with this Hessian and right side: taken for known, the most likely ones would make errors too small."""
    points = np.array(list(product(LOG_SDS, LOG_SDS)))
    found, evidence = [], []
    for log_sds in points:
        scale = np.array([COMMON_SD, *np.exp(log_sds)])[kind]
        inner = np.eye(len(kind)) + scale[:, None] * hessian * scale
        covariance = scale[:, None] * np.linalg.inv(inner) * scale
        mean = covariance @ right
        found.append((mean, covariance))
        evidence.append(0.5 * right @ mean - 0.5 * np.linalg.slogdet(inner)[1] + log_prior(log_sds).sum())
    chance = np.exp(np.array(evidence) - max(evidence))
    chance /= chance.sum()
    mean = sum(p * m for p, (m, _) in zip(chance, found, strict=True))
    spread = sum(p * (c + np.outer(m - mean, m - mean)) for p, (m, c) in zip(chance, found, strict=True))
    return np.asarray(mean), np.asarray(spread)
