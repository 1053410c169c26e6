"""Intervals and p-values that stay valid however often one looks: the normal mixture.

For an estimate with variance v that shrinks as data come in, averaging the likelihood ratio over effects N(0, tau
squared) gives a nonnegative martingale that starts at 1, so by Ville's inequality it ever exceeds 1 / alpha with
probability at most alpha (Robbins 1970; mSPRT, Johari et al. 2017; with an estimated variance it holds asymptotically:
Waudby-Smith et al. 2021). tau is fixed before the experiment; what it is only matters for width, not for validity.
"""

from math import exp, inf, log, pi, sqrt

import numpy as np

__all__ = ["always_valid_interval", "always_valid_p", "e_value", "power_looking", "reach", "tuned_tau2"]

LARGEST_LOG = 700.0
GRID = 401


def tuned_tau2(variance: float, alpha: float = 0.05) -> float:
    """The tau squared whose interval is about narrowest when the estimate has this variance (Howard et al. 2021).

    At the variance for which a test of level 0.05 has power 0.8 this is the square of the effect it was planned for.
    """
    spent = -2 * log(alpha)
    return variance * (spent + log(spent + 1))


def reach(variance: np.ndarray | float, tau2: float, alpha: float = 0.05) -> np.ndarray:
    """Half the width of the interval of level 1 - alpha, for variances of any shape; infinite where there is none.

    >>> [round(float(x), 2) for x in (reach(1.0, 8.0), reach(0.01, 8.0))]
    [3.04, 0.36]
    """
    v = np.asarray(variance, dtype=np.float64)
    if not tau2 > 0:
        return np.full(v.shape, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        width = np.sqrt(v * (v + tau2) / tau2 * np.log((v + tau2) / (v * alpha**2)))
    return np.where(np.isfinite(v) & (v > 0), width, np.where(v == 0, 0.0, np.inf))


def always_valid_interval(estimate: float, variance: float, tau2: float, level: float = 0.95) -> tuple[float, float]:
    """Covers the true effect at all looks together with probability ``level``."""
    half = float(reach(variance, tau2, 1 - level))
    return estimate - half, estimate + half


def e_value(estimate: float, variance: float, tau2: float) -> float:
    """Evidence against no effect: at most 1 on average where there is none, at any stopping time."""
    if not (variance > 0 and tau2 > 0):
        return 1.0
    power = tau2 * estimate**2 / (2 * variance * (variance + tau2)) + 0.5 * log(variance / (variance + tau2))
    return exp(power) if power < LARGEST_LOG else inf


def always_valid_p(estimate: float, variance: float, tau2: float) -> float:
    """The smallest alpha whose interval leaves out 0: 1 over the e-value, at most 1.

    >>> v, t = 0.5, 2.0
    >>> bool(abs(always_valid_p(float(reach(v, t, 0.05)), v, t) - 0.05) < 1e-12)
    True
    """
    evidence = e_value(estimate, variance, tau2)
    return 1.0 if evidence <= 1 else 1 / evidence


def power_looking(shift: float, ratio: float, looks: int, alpha: float = 0.05) -> float:
    """Chance that a test with ``looks`` evenly spaced looks ever leaves out 0.

    ``shift`` is the effect over its standard error at the last look, ``ratio`` tau squared over the variance there. The
    density of the score process within the bounds is carried from look to look (Armitage, McPherson and Rowe 1969).
    """
    times = np.arange(1, looks + 1) / looks
    variances = 1 / times
    bounds = np.sqrt(times) * reach(variances, ratio, alpha) / np.sqrt(variances)  # of the score, drift shift x time
    points, density, missed = np.zeros(1), np.ones(1), 0.0
    for step in range(looks):
        grid = np.linspace(-bounds[step], bounds[step], GRID)
        width = sqrt(1 / looks)
        moved = (grid[:, None] - points[None, :] - shift / looks) / width
        kernel = np.exp(-0.5 * moved**2) / (width * sqrt(2 * pi))
        weights = density if step == 0 else density * _trapezoid(points)
        points, density = grid, kernel @ weights
        missed = float((density * _trapezoid(points)).sum())
    return 1 - missed


def _trapezoid(points: np.ndarray) -> np.ndarray:
    weights = np.full(len(points), points[1] - points[0])
    weights[[0, -1]] /= 2
    return weights
