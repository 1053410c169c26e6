"""What is expected of an artwork before anyone is asked: the model's word in the direct method and in doubly robust
estimates, cross-fitted by member.

Rates by region and artwork are sums over members, so the rates that a member's decisions are judged by are the sums of
all folds but their own. The response model adds what it knows of the member, but only where it was not fitted on them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit

__all__ = ["PRIOR_SUCCESSES", "RewardModel", "cross_fitted_rates", "response_rates", "shrunk_rates"]

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


def response_rates(
    n: np.ndarray, successes: np.ndarray, title_of: np.ndarray, titles: int, scores: np.ndarray
) -> np.ndarray:
    """Rates (1, R, A) by the response model's word alone: titles' rates from counts (R, A), and artworks among a
    title's in proportion to exp(score), for scores (R, A) of regions."""
    by_title = [np.bincount(title_of, values.sum(axis=0), titles) for values in (n, successes)]
    overall = max(successes.sum(), 1e-3) / max(n.sum(), 1.0)
    title = (by_title[1] + PRIOR_SUCCESSES) / (by_title[0] + PRIOR_SUCCESSES / overall)
    worth = np.exp(np.clip(scores, -LARGEST_SCORE, LARGEST_SCORE))
    size = np.bincount(title_of, minlength=titles)
    mean = np.stack([np.bincount(title_of, row, titles) / size for row in worth])
    return (title[title_of] * worth / mean[:, title_of])[None]


AHEAD = 32
"""Decisions whose rates are asked for together."""


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
        (members, V); a row of zeros is a member of whom the response model may say nothing. Whoever the
        member is, an even draw is worth the mean of the rates: scores say what among a title's artworks they like, not
        how much they watch.
        """
        personal = (standard @ self.weights).astype(np.float32)  # (members, P)
        q = np.empty((len(candidates), self.rates.shape[3]), dtype=np.float32)
        _predict(self.rates, self.features, personal, fold, region, member, offsets, candidates, LARGEST_SCORE, q)
        return q


@njit(cache=True, nogil=True, error_model="numpy")
def _predict(rates, features, personal, fold, region, member, offsets, candidates, largest, q):
    even, liked = np.zeros(q.shape[1]), np.zeros(q.shape[1])
    n, touched = len(offsets) - 1, 0.0
    for i in range(n):
        if i % AHEAD == 0:  # the memory of some decisions is asked for at once: it lies far apart
            for j in range(i, min(i + AHEAD, n)):
                if offsets[j] < offsets[j + 1]:
                    touched += rates[fold[j], region[j], candidates[offsets[j]], 0]
        taste = personal[member[i]]
        known = False
        for p in range(len(taste)):
            known = known or taste[p] != 0.0
        first, end = offsets[i], offsets[i + 1]
        shelf = rates[fold[i], region[i]]
        if not known:
            for j in range(first, end):
                for m in range(q.shape[1]):
                    q[j, m] = min(max(shelf[candidates[j], m], 0.0), 1.0)
            continue
        even[:], liked[:] = 0.0, 0.0
        for j in range(first, end):
            score = 0.0
            for p in range(len(taste)):
                score += taste[p] * features[candidates[j], p]
            ratio = np.exp(min(max(score, -largest), largest))
            for m in range(q.shape[1]):
                even[m] += shelf[candidates[j], m]
                q[j, m] = shelf[candidates[j], m] * ratio
                liked[m] += q[j, m]
        for j in range(first, end):
            for m in range(q.shape[1]):
                scale = even[m] / liked[m] if liked[m] > 0.0 else 0.0
                q[j, m] = min(max(q[j, m] * scale, 0.0), 1.0)
    return touched
