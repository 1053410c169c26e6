"""Thousands of artworks at once: which of them differ from their title's average, as logged with known propensities.

An artwork's worth is the self-normalised weighted mean of its decisions' rewards; it is compared with that of all its
title's decisions. What a member adds to an artwork and to its title is known together, so that the variance of the
difference is clustered by member (delta method) and takes their overlap into account.
"""

from dataclasses import dataclass

import numpy as np

from keyart.evaluation.experiments.multiplicity import benjamini_hochberg, e_benjamini_hochberg, shrink

__all__ = ["SUMS", "Contrasts", "contrasts"]

SUMS = ("w", "wr", "ww", "wwr", "wrwr", "wW", "wWR", "wrW", "wrWR", "WW", "WWR", "WRWR", "members")
"""Sums over members, by artwork: w and wr are a member's summed weights and weighted rewards of the artwork, W and WR
those of the whole title; pairs of names are products. WW, WWR and WRWR of a member are split over the artworks seen."""


@dataclass(frozen=True)
class Contrasts:
    """Of artworks (A,): worth, the title's worth, their difference and its variance, members."""

    worth: np.ndarray
    title_worth: np.ndarray
    difference: np.ndarray
    variance: np.ndarray
    members: np.ndarray

    def adjusted(self, p_values: np.ndarray, e_values: np.ndarray | None = None) -> np.ndarray:
        """p-values for the false-discovery rate: Benjamini-Hochberg, or with ``e_values`` what e-BH rejects at."""
        return benjamini_hochberg(p_values) if e_values is None else e_benjamini_hochberg(e_values)

    def shrunk(self) -> np.ndarray:
        """Differences pulled towards 0 as far as their spread says (empirical Bayes): estimates, not tests."""
        return shrink(self.difference, self.variance, centre=0.0).mean


def contrasts(sums: np.ndarray, title: np.ndarray) -> Contrasts:
    """From SUMS by artwork (A, 13) and the title of each (A,), codes from 0; NaN where nothing varies."""
    s = dict(zip(SUMS, np.asarray(sums, dtype=np.float64).T, strict=True))
    whole = {name: np.bincount(title, s[name])[title] for name in ("w", "wr", "WW", "WWR", "WRWR", "members")}
    with np.errstate(divide="ignore", invalid="ignore"):
        m, t = s["wr"] / s["w"], whole["wr"] / whole["w"]
        # A member adds (wr - m w) / sum w to the artwork's mean and (WR - t W) / sum W to the title's.
        own = (s["wrwr"] - 2 * m * s["wwr"] + m**2 * s["ww"]) / s["w"] ** 2
        both = (s["wrWR"] - t * s["wrW"] - m * s["wWR"] + m * t * s["wW"]) / (s["w"] * whole["w"])
        title_part = (whole["WRWR"] - 2 * t * whole["WWR"] + t**2 * whole["WW"]) / whole["w"] ** 2
        n = whole["members"]
        variance = np.maximum(own - 2 * both + title_part, 0) * n / np.maximum(n - 1, 1)
    return Contrasts(m, t, m - t, np.where(s["members"] > 1, variance, np.nan), s["members"])
