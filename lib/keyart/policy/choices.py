"""The greedy choice at each level, for many members and titles at once: what a policy shows when not exploring."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from keyart.policy.levels import Levels
from keyart.policy.placement import EVERYWHERE, Placement

__all__ = ["RANKED", "GreedyChoices", "Kept", "level_choices", "user_choices"]

RANKED = ("level", "cell", "title_id", "artwork_id", "mean", "is_default")
"""Columns of region_assignments that ``Kept`` is made of."""


@dataclass(frozen=True)
class Kept:
    """Where artworks may be shown on a day, and each cell's order of preference of the titles that this concerns."""

    placement: Placement = EVERYWHERE
    day: date = date.min
    order: Mapping[tuple[str, str], Mapping[str, Sequence[str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, placement: Placement, day: date, rows: Iterable[tuple[str, str, str, str, float, bool]]) -> "Kept":
        """From rows of region_assignments as RANKED; the order is that of ``resolve``."""
        order: dict[tuple[str, str], dict[str, list[str]]] = {}
        for level, cell, title, artwork, _, _ in sorted(rows, key=lambda row: (not row[5], -row[4], row[3])):
            if title in placement.titles:
                order.setdefault((level, cell), {}).setdefault(title, []).append(artwork)
        return cls(placement, day, order)

    def best(self, cell: tuple[str, str], title: str, places: Sequence[str]) -> str | None:
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
    defaults: np.ndarray  # (C, T)
    kept: Kept = Kept()
    _rows: dict = field(default_factory=dict, init=False, repr=False, compare=False)  # by level and region

    @classmethod
    def of(
        cls,
        rows: Iterable[tuple[str, str, str, str]],
        parents: Mapping[str, str],
        artwork_ids: Iterable[str],
        kept: Kept = Kept(),
    ) -> "GreedyChoices":
        """From the default rows of region_assignments as (level, cell, title_id, artwork_id); ``artwork_ids`` are those
        that choices may be expressed in: all that members may override with, and the defaults."""
        found = sorted(rows)
        ids = tuple(sorted({*artwork_ids, *(artwork for *_, artwork in found)}))
        titles = tuple(sorted({title for _, _, title, _ in found}))
        cells = tuple(sorted({(level, cell) for level, cell, _, _ in found}))
        place, shelf, row = _places(ids), _places(titles), _places(cells)
        defaults = np.full((len(cells), len(titles)), -1)
        for level, cell, title, artwork in found:
            defaults[row[level, cell], shelf[title]] = place[artwork]
        return cls(ids, titles, Levels(cells, dict(parents)), defaults, kept)


def _places(values: Sequence) -> dict:
    return {value: i for i, value in enumerate(values)}


def level_choices(choices: GreedyChoices, level: str, regions: Sequence[str | None]) -> np.ndarray:
    """What a level ("region" or "global") shows in each region, (regions, T); -1 where no level knows the title, or
    nothing of it may be shown there.

    A region without an own default for a title falls back to its parent, then to the world, as ``resolve`` does; what
    may not be shown in the region is left out at every level.
    """
    for region in regions:
        if (level, region) not in choices._rows:
            choices._rows[level, region] = _row(choices, level, region)
    none = np.empty((0, len(choices.title_ids)), dtype=np.int64)
    return np.stack([choices._rows[level, region] for region in regions]) if len(regions) else none


def _row(choices: GreedyChoices, level: str, region: str | None) -> np.ndarray:
    chain = choices.levels.chain(region if level == "region" else None)
    shown = np.full(len(choices.title_ids), -1)
    for cell in chain:
        shown = np.where(shown < 0, choices.defaults[cell], shown)
    concerned = choices.kept.placement.titles
    if not concerned:
        return shown
    names = () if region is None else (region, choices.levels.parent(region))
    place = _places(choices.artwork_ids)
    for t, title in enumerate(choices.title_ids):
        if title not in concerned:
            continue
        answers = [choices.levels.cells[c] for c in chain if choices.defaults[c, t] >= 0]
        if answers:
            best = choices.kept.best(answers[0], title, names)
            shown[t] = -1 if best is None else place[best]
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
