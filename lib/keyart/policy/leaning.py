"""What a cell shows to members who lean from it: those of a segment, those in a context, those who are both.

A leaning (D,) is what adds to the cell's scores of artworks, by their coordinates; leanings add up. C cells, A
artworks, T titles.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from keyart.policy.assignment import Slate, best_of_title
from keyart.policy.placement import Shelves

__all__ = ["departed", "leaning_shelf", "pull_of"]


def pull_of(leanings: np.ndarray, slate: Slate) -> np.ndarray:
    """What leanings (..., D) add to the scores of a slate's artworks, (..., A)."""
    return leanings @ np.asarray(slate.arrays["features"]).T


def departed(scores: np.ndarray, default: np.ndarray, slate: Slate, minimum_gain: float) -> np.ndarray:
    """(T,) each title's best by scores (A,) where it gains ``minimum_gain`` over ``default`` (T,), else that."""
    best = best_of_title(scores[None], slate)[0]
    gains = (best != default) & (scores[best] - scores[default] >= minimum_gain)
    return np.where(gains, best, default)


def leaning_shelf(
    shelves: Shelves, leanings: Sequence[np.ndarray], cell: int, minimum_gain: float
) -> tuple[Shelves, np.ndarray]:
    """What a cell shows to who leans in all of these ways, as shelves of one cell, and for which artworks (A,) that
    cannot be found elsewhere: of titles of which one way alone, or all of them, leave the cell's own default."""
    slate, here = shelves.slate, slice(cell, cell + 1)
    arrays, pulls = slate.arrays, [pull_of(leaning, slate) for leaning in leanings]
    mean, pull = np.asarray(arrays["cell_mean"])[here], np.sum(pulls, axis=0)
    default = best_of_title(mean, slate)[0]
    differs = np.zeros(len(slate.title_ids), dtype=bool)
    for way in [pull] if len(pulls) == 1 else [pull, *pulls]:
        differs |= departed(mean[0] + way, default, slate, minimum_gain) != default
    liking = np.asarray(arrays["loadings"]) @ np.sum(leanings, axis=0)
    weights = np.asarray(arrays["region_weights"])[here] + liking
    one = {name: np.asarray(arrays[name])[here] for name in ("cell_sd", "cell_n", "cell_takes")}
    own = replace(slate, arrays={**arrays, **one, "cell_mean": mean + pull, "region_weights": weights})
    made = Shelves(own, shelves.allowed[here], shelves.possible[here], shelves.means[here] + pull)
    return made, differs[slate.title_index]
