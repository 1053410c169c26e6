"""Who gets what: the artworks a policy chooses from, the best at each level, and where a member's best differs from it.

Arrays only. A is the number of artworks of the policy, T of titles, C of cells (levels' regions), n of members.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numba import njit

from keyart.errors import ModelError
from keyart.policy.exploration import Exploration

__all__ = [
    "PER_ARTWORK", "PER_CELL_ARTWORK", "Overrides", "Slate", "best_of_title", "build_slate", "level_probabilities",
    "overrides", "scored_overrides",
]  # fmt: skip

HELD = 1_000_000
"""Scores held at once: 4 MB, which the processor keeps near."""
PER_ARTWORK = ("features", "feature_values")
"""Arrays of the response model with a row an artwork."""
PER_CELL_ARTWORK = ("cell_mean", "cell_n", "cell_takes")
"""Those with a column an artwork; what no decision was seen of has 0."""


@dataclass(frozen=True)
class Slate:
    """The artworks a policy chooses from, title by title, with the response model's arrays in that order."""

    artwork_ids: np.ndarray  # (A,) text
    title_ids: np.ndarray  # (T,) text
    title_index: np.ndarray  # (A,) ascending
    starts: np.ndarray  # (T,) first artwork of each title
    known: np.ndarray  # (A,) whether the model was trained with the artwork
    arrays: Mapping[str, np.ndarray]  # the response model's names; artworks it does not know have average values (0)

    @property
    def sizes(self) -> np.ndarray:
        """(T,) artworks of each title."""
        return np.diff(np.append(self.starts, len(self.artwork_ids)))


def build_slate(
    artworks: Sequence[tuple[str, str, int]], model_ids: Sequence[str], arrays: Mapping[str, np.ndarray]
) -> Slate:
    """The slate of active artworks, given as (artwork_id, title_id, rank).

    Within a title artworks stand by rank, so that equals are decided by what selection thought. An artwork that the
    model does not know (it is newer) gets its title's average at every level: score 0, no decisions, the cell's widest
    sd. ModelError where nothing is active.
    """
    if not artworks:
        raise ModelError("no active artwork to assign; run select-artwork first")
    ordered = sorted(artworks, key=lambda row: (row[1], row[2], row[0]))
    artwork_ids = np.array([row[0] for row in ordered])
    title_ids, starts, title_index = np.unique([row[1] for row in ordered], return_index=True, return_inverse=True)
    place = {artwork: i for i, artwork in enumerate(model_ids)}
    model = np.array([place.get(artwork, -1) for artwork in artwork_ids])
    known = model >= 0
    taken = {name: np.array(values) for name, values in arrays.items()}  # no memory maps in closures
    for name in PER_ARTWORK:
        taken[name] = np.where(known[:, None], np.asarray(arrays[name])[model], 0)
    for name in PER_CELL_ARTWORK:
        taken[name] = np.where(known, np.asarray(arrays[name])[:, model], 0)
    sd = np.asarray(arrays["cell_sd"])
    taken["cell_sd"] = np.where(known, sd[:, model], sd.max(axis=1, keepdims=True))
    taken["title_index"] = title_index
    return Slate(artwork_ids, title_ids, title_index, starts, known, taken)


def best_of_title(scores: np.ndarray, slate: Slate) -> np.ndarray:
    """Index of each title's best artwork, (n, T) for scores (n, A); the first (best-ranked) of equals."""
    top = np.maximum.reduceat(scores, slate.starts, axis=1)
    position = np.where(scores == top[:, slate.title_index], np.arange(scores.shape[1]), scores.shape[1])
    return np.minimum.reduceat(position, slate.starts, axis=1)


def level_probabilities(
    exploration: Exploration, scores: np.ndarray, sds: np.ndarray, slate: Slate, noise: np.ndarray
) -> np.ndarray:
    """Probability of each artwork among its title's, (C, A) for level scores and sds (C, A) and the exploration's noise
    (A, M)."""
    column = np.arange(scores.shape[1]) - slate.starts[slate.title_index]
    shelf = (len(slate.title_ids), int(slate.sizes.max()))
    padded, spread = np.full((len(scores), *shelf), -np.inf), np.zeros((len(scores), *shelf))
    drawn = np.zeros((*shelf, noise.shape[1]))
    padded[:, slate.title_index, column], spread[:, slate.title_index, column] = scores, sds
    drawn[slate.title_index, column] = noise
    return exploration.propensities(padded, spread, drawn)[:, slate.title_index, column]


@dataclass(frozen=True)
class Overrides:
    """Where members leave their level's default: one entry a member x title, ordered by both."""

    member: np.ndarray  # row of scores
    title: np.ndarray
    artwork: np.ndarray
    default: np.ndarray  # what the level would have shown
    gain: np.ndarray  # in log reward over the default


def overrides(scores: np.ndarray, defaults: np.ndarray, slate: Slate, minimum_gain: float) -> Overrides:
    """Members' own choices where they gain at least ``minimum_gain`` over the default.

    ``scores`` (n, A) are members' expected log rewards, ``defaults`` (n, T) the artworks their levels show.
    """
    n = len(scores)
    level = np.zeros((1, scores.shape[1]), dtype=scores.dtype)
    return _found(scores, level, np.zeros(n, np.int64), defaults, np.arange(n), slate, minimum_gain)


def scored_overrides(
    taste: np.ndarray,
    cells: np.ndarray,
    level: np.ndarray,
    defaults: np.ndarray,
    slate: Slate,
    minimum_gain: float,
    shelves: np.ndarray | None = None,
) -> Overrides:
    """``overrides`` of scores that are never held as a whole: level means (C, A) plus taste (n, D) times features.

    ``cells`` (n,) are the members' cells, ``defaults`` (C, T) what these show; with ``shelves`` (n,) these are the rows
    of ``defaults`` that members are shown. Single precision: what differs by less
    than about 1e-6 of a score counts as equal.
    """
    features = np.asarray(slate.arrays["features"], np.float32).T
    taste, level = taste.astype(np.float32), level.astype(np.float32)
    step = max(1, HELD // max(1, features.shape[1]))
    dots = np.empty((step, features.shape[1]), np.float32)  # one buffer: fresh pages cost more than the sums
    parts, shelves = [], cells if shelves is None else shelves
    for start in range(0, len(taste), step):
        here = taste[start : start + step]
        scores = np.matmul(here, features, out=dots[: len(here)])
        rows, shown = cells[start : start + step], shelves[start : start + step]
        found = _found(scores, level, rows, defaults, shown, slate, minimum_gain)
        parts.append(replace(found, member=found.member + start))
    if not parts:
        return overrides(np.empty((0, features.shape[1])), np.empty((0, len(slate.starts)), int), slate, minimum_gain)
    return Overrides(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Overrides)))


def _found(scores, level, cells, defaults, rows, slate: Slate, minimum_gain: float) -> Overrides:
    borders = np.append(slate.starts, len(slate.artwork_ids))
    room = len(scores) * len(slate.starts)
    lists = [np.empty(room, np.int64) for _ in range(4)]
    gain = np.empty(room, scores.dtype)
    member, title, artwork, default = lists
    count = _depart(scores, level, cells, borders, defaults, rows, minimum_gain, member, title, artwork, default, gain)
    member, title, artwork, default = (values[:count].copy() for values in lists)
    return Overrides(member, title, artwork, default, gain[:count].copy())


@njit(cache=True, nogil=True, error_model="numpy")
def _depart(scores, level, cells, borders, defaults, rows, minimum, member, title, artwork, default, gain):
    """Fill the lists with each title's first best where it is better than the default, and say how many there are."""
    count = 0
    for i in range(len(scores)):
        row, base, standing = scores[i], level[cells[i]], defaults[rows[i]]
        for t in range(len(borders) - 1):
            first, at = borders[t], standing[t]
            best, top = first, row[first] + base[first]
            for a in range(first + 1, borders[t + 1]):
                value = row[a] + base[a]
                if value > top:
                    best, top = a, value
            more = top - (row[at] + base[at])
            if best != at and more >= minimum:
                member[count], title[count], artwork[count], default[count], gain[count] = i, t, best, at, more
                count += 1
    return count
