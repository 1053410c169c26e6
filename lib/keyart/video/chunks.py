"""Shots of a long film piece by piece: overlapping chunks of thumbnails, so that memory does not grow with the film."""

import math
from collections.abc import Sequence

import numpy as np

from keyart.video.exchange import Boundary

__all__ = ["CHUNK", "MARGIN", "chunk_borders", "chunk_boundaries", "joined"]

CHUNK = 4096
"""Frames a chunk is responsible for, at most: with its margins 6 MB of thumbnails."""
MARGIN = 240
"""Frames seen on either side of a chunk: more than any transition, its surroundings included, takes."""
NEAREST = 4
"""Two chunks that find the same boundary place it within so many frames."""


def chunk_borders(frames: int) -> list[int]:
    """First frames of a film's chunks, and its length: even, and the same however the film was decoded.

    >>> chunk_borders(10_000)
    [0, 3334, 6667, 10000]
    """
    count = max(1, math.ceil(frames / CHUNK))
    return [math.ceil(k * frames / count) for k in range(count + 1)]


def chunk_boundaries(thumbs: np.ndarray, first: int, begin: int, end: int, rate: float) -> list[Boundary]:
    """Boundaries in [begin, end) from thumbnails (n, 27, 48) whose first is frame ``first`` of the film.

    ``rate`` is frames per second.
    """
    from keyart.video.shots import find_boundaries  # what is compiled stays out of workers, which only lay chunks out

    found = (Boundary(first + boundary.frame, boundary.kind) for boundary in find_boundaries(thumbs, rate))
    return [boundary for boundary in found if begin <= boundary.frame < end]


def joined(boundaries: Sequence[Boundary], borders: Sequence[int]) -> list[Boundary]:
    """A film's boundaries from its chunks'; one that two chunks placed on either side of their border counts once."""
    kept: list[Boundary] = []
    for boundary in sorted(boundaries):
        twice = kept and boundary.frame - kept[-1].frame < NEAREST
        if not (twice and any(kept[-1].frame < border <= boundary.frame for border in borders)):
            kept.append(boundary)
    return kept
