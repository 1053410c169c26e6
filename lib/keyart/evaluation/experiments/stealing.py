"""What a within-member test does not see: a title that gains by its artwork takes from the member's other titles.

Artwork is drawn per member, title and day, so each decision compares the policy's favourite (of probability p) with the
others. With weights 1/p where the favourite was served and -1/(1 - p) where not, the mean of weight x reward of
the decision itself is the effect on the title, and the mean of weight x the reward of the member's whole day is the
effect on all titles together (the draws of a day are independent). What lies between was taken from other titles. Both
are centred on the average reward, which changes nothing in expectation and takes out most of the variance.
"""

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np

from keyart.evaluation.estimators import Functional, Moments
from keyart.evaluation.experiments.metrics import unit

__all__ = ["Stealing", "decision_weights", "stealing"]


@dataclass(frozen=True)
class Stealing:
    """Effects per decision on the title itself and on all titles, their standard errors, and the share stolen."""

    own: float
    own_error: float
    total: float
    total_error: float
    stolen: float  # 1 - total / own
    stolen_error: float


def decision_weights(favourite: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Weights (n,) from whether the favourite was served (n,) and its probability (n,); 0 where nothing was drawn."""
    drawn = (probability > 0) & (probability < 1)
    p = np.where(drawn, probability, 0.5)
    return np.where(drawn, np.where(favourite, 1 / p, -1 / (1 - p)), 0.0)


def stealing(moments: Moments) -> Stealing:
    """From the moments of members' COLUMNS, any arms added up."""
    own = _centred(moments, "weighted_reward", "decisions")
    total = _centred(moments, "weighted_totals", "days")
    covariance = moments.covariance()
    if not own.value or not np.isfinite(own.value):
        stolen = Functional(nan, np.full(len(moments.sums), nan))
    else:
        kept = total.value / own.value
        stolen = Functional(1 - kept, -(total.gradient - kept * own.gradient) / own.value)
    errors = [sqrt(max(float(f.gradient @ covariance @ f.gradient), 0.0)) if np.isfinite(f.value) else nan
              for f in (own, total, stolen)]  # fmt: skip
    return Stealing(own.value, errors[0], total.value, errors[1], stolen.value, errors[2])


def _centred(moments: Moments, product: str, units: str) -> Functional:
    """(sum of products - average reward x sum of weights) / randomised decisions, and its gradient."""
    s = {name: float(unit(name) @ moments.sums) for name in (product, "weight", "reward", units, "randomised")}
    n, m = s["randomised"], s[units]
    if not n or not m:
        return Functional(nan, np.full(len(moments.sums), nan))
    average = s["reward"] / m
    value = (s[product] - average * s["weight"]) / n
    gradient = (
        unit(product)
        - average * unit("weight")
        - s["weight"] * (unit("reward") - average * unit(units)) / m
        - value * unit("randomised")
    ) / n
    return Functional(value, gradient)
