"""Many comparisons at once: which may be believed, and what the estimates shrink to.

Holm 1979 holds the chance of any false discovery, Benjamini and Hochberg 1995 the expected share of false ones among
the discoveries; Wang and Ramdas 2022 (e-BH) does the latter with e-values, under any dependence and while one looks on.
All take unshrunk p-values or e-values: a shrunken estimate's own interval is no test. Shrinkage is for estimates.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

__all__ = ["Shrunk", "benjamini_hochberg", "e_benjamini_hochberg", "holm", "shrink"]


def holm(p_values: np.ndarray) -> np.ndarray:
    """Adjusted p-values (n,): those at most alpha are rejected with a family-wise error of alpha.

    >>> holm(np.array([0.01, 0.04, 0.03])).round(4).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = np.minimum(np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))), 1)
    return _back(steps, order)


def benjamini_hochberg(p_values: np.ndarray) -> np.ndarray:
    """Adjusted p-values (n,): those at most q are rejected with a false-discovery rate of q.

    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03])).round(4).tolist()
    [0.03, 0.04, 0.04]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = p[order] * len(p) / np.arange(1, len(p) + 1)
    return _back(np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1), order)


def e_benjamini_hochberg(e_values: np.ndarray) -> np.ndarray:
    """The least false-discovery rate (n,) at which each e-value is rejected: BH on their inverses.

    Where these are at most q, the expected share of false discoveries is at most q whatever the dependence.
    """
    with np.errstate(divide="ignore"):
        return benjamini_hochberg(np.minimum(1 / np.asarray(e_values, dtype=np.float64), 1))


def _back(steps: np.ndarray, order: np.ndarray) -> np.ndarray:
    adjusted = np.empty(len(steps))
    adjusted[order] = steps
    return adjusted


@dataclass(frozen=True)
class Shrunk:
    """Posterior means and standard deviations (n,) under effects N(centre, spread squared)."""

    mean: np.ndarray
    sd: np.ndarray
    centre: float
    spread: float


def shrink(estimates: np.ndarray, variances: np.ndarray, centre: float | None = None) -> Shrunk:
    """Empirical Bayes (Efron and Morris 1975): estimates (n,) pulled towards their common mean, or ``centre``.

    The spread maximises the marginal likelihood. ValueError where a variance is not above 0.
    """
    y, v = np.asarray(estimates, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    if not (v > 0).all():
        raise ValueError("a variance is not above 0")

    def middle(spread2: float) -> float:
        weight = 1 / (v + spread2)
        return float((weight * y).sum() / weight.sum()) if centre is None else centre

    def loss(spread2: float) -> float:
        return float((np.log(v + spread2) + (y - middle(spread2)) ** 2 / (v + spread2)).sum())

    top = float(((y - y.mean()) ** 2).max() + v.max())
    found = minimize_scalar(lambda root: loss(root**2), bounds=(0.0, np.sqrt(top)), method="bounded")
    spread2 = float(found.x) ** 2 if loss(float(found.x) ** 2) < loss(0.0) else 0.0
    m = middle(spread2)
    kept = spread2 / (spread2 + v)
    return Shrunk(m + kept * (y - m), np.sqrt(kept * v), m, float(np.sqrt(spread2)))
