"""The prior variances of shrinkage: how likely each is, and a few weighted points that stand for all likely ones.

Plugging in the most likely variances takes chance for an effect where there is none and lets intervals count them as
known. Here an sd has an exponential prior (a penalised-complexity prior; Simpson et al. 2017), and all but that of
artworks everywhere may be nothing, at even odds: features may explain nothing, regions be alike. Points are drawn from
the product of the sds' conditional densities at their mode, by a Sobol sequence, and weigh by the joint density
(importance sampling).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import qmc

__all__ = [
    "LARGEST",
    "LEVELS",
    "POINTS",
    "PRIOR_SD",
    "SMALLEST",
    "Variances",
    "differing",
    "likely_points",
    "log_prior",
]

LEVELS = 3
SMALLEST, LARGEST = 1e-6, 4.0
"""Bounds of a variance of log effects."""
PRIOR_SD = 0.2
"""Mean of the exponential prior of an sd of log effects."""
NOTHING = (0.5, 0.5, 0.5, 0.0, 0.5, 0.5)
"""Prior chances that an sd is 0, by level of features and of artworks; what artworks are worth everywhere differs."""
POINTS = 64
STEPS = np.array([-8, -5, -3.5, -2.5, -1.7, -1, -0.5, 0, 0.5, 1, 1.7, 2.5, 3.5, 5])
"""Where a conditional density is looked at, in its standard deviations from the mode."""
NARROWEST, WIDEST = 0.03, 0.7
"""Of a conditional density, in logs of the sd."""
FLATTER = 0.75
"""Power of the conditional densities: the joint one is wider where sds depend on each other."""
DEEPEST = -12.0
"""Logs of a conditional density below its top at which it is cut off."""
LEAST = 0.3
"""Least share of points whose sd is nothing, and whose is not: errors of weights go by those of one kind."""
LOW, HIGH = 0.5 * np.log(SMALLEST), 0.5 * np.log(LARGEST)
NONE = -np.inf
"""The log of an sd of nothing."""


@dataclass(frozen=True)
class Variances:
    """Prior variances by level (root, parent region, region)."""

    feature: np.ndarray  # (3,)
    artwork: np.ndarray  # (3,)

    @classmethod
    def of(cls, log_sds: np.ndarray) -> "Variances":
        """From logs of sds (6,), features first."""
        values = np.exp(2 * log_sds)
        return cls(values[:LEVELS], values[LEVELS:])

    @property
    def log_sds(self) -> np.ndarray:
        """Logs of sds (6,) within the bounds."""
        return 0.5 * np.log(np.clip(np.append(self.feature, self.artwork), SMALLEST, LARGEST))


def log_prior(log_sds: np.ndarray) -> np.ndarray:
    """Log densities (...,) of logs of sds under the exponential prior.

    >>> grid = np.linspace(-20, 3, 100_001)
    >>> round(float(np.trapezoid(np.exp(log_prior(grid)), grid)), 6)
    1.0
    """
    return log_sds - np.exp(log_sds) / PRIOR_SD - np.log(PRIOR_SD)


@dataclass(frozen=True)
class _Marginal:
    """A density of one log sd, linear between grid points, beside a ``chance`` that the sd is 0."""

    grid: np.ndarray
    density: np.ndarray
    chance: float

    def drawn(self, uniforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log sds at quantiles (n,) and the log densities there; of an sd of 0 the log of its chance."""
        steps, mean = np.diff(self.grid), (self.density[1:] + self.density[:-1]) / 2
        below = np.append(0.0, np.cumsum(steps * mean))
        nothing = uniforms < self.chance
        rest = np.where(nothing, 0.5, (uniforms - self.chance) / (1 - self.chance)) * below[-1]
        at = np.clip(np.searchsorted(below, rest, side="right") - 1, 0, len(steps) - 1)
        rest, start = rest - below[at], self.density[at]
        slope = np.diff(self.density)[at] / steps[at]
        # The root of start x + slope x^2 / 2 = rest, written so that slope 0 divides by nothing.
        step = 2 * rest / (start + np.sqrt(np.maximum(start**2 + 2 * slope * rest, 0)))
        density = (1 - self.chance) * (start + slope * step) / below[-1]
        with np.errstate(divide="ignore"):
            chance = np.log(self.chance)
        return np.where(nothing, NONE, self.grid[at] + step), np.where(nothing, chance, np.log(density))


def likely_points(
    evidence: Callable[[np.ndarray], float], mode: np.ndarray, points: int = POINTS
) -> tuple[np.ndarray, np.ndarray]:
    """Logs of sds (points, S), -infinity for none, and their weights (points,), that stand for the posterior of sds.

    ``evidence`` is the log likelihood of logs of sds (S,), ``mode`` (S,) where it and the prior are largest together.
    """
    top = evidence(mode)
    uniforms = qmc.Sobol(len(mode), scramble=True, rng=1).random(points)
    drawn, proposed = np.empty_like(uniforms), np.zeros(points)
    for k in range(len(mode)):
        marginal = _conditional(lambda value, k=k: evidence(_with(mode, k, value)) - top, mode[k], k)  # type: ignore[misc]
        drawn[:, k], density = marginal.drawn(uniforms[:, k])
        proposed += density
    nothing = np.isneginf(drawn)
    prior = np.where(nothing, 0.0, log_prior(np.where(nothing, 0.0, drawn)))
    chances = np.array(NOTHING[: len(mode)])
    prior += np.log(np.where(nothing, np.maximum(chances, 1e-300), 1 - chances))
    logs = np.array([evidence(point) for point in drawn]) - top + prior.sum(axis=1) - proposed
    weights = np.exp(logs - logs.max())
    return drawn, weights / weights.sum()


def differing(log_sds: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weights (n,) of points given that parents and regions differ in what they like; as they are where no point has it
    so."""
    alike = np.isneginf(log_sds[:, 1:LEVELS]).any(axis=1)
    if alike.all():
        return weights
    apart = np.where(alike, 0.0, weights)
    return apart / apart.sum()


def _conditional(evidence: Callable[[float], float], mode: float, k: int) -> _Marginal:
    """The density of one log sd, the others at the mode; flatter than it is."""

    def density(value: float) -> float:
        return evidence(value) + float(log_prior(np.array(value)))

    step = 0.15
    bend = (2 * density(mode) - density(mode + step) - density(mode - step)) / step**2
    width = np.clip(1 / np.sqrt(max(bend, 1e-6)), NARROWEST, WIDEST)
    grid = np.unique(np.clip(mode + width * STEPS, LOW, HIGH))
    logs = FLATTER * np.array([density(value) for value in grid])
    heights = np.exp(np.maximum(logs, logs.max() + DEEPEST))
    if not NOTHING[k]:
        return _Marginal(grid, heights, 0.0)
    some = (1 - NOTHING[k]) * np.trapezoid(heights, grid)
    none = NOTHING[k] * np.exp(FLATTER * evidence(NONE))
    return _Marginal(grid, heights, float(np.clip(none / (none + some), LEAST, 1 - LEAST)))


def _with(values: np.ndarray, k: int, value: float) -> np.ndarray:
    changed = values.copy()
    changed[k] = value
    return changed
