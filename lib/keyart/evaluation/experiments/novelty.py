"""Does an effect wear off: the difference by day since a member was first exposed, and its trend."""

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from scipy.stats import norm

from keyart.evaluation.estimators import Moments

__all__ = ["Novelty", "novelty"]

FEWEST = 30
"""Members observed on a day, on each side, below which the day is left out."""


@dataclass(frozen=True)
class Novelty:
    """Effect and standard error by day (K,) since exposure, NaN where too few were observed; the trend a day."""

    effect: np.ndarray
    error: np.ndarray
    slope: float
    slope_error: float

    @property
    def p_value(self) -> float:
        """Two-sided, of no trend; 1 where there are fewer than two days."""
        if not self.slope_error > 0:
            return 1.0
        return float(2 * norm.sf(abs(self.slope) / self.slope_error))


def novelty(control: Moments, variant: Moments) -> Novelty:
    """From moments of rows (2K,): tops by day since exposure, then bottoms, as ``members.by_day`` lays them out.

    A member's days depend on each other: the trend's variance takes the covariance of all days, by member.
    """
    days = len(control.sums) // 2
    value, covariance = np.zeros(days), np.zeros((days, days))
    enough = np.ones(days, dtype=bool)
    for sign, side in ((-1, control), (1, variant)):
        top, bottom = side.sums[:days], side.sums[days:]
        seen = (bottom > 0) & (np.diag(side.products)[days:] >= FEWEST)
        enough &= seen
        safe = np.where(seen, bottom, 1.0)
        rate = top / safe
        gradient = np.concatenate([np.diag(1 / safe), -np.diag(rate / safe)], axis=1)
        value += sign * rate
        covariance += gradient @ side.covariance() @ gradient.T
    slope, error = _trend(np.arange(days)[enough], value[enough], covariance[np.ix_(enough, enough)])
    spread = np.sqrt(np.maximum(np.diag(covariance), 0))
    return Novelty(np.where(enough, value, np.nan), np.where(enough, spread, np.nan), slope, error)


def _trend(day: np.ndarray, value: np.ndarray, covariance: np.ndarray) -> tuple[float, float]:
    """Least squares weighted by each day's own precision, with the variance of that very sum."""
    if len(day) < 2 or not (np.diag(covariance) > 0).all():
        return nan, nan
    weight = 1 / np.diag(covariance)
    middle = (weight * day).sum() / weight.sum()
    pull = weight * (day - middle) / (weight * (day - middle) ** 2).sum()
    return float(pull @ value), sqrt(float(pull @ covariance @ pull))
