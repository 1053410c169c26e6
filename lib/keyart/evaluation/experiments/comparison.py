"""A variant against control from the moments of their members: means, ratios, CUPED, tests, intervals.

Members are the unit, so the variance is clustered by member; ratios of sums use the delta method (Deng, Knoblich and Lu
2018). CUPED (Deng et al. 2013) subtracts from the difference what the difference before the experiment explains; the
coefficient is the one that leaves least variance, for means and ratios alike.
"""

from dataclasses import dataclass, replace
from math import inf, isqrt, nan, sqrt

import numpy as np
from scipy.stats import t as student

from keyart.evaluation.estimators import Functional, Moments
from keyart.evaluation.experiments.metrics import Metric, unit

__all__ = ["Effect", "Line", "compare", "flat", "ratio", "unflat", "value_of"]

Line = tuple[np.ndarray, np.ndarray]
"""A ratio of sums as two vectors over the columns: top and bottom."""


def ratio(moments: Moments, top: np.ndarray, bottom: np.ndarray) -> Functional:
    """Sum of top over sum of bottom and its gradient; not a number where the bottom is 0."""
    below = float(bottom @ moments.sums)
    if below == 0:
        return Functional(nan, np.full(len(top), nan))
    value = float(top @ moments.sums) / below
    return Functional(value, (top - value * bottom) / below)


def value_of(moments: Moments, metric: Metric) -> Functional:
    """The metric in one group of members."""
    return ratio(moments, unit(metric.top), unit(metric.bottom))


def flat(moments: Moments) -> np.ndarray:
    """As one vector that adds up: members, J sums, J x J products."""
    return np.concatenate([[moments.members], moments.sums, moments.products.ravel()])


def unflat(vector: np.ndarray) -> Moments:
    """What ``flat`` laid out."""
    j = (isqrt(4 * len(vector) - 3) - 1) // 2
    return Moments(round(vector[0]), vector[1 : 1 + j], vector[1 + j :].reshape(j, j))


@dataclass(frozen=True)
class Effect:
    """Variant minus control. ``kept`` is the share of the variance that CUPED left; variances are of the estimates."""

    control: float
    variant: float
    difference: float
    variance: float
    degrees: float  # Welch-Satterthwaite
    relative: float
    relative_variance: float
    kept: float
    members: tuple[int, int]

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided, for one look at the end."""
        half = self._reach(level) * sqrt(self.variance) if self.known else inf
        return self.difference - half, self.difference + half

    def relative_interval(self, level: float = 0.95) -> tuple[float, float]:
        """Of the relative difference, by the delta method."""
        if not (self.known and np.isfinite(self.relative_variance)):
            return -inf, inf
        half = self._reach(level) * sqrt(self.relative_variance)
        return self.relative - half, self.relative + half

    def p_value(self, shift: float = 0.0) -> float:
        """Two-sided, of a difference of ``shift``; 1 where nothing is known."""
        if not self.known:
            return 1.0
        if self.variance == 0:
            return 1.0 if self.difference == shift else 0.0
        return float(2 * student.sf(abs(self.difference - shift) / sqrt(self.variance), self.degrees))

    def p_above(self, shift: float) -> float:
        """One-sided: small where the difference lies above ``shift``."""
        if not self.known or self.variance == 0:
            return 1.0 if not self.known or self.difference <= shift else 0.0
        return float(student.sf((self.difference - shift) / sqrt(self.variance), self.degrees))

    @property
    def known(self) -> bool:
        """Whether both sides have a value and a variance."""
        return bool(np.isfinite(self.difference) and np.isfinite(self.variance))

    def turned(self) -> "Effect":
        """The same with the sign changed: for metrics of which less is better."""
        return replace(self, difference=-self.difference, relative=-self.relative)

    def _reach(self, level: float) -> float:
        return float(student.ppf(0.5 + level / 2, self.degrees))


def compare(control: Moments, variant: Moments, line: Line, covariate: Line | None = None) -> Effect:
    """The difference of a ratio of sums, adjusted by the same of ``covariate`` where both sides have one."""
    sides = (control, variant)
    y = [ratio(side, *line) for side in sides]
    x = [ratio(side, *covariate) for side in sides] if covariate else []
    covariances = [side.covariance() for side in sides]
    # (2, 2) of (metric, covariate) on each side; without a covariate its row is 0.
    gradients = [np.stack([y[i].gradient, x[i].gradient if x else 0 * y[i].gradient]) for i in (0, 1)]
    if x and not np.isfinite([g[1] for g in gradients]).all():
        return compare(control, variant, line)
    joint = [g @ c @ g.T for g, c in zip(gradients, covariances, strict=True)]
    both = joint[0] + joint[1]
    theta = both[0, 1] / both[1, 1] if x and both[1, 1] > 0 else 0.0
    weights = np.array([1.0, -theta])
    parts = [float(weights @ j @ weights) for j in joint]
    difference = y[1].value - y[0].value - (theta * (x[1].value - x[0].value) if x else 0.0)
    variance = sum(parts)
    base = y[0].value
    relative = difference / base if base else nan
    # The difference and control's value move against each other.
    shared = -float(weights @ joint[0][:, 0])
    spread = variance + relative**2 * float(joint[0][0, 0]) - 2 * relative * shared
    return Effect(
        control=base,
        variant=y[1].value,
        difference=difference,
        variance=variance,
        degrees=_degrees(parts, (control.members, variant.members)),
        relative=relative,
        relative_variance=spread / base**2 if base else nan,
        kept=variance / both[0, 0] if both[0, 0] > 0 else 1.0,
        members=(control.members, variant.members),
    )


def _degrees(parts: list[float], members: tuple[int, int]) -> float:
    """Welch-Satterthwaite."""
    below = sum(part**2 / (n - 1) for part, n in zip(parts, members, strict=True) if n > 1)
    return sum(parts) ** 2 / below if below > 0 else inf
