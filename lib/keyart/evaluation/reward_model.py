"""What the response model expects of an artwork: its word in the direct method and in doubly robust estimates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["RewardModel"]

CHUNK = 200_000  # pairs at a time: their features take P x 8 bytes each
LARGEST_SCORE = 3.0
"""Scores are clipped at twenty times the average: beyond, the model has seen nothing."""


@dataclass(frozen=True)
class RewardModel:
    """Base rates by title times exp(the response model's score); position -1 is an artwork the model does not know."""

    features: np.ndarray  # (A + 1, P), the last row 0
    weights: np.ndarray  # (K, P)
    cell_mean: np.ndarray  # (C, A + 1), the last column 0
    base: Mapping[str, np.ndarray]  # by metric: (T + 1,), the last for titles without a base rate

    @classmethod
    def of(
        cls, arrays: Mapping[str, np.ndarray], position: np.ndarray, base: Mapping[str, Sequence[float] | np.ndarray]
    ) -> "RewardModel":
        """From the model's arrays, re-ordered: ``position`` (B,) is each wanted artwork's row of the model, or -1."""
        known = position >= 0
        features = np.where(known[:, None], np.asarray(arrays["features"])[position], 0.0)
        means = np.where(known, np.asarray(arrays["cell_mean"])[:, position], 0.0)
        return cls(
            np.vstack([features, np.zeros((1, features.shape[1]))]),
            np.asarray(arrays["weights"], dtype=np.float64),
            np.hstack([means, np.zeros((len(means), 1))]),
            {metric: np.asarray(values, dtype=np.float64) for metric, values in base.items()},
        )

    def ratios(self, standard: np.ndarray, member: np.ndarray, cell: np.ndarray, artwork: np.ndarray) -> np.ndarray:
        """Expected reward up to a factor of the title's, (n,), for rows of ``standard``, cells and artworks."""
        personal = standard @ self.weights  # (members, P)
        scores = self.cell_mean[cell, artwork]
        for start in range(0, len(artwork), CHUNK):
            part = slice(start, start + CHUNK)
            scores[part] += np.einsum("np,np->n", personal[member[part]], self.features[artwork[part]])
        return np.exp(np.clip(scores, -LARGEST_SCORE, LARGEST_SCORE))

    def predict(self, metric: str, title: np.ndarray, ratios: np.ndarray) -> np.ndarray:
        """Expected metric in [0, 1]; title -1 gets the base rate of unknown titles."""
        return np.clip(self.base[metric][title] * ratios, 0.0, 1.0)
