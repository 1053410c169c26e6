"""Who of a title's people each candidate shows, and what that makes of its score: the lead up, extras down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keyart.vision.cast import cluster_cast

__all__ = ["Shown", "shown_cast"]

LEAD_GAIN, EXTRA_LOSS = 0.12, 0.15
"""What the lead adds to a score and an extra takes off; between them in proportion to screen time."""
EXTRA = 0.1
"""Share of the lead's screen time below which a person is an extra."""


@dataclass(frozen=True)
class Shown:
    """Of N candidates: each face's cluster (None: not told apart), the people shown, leads first; factors (N,)."""

    clusters: list[list[int | None]]
    people: list[list[int]]
    prominence: np.ndarray
    factor: np.ndarray


def shown_cast(details: Sequence[Sequence[Mapping[str, Any]]], shot_share: np.ndarray) -> Shown:
    """From the face details of N candidates (embedding empty where not told apart) and their shots' shares (N,).

    A shot's share is divided among its candidates, so that a long shot counts once for whom it shows.
    """
    owner = [row for row, faces in enumerate(details) for _ in faces]
    embeddings = [face["embedding"] for faces in details for face in faces]
    _, shot, count = np.unique(shot_share, return_inverse=True, return_counts=True)
    seconds = (np.asarray(shot_share, float) / np.maximum(count[shot], 1)) if len(shot_share) else np.zeros(0)
    cast = cluster_cast(embeddings, seconds[owner] if owner else np.zeros(0))
    clusters: list[list[int | None]] = [[] for _ in details]
    for row, who in zip(owner, cast.cluster, strict=True):
        clusters[row].append(None if who < 0 else int(who))
    people = [sorted({who for who in faces if who is not None}) for faces in clusters]
    factor = np.array([_factor(shown, cast.prominence) for shown in people], float)
    return Shown(clusters, people, cast.prominence, factor)


def _factor(shown: Sequence[int], prominence: np.ndarray) -> float:
    """1 where nobody is known or there is but one person to know; by the most prominent person shown."""
    if not shown or len(prominence) < 2:
        return 1.0
    relative = float(prominence[shown[0]] / prominence[0])
    return 1 - EXTRA_LOSS if relative < EXTRA else 1 + LEAD_GAIN * relative
