"""Figures that tell whether a log can be learned from."""

from collections.abc import Mapping
from math import log, log10, sqrt

from scipy.stats import chi2

from keyart.errors import ConfigError

__all__ = ["SMALLEST_EXPECTED", "beyond", "limit_of", "misfit", "proven_drift", "served_p_value"]

SMALLEST_EXPECTED = 5.0
"""Artworks expected to be served less often are counted together: below it the chi-square law fits badly."""


def served_p_value(statistic: float, degrees: int) -> float | None:
    """How likely servings differ from the logged propensities at least this much if those are true.

    ``statistic`` is Pearson's sum of (observed - expected)^2 / expected over artworks, where expected sums the logged
    propensities; ``degrees`` counts artworks less one, over titles. With propensities that differ between decisions
    the statistic is stochastically smaller than chi-square, so the test errs on the quiet side. None without degrees.
    """
    return float(chi2.sf(statistic, degrees)) if degrees > 0 else None


def misfit(p_value: float) -> float:
    """-log10 of a p-value, at most 300: what can be bounded from above."""
    return -log10(max(p_value, 1e-300))


def proven_drift(takes: float, n: float, takes_before: float, n_before: float) -> float:
    """The least change in the log of the take fraction that the counts prove at three standard errors; 0: none.

    The variance of a log rate of Poisson counts is one over the count (delta method).
    """
    if min(takes, n, takes_before, n_before) <= 0:
        return 0.0
    change = abs(log(takes / n) - log(takes_before / n_before))
    return max(0.0, change - 3 * sqrt(1 / takes + 1 / takes_before))


def limit_of(measure: str, limits: Mapping[str, str]) -> float | None:
    """The highest value allowed: of the measure itself, else of what stands before its colon; None: no limit.

    ConfigError where it is no number.

    >>> limit_of("served misfit: uniform-1", {"served misfit": "9"})
    9.0
    """
    said = limits.get(measure, limits.get(measure.partition(":")[0]))
    try:
        return None if said is None else float(said)
    except ValueError as error:
        raise ConfigError(f"events.limits of {measure!r} is {said!r}; write the highest number allowed") from error


def beyond(measures: Mapping[str, float], limits: Mapping[str, str]) -> list[str]:
    """What lies above its limit, each in words."""
    known = [(name, measures[name], limit_of(name, limits)) for name in sorted(measures)]
    return [f"{name} is {value:.4g}, allowed is {at:g}" for name, value, at in known if at is not None and value > at]
