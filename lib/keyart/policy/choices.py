"""The greedy choice at each level, for many members and titles at once: what a policy shows when not exploring."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from keyart.policy.levels import Levels

__all__ = ["GreedyChoices", "level_choices", "user_choices"]


@dataclass(frozen=True)
class GreedyChoices:
    """Each cell's default artwork of each title, as positions in ``artwork_ids``; -1 where a cell has none."""

    artwork_ids: tuple[str, ...]
    title_ids: tuple[str, ...]
    levels: Levels
    defaults: np.ndarray  # (C, T)

    @classmethod
    def of(
        cls,
        rows: Iterable[tuple[str, str, str, str]],
        parents: Mapping[str, str],
        artwork_ids: Iterable[str],
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
        return cls(ids, titles, Levels(cells, dict(parents)), defaults)


def _places(values: Sequence) -> dict:
    return {value: i for i, value in enumerate(values)}


def level_choices(choices: GreedyChoices, level: str, regions: Sequence[str | None]) -> np.ndarray:
    """What a level ("region" or "global") shows in each region, (regions, T); -1 where no level knows the title.

    A region without an own default for a title falls back to its parent, then to the world, as ``resolve`` does.
    """
    shown = np.full((len(regions), len(choices.title_ids)), -1)
    for i, region in enumerate(regions):
        for cell in choices.levels.chain(region if level == "region" else None):
            shown[i] = np.where(shown[i] < 0, choices.defaults[cell], shown[i])
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
