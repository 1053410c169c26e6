"""The greedy choice at each level, for many members and titles at once: what a policy shows when not exploring."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import product

import numpy as np

from keyart.policy.contexts import EVERY
from keyart.policy.levels import Levels
from keyart.policy.placement import EVERYWHERE, Placement

__all__ = [
    "DEFAULTS",
    "RANKED",
    "GreedyChoices",
    "Kept",
    "Shelved",
    "level_choices",
    "of_segments",
    "segment_choices",
    "user_choices",
]

DEFAULTS = ("level", "cell", "context", "title_id", "artwork_id")
"""Columns of region_assignments that ``GreedyChoices`` is made of, of its default rows."""
RANKED = (*DEFAULTS, "mean", "is_default")
"""Columns of region_assignments that ``Kept`` is made of."""


Shelved = tuple[str, str, str]
"""Level, cell and context of a shelf."""
Coded = tuple[np.ndarray, Sequence[str | None]]
"""Places (n,) among texts, and these: ``columns.per_text``."""


@dataclass(frozen=True)
class Kept:
    """Where artworks may be shown on a day, and each cell's order of preference of the titles that this concerns."""

    placement: Placement = EVERYWHERE
    day: date = date.min
    order: Mapping[Shelved, Mapping[str, Sequence[str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, placement: Placement, day: date, rows: Iterable[tuple[str, str, str, str, str, float, bool]]) -> "Kept":
        """From rows of region_assignments as RANKED; the order is that of ``resolve``."""
        order: dict[Shelved, dict[str, list[str]]] = {}
        for *shelved, title, artwork, _, _ in sorted(rows, key=lambda row: (not row[6], -row[5], row[4])):
            if title in placement.titles:
                order.setdefault(tuple(shelved), {}).setdefault(title, []).append(artwork)  # type: ignore[arg-type]
        return cls(placement, day, order)

    def best(self, cell: Shelved, title: str, places: Sequence[str]) -> str | None:
        """The artwork that a cell prefers among those of a title that may be shown in a place."""
        ids = self.order.get(cell, {}).get(title, ())
        allowed = self.placement.allowed(title, ids, places, self.day)
        return next((artwork for artwork, may in zip(ids, allowed, strict=True) if may), None)


@dataclass(frozen=True)
class GreedyChoices:
    """Each cell's default artwork of each title, as positions in ``artwork_ids``; -1 where a cell has none."""

    artwork_ids: tuple[str, ...]
    title_ids: tuple[str, ...]
    levels: Levels
    defaults: np.ndarray  # (C, T) where no context is named
    kept: Kept = Kept()
    special: Mapping[Shelved, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    """Of cells in contexts, the titles that have another default there, and these."""
    _rows: dict = field(default_factory=dict, init=False, repr=False, compare=False)  # by whom they are for

    @classmethod
    def of(
        cls,
        rows: Iterable[tuple[str, str, str, str, str]],
        parents: Mapping[str, str],
        artwork_ids: Iterable[str],
        kept: Kept = Kept(),
    ) -> "GreedyChoices":
        """From the default rows of region_assignments as DEFAULTS; ``artwork_ids`` are those that choices may be
        expressed in: all that members may override with, and the defaults."""
        found = sorted(rows)
        ids = tuple(sorted({*artwork_ids, *(artwork for *_, artwork in found)}))
        titles = tuple(sorted({title for *_, title, _ in found}))
        cells = tuple(sorted({(level, cell) for level, cell, *_ in found}))
        place, shelf, row = _places(ids), _places(titles), _places(cells)
        defaults = np.full((len(cells), len(titles)), -1)
        special: dict[Shelved, list[tuple[int, int]]] = {}
        for level, cell, context, title, artwork in found:
            if context == EVERY:
                defaults[row[level, cell], shelf[title]] = place[artwork]
            else:
                special.setdefault((level, cell, context), []).append((shelf[title], place[artwork]))
        both = {key: tuple(np.array(pairs).T) for key, pairs in special.items()}
        return cls(ids, titles, Levels(cells, dict(parents)), defaults, kept, both)  # type: ignore[arg-type]

    def shown(self, cell: int, context: str) -> np.ndarray:
        """(T,) what a cell has for a context itself."""
        if context == EVERY:
            return self.defaults[cell]
        found = np.full(len(self.title_ids), -1)
        titles, artworks = self.special.get((*self.levels.cells[cell], context), (found[:0], found[:0]))
        found[titles] = artworks
        return found


def _places(values: Sequence) -> dict:
    return {value: i for i, value in enumerate(values)}


def level_choices(choices: GreedyChoices, level: str, regions: Sequence[str | None]) -> np.ndarray:
    """What a level ("region" or "global") shows in each region, (regions, T); -1 where no level knows the title, or
    nothing of it may be shown there.

    A region without an own default for a title falls back to its parent, then to the world, as ``resolve`` does; what
    may not be shown in the region is left out at every level.
    """
    return _rows_of(choices, [(level, region, "", EVERY) for region in regions])


def segment_choices(
    choices: GreedyChoices,
    regions: Sequence[str | None],
    segments: Sequence[str],
    contexts: Sequence[str] | None = None,
) -> np.ndarray:
    """As ``level_choices`` of the level "region", (n, T), for members of segments ("": of none) in contexts (None: none
    is named), region by region."""
    named = contexts or [EVERY] * len(regions)
    return _rows_of(choices, [("region", *one) for one in zip(regions, segments, named, strict=True)])


def of_segments(greedy: GreedyChoices, region: Coded, segment: Coded) -> tuple[np.ndarray, np.ndarray]:
    """``segment_choices`` (U, T) of the different pairs of region and segment, and which of them (n,) each member has;
    a place of -1 is none."""
    pairs, place = np.unique(np.stack([region[0], segment[0]]), axis=1, return_inverse=True)
    names = [(segment[1][s] or "") if s >= 0 else "" for s in pairs[1]]
    return segment_choices(greedy, [region[1][r] for r in pairs[0]], names), place.ravel()


def _rows_of(choices: GreedyChoices, wanted: Sequence[tuple[str, str | None, str, str]]) -> np.ndarray:
    for key in wanted:
        if key not in choices._rows:
            choices._rows[key] = _row(choices, *key)
    none = np.empty((0, len(choices.title_ids)), dtype=np.int64)
    return np.stack([choices._rows[key] for key in wanted]) if wanted else none


def _row(choices: GreedyChoices, level: str, region: str | None, segment: str, context: str) -> np.ndarray:
    shown = np.full(len(choices.title_ids), -1)
    answering = shown.copy()  # which of the shelves does for each title
    shelves: list[Shelved] = []
    contexts = tuple(dict.fromkeys((context, EVERY)))
    for cell in choices.levels.chain(region if level == "region" else None):
        narrower = choices.levels.of_segment(cell, segment)
        known = np.any([choices.shown(cell, where) >= 0 for where in contexts], axis=0)
        for where, at in product(contexts, (cell,) if narrower is None else (narrower, cell)):  # as ``resolve`` does
            own = choices.shown(at, where)
            new = (answering < 0) & known & (own >= 0)
            shown, answering = np.where(new, own, shown), np.where(new, len(shelves), answering)
            shelves.append((*choices.levels.cells[at], where))
    concerned = choices.kept.placement.titles
    if not concerned:
        return shown
    names = () if region is None else (region, choices.levels.parent(region))
    place_of = _places(choices.artwork_ids)
    for t, title in enumerate(choices.title_ids):
        if title in concerned and answering[t] >= 0:
            best = choices.kept.best(shelves[answering[t]], title, names)
            shown[t] = -1 if best is None else place_of[best]
    return shown


def user_choices(
    fallback: np.ndarray,
    member: np.ndarray,
    title: np.ndarray,
    override_member: np.ndarray,
    override_title: np.ndarray,
    override_artwork: np.ndarray,
) -> np.ndarray:
    """What members are shown: their override of the title where they have one, else ``fallback``.

    (n,) arrays of fallback artwork, member and title against lists of overrides; members and titles are codes from 0.
    """
    if not len(override_member):
        return fallback
    titles = int(max(title.max(initial=0), override_title.max())) + 1
    keys = override_member.astype(np.int64) * titles + override_title
    order = np.argsort(keys, kind="stable")
    wanted = member.astype(np.int64) * titles + title
    place = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    hit = keys[order][place] == wanted
    return np.where(hit, override_artwork[order][place], fallback)
