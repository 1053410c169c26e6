"""What is expected of an artwork before anyone is asked: the model's word in the direct method and in doubly robust
estimates, cross-fitted by member.

Rates by region and artwork are sums over members, so the rates that a member's decisions are judged by are the sums of
all folds but their own. The response model adds what it knows of the member, but only where it was not fitted on them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit

__all__ = ["PRIOR_SUCCESSES", "RewardModel", "cross_fitted_rates", "shrunk_rates"]

PRIOR_SUCCESSES = 5.0
"""Expected successes that a more general rate counts for in a more special one."""
LARGEST_SCORE = 3.0
"""Scores are clipped at twenty times the average: beyond, the model has seen nothing."""


def shrunk_rates(n: np.ndarray, successes: np.ndarray, title_of: np.ndarray, titles: int) -> np.ndarray:
    """Rates (R, A) from counts (R, A): each leans on its artwork's over all regions, that on its title's, that on all.

    The posterior mean of a Gamma prior with PRIOR_SUCCESSES expected successes (Clayton and Kaldor 1987).
    """

    def leaning(count: np.ndarray, success: np.ndarray, prior: np.ndarray) -> np.ndarray:
        strength = PRIOR_SUCCESSES / prior
        return (success + PRIOR_SUCCESSES) / (count + strength)

    overall = max(successes.sum(), 1e-3) / max(n.sum(), 1.0)
    by_artwork = n.sum(axis=0), successes.sum(axis=0)
    by_title = [np.bincount(title_of, values, titles) for values in by_artwork]
    title = leaning(by_title[0], by_title[1], np.full(titles, overall))
    artwork = leaning(*by_artwork, title[title_of])
    return leaning(n, successes, np.broadcast_to(artwork, n.shape))


def cross_fitted_rates(n: np.ndarray, successes: np.ndarray, title_of: np.ndarray, titles: int) -> np.ndarray:
    """Rates (K, R, A) for members of each fold, from the counts (K, R, A) of the other folds.

    With one fold nothing is left out: for counts of other decisions than those that are judged.
    """
    whole = n.sum(axis=0), successes.sum(axis=0)
    if len(n) == 1:
        return shrunk_rates(*whole, title_of, titles)[None]
    return np.stack([shrunk_rates(whole[0] - n[k], whole[1] - successes[k], title_of, titles) for k in range(len(n))])


@dataclass(frozen=True)
class RewardModel:
    """Rates by fold, region and artwork, times exp(member x artwork score) of the response model."""

    rates: np.ndarray  # (K, R, A, M) by metric, single precision
    features: np.ndarray  # (A, P) 0 for artworks that the response model does not know
    weights: np.ndarray  # (V, P)

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], position: np.ndarray, rates: np.ndarray) -> "RewardModel":
        """From the response model's arrays, re-ordered: ``position`` (A,) is each artwork's row of it, or -1."""
        features = np.where((position >= 0)[:, None], np.asarray(arrays["features"])[position], 0.0)
        return cls(rates.astype(np.float32), features.astype(np.float32), np.asarray(arrays["weights"], np.float32))

    def predict(
        self,
        fold: np.ndarray,
        region: np.ndarray,
        standard: np.ndarray,
        member: np.ndarray,
        offsets: np.ndarray,
        candidates: np.ndarray,
    ) -> np.ndarray:
        """Expected metrics in [0, 1] of every candidate, (pairs, M).

        ``fold`` and ``region`` (n,) of decisions, ``member`` (n,) rows of the standardised vectors ``standard``
        (members, V); a row of zeros is a member of whom the response model may say nothing. Ratios average 1 over a
        candidate set, so that an even draw is worth the rates, by the model's word too.
        """
        personal = (standard @ self.weights).astype(np.float32)  # (members, P)
        q = np.empty((len(candidates), self.rates.shape[3]), dtype=np.float32)
        _predict(self.rates, self.features, personal, fold, region, member, offsets, candidates, LARGEST_SCORE, q)
        return q


@njit(cache=True, nogil=True, error_model="numpy")
def _predict(rates, features, personal, fold, region, member, offsets, candidates, largest, q):
    for i in range(len(offsets) - 1):
        taste = personal[member[i]]
        known = False
        for p in range(len(taste)):
            known = known or taste[p] != 0.0
        first, end = offsets[i], offsets[i + 1]
        total = 0.0
        for j in range(first, end):
            score = 0.0
            if known:
                for p in range(len(taste)):
                    score += taste[p] * features[candidates[j], p]
            ratio = np.exp(min(max(score, -largest), largest)) if known else 1.0
            q[j, 0] = ratio
            total += ratio
        scale = (end - first) / total
        for j in range(first, end):
            ratio = q[j, 0] * scale
            for m in range(q.shape[1]):
                value = rates[fold[i], region[i], candidates[j], m] * ratio
                q[j, m] = min(max(value, 0.0), 1.0)
