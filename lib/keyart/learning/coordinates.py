"""The few coordinates in which artworks of a title differ: principal directions of the feature vector."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Coordinates", "artwork_coordinates", "by_title", "centred_within"]


@dataclass(frozen=True)
class Coordinates:
    """Artworks as the model sees them; ``features`` = ``values`` @ ``loadings``."""

    values: np.ndarray  # (A, F) named features, centred within title, of unit variance
    loadings: np.ndarray  # (F, P) from named features to coordinates
    features: np.ndarray  # (A, P) coordinates; an artwork's squared length is 1 on average


def by_title(values: np.ndarray, title_index: np.ndarray) -> np.ndarray:
    """Sums (T, m) over each title's artworks of values (A, m)."""
    sums = np.zeros((int(title_index.max(initial=-1)) + 1, values.shape[1]))
    np.add.at(sums, title_index, values)
    return sums


def centred_within(values: np.ndarray, title_index: np.ndarray) -> np.ndarray:
    """Values (A, m) minus the mean of their title's."""
    counts = np.maximum(np.bincount(title_index), 1)[:, None]
    return values - (by_title(values, title_index) / counts)[title_index]


def artwork_coordinates(vectors: np.ndarray, title_index: np.ndarray, dimensions: int) -> Coordinates:
    """Coordinates of feature vectors (A, F), at most ``dimensions`` and at most as many as the vectors span.

    Only differences between a title's artworks count: what all of them share is the title's, not the artwork's. A
    feature that differs nowhere gets value 0. Directions keep their own variances (a whitened small direction would be
    noise) and are scaled together, so that one L2 strength means the same for any catalogue.
    """
    centred = centred_within(np.asarray(vectors, dtype=np.float64), title_index)
    spread = np.sqrt(np.mean(centred**2, axis=0))
    values = np.where(spread > 1e-9, centred / np.where(spread > 1e-9, spread, 1.0), 0.0)
    _, lengths, directions = np.linalg.svd(values, full_matrices=False)
    count = max(1, min(dimensions, int(np.sum(lengths > 1e-6 * max(lengths[0], 1e-300)))))
    kept = directions[:count]
    # A direction's sign is arbitrary: its largest loading is made positive so that reruns agree.
    kept = kept * np.sign(kept[np.arange(count), np.argmax(np.abs(kept), axis=1)])[:, None]
    size = np.sqrt(np.sum(lengths[:count] ** 2) / len(values))
    loadings = kept.T / (size if size > 0 else 1.0)
    return Coordinates(values, loadings, values @ loadings)
