"""Which candidates of a title can still win, so that expensive detectors look at no others."""

import numpy as np

from keyart.selection.diversity import without_near_duplicates
from keyart.selection.ranking import Candidates, rank

__all__ = ["shortlist"]

PER_PLACE = 3
"""Finalists for each artwork wanted."""


def shortlist(candidates: Candidates, most: int, spoiler_share: float) -> list[int]:
    """Indices of the usable candidates, of near-duplicates the best, with the PER_PLACE x ``most`` best scores."""
    if not len(candidates.hashes):
        return []
    ranking = rank(candidates, spoiler_share)
    if not ranking.usable.any():
        return []
    kept = np.flatnonzero(without_near_duplicates(candidates, ranking, list(ranking.problem)))
    order = kept[np.lexsort((candidates.seconds[kept], -ranking.score[kept]))]
    return [int(index) for index in order[: PER_PLACE * most]]
