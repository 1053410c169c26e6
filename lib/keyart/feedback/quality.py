"""Figures that tell whether a log can be learned from."""

from scipy.stats import chi2

__all__ = ["SMALLEST_EXPECTED", "served_p_value"]

SMALLEST_EXPECTED = 5.0
"""Artworks expected to be served less often are counted together: below it the chi-square law fits badly."""


def served_p_value(statistic: float, degrees: int) -> float | None:
    """How likely servings differ from the logged propensities at least this much if those are true.

    ``statistic`` is Pearson's sum of (observed - expected)^2 / expected over artworks, where expected sums the logged
    propensities; ``degrees`` counts artworks less one, over titles. With propensities that differ between decisions
    the statistic is stochastically smaller than chi-square, so the test errs on the quiet side. None without degrees.
    """
    return float(chi2.sf(statistic, degrees)) if degrees > 0 else None
