"""Look-ups over the facts that several pages need: artworks, a title's default in a region, captions, file names."""

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from keyart.policy.levels import SEGMENT, segment_cell
from keyart.report import wording
from keyart.report.facts import Facts, Picture, Row

__all__ = ["EVERYWHERE", "Catalogue", "Default", "Region", "gain", "interval_of", "page_of"]

EVERYWHERE = "*"
"""The cell of the global level."""
Z95 = 1.959963984540054
"""Two-sided 95% quantile of the normal distribution."""


@dataclass(frozen=True)
class Default:
    """What a level shows of a title; ``level`` is region, parent or global, or rank before anyone saw anything."""

    artwork_id: str
    level: str
    row: Row | None


@dataclass(frozen=True)
class Region:
    """A region and its parent."""

    name: str
    parent: str


def gain(log_ratio: float) -> float:
    """A difference of logs as a relative change, exp(x) - 1."""
    return math.expm1(log_ratio)


def interval_of(row: Row) -> tuple[float, float, float]:
    """Reward relative to the title's average artwork: value and 95% interval as relative changes."""
    mean, spread = row["mean"], Z95 * row["sd"]
    return gain(mean), gain(mean - spread), gain(mean + spread)


class Catalogue:
    """The facts with their look-ups built once."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.titles: list[Row] = sorted(facts.titles, key=lambda row: (row["name"].casefold(), row["title_id"]))
        self.title = {row["title_id"]: row for row in facts.titles}
        self.artwork = {row["artwork_id"]: row for row in facts.artworks}
        self.artworks = _grouped(sorted(facts.artworks, key=lambda r: (r["rank"], r["artwork_id"])), "title_id")
        self.candidates = _grouped(sorted(facts.candidates, key=lambda r: (r["seconds"], r["pts"])), "title_id")
        self.videos = _grouped(sorted(facts.videos, key=lambda r: (r["uri"], r["video_id"])), "title_id")
        self.number = {r["artwork_id"]: n for rows in self.artworks.values() for n, r in enumerate(rows, 1)}
        self.seen = {row["artwork_id"]: (row["n"], row["takes"]) for row in facts.seen}
        self._crowds = {(row["artwork_id"], row["region"]): row["members"] for row in facts.crowds}
        self._policy = facts.policy["policy_id"] if facts.policy else ""
        self._cells: dict[tuple[str, str, str, str], list[Row]] = defaultdict(list)
        for row in sorted(facts.assignments, key=lambda r: r["artwork_id"]):
            if row["artwork_id"] in self.artwork:
                self._cells[row["policy_id"], row["level"], row["cell"], row["title_id"]].append(row)
        self.regions = self._regions()

    def _regions(self) -> list[Region]:
        """Every region, so that all titles speak of the same ones; none before there is a policy."""
        found = self.facts.regions if self.facts.policy else {}
        return sorted((Region(name, self.parent(name)) for name in found), key=lambda r: (r.parent, r.name))

    def parent(self, region: str) -> str:
        """The region's parent as configured."""
        return self.facts.regions.get(region, "other")

    def cell(self, level: str, cell: str, title_id: str, policy: str | None = None) -> Sequence[Row]:
        """A level's rows for a title: its distribution over the active artworks; empty where the level has none.

        Of the newest policy unless another is named.
        """
        return self._cells.get((self._policy if policy is None else policy, level, cell, title_id), ())

    def default(
        self, title_id: str, region: str = EVERYWHERE, policy: str | None = None, segment: str = ""
    ) -> Default | None:
        """What a member without overrides sees, from segment, region, parent, global or rank; None without artworks."""
        levels = [("global", EVERYWHERE)]
        if region != EVERYWHERE:
            levels = [("region", region), ("parent", self.parent(region)), *levels]
        for level, cell in levels:
            usual = self.cell(level, cell, title_id, policy)
            its_own = (
                self.cell(SEGMENT, segment_cell(level, cell, segment), title_id, policy) if segment and usual else ()
            )
            for row in its_own or usual:
                if row["is_default"]:
                    return Default(row["artwork_id"], row["level"], row)
        ranked = self.artworks.get(title_id)
        return Default(ranked[0]["artwork_id"], "rank", None) if ranked else None

    def cells_of(self, title_id: str) -> list[tuple[str, str]]:
        """The (level, cell) pairs that know a title: global first, then each parent before its regions."""
        parents = sorted({region.parent for region in self.regions})
        order = [("global", EVERYWHERE)]
        for parent in parents:
            order.append(("parent", parent))
            order += [("region", region.name) for region in self.regions if region.parent == parent]
        return [pair for pair in order if self.cell(*pair, title_id)]

    def is_few(self, artwork_id: str, n: int, level: str = "global", cell: str = EVERYWHERE) -> bool:
        """Whether an artwork's figures at a level rest on fewer members than privacy.smallest_cell.

        Where nobody counted the members, their ``n`` decisions stand for them.
        """
        regions = [row.name for row in self.regions if row.parent == cell] if level == "parent" else [cell]
        found = [self._crowds.get((artwork_id, None if level == "global" else region)) for region in regions]
        counted = [members for members in found if members is not None]
        return min(n, sum(counted) if counted else n) < max(self.facts.smallest_cell, 1)

    def counted(self, row: Row) -> tuple[str, str, str]:
        """Decisions, takes and reason of a level's row; of a cell below privacy.smallest_cell only that it is."""
        few = self.facts.smallest_cell
        if self.is_few(row["artwork_id"], row["n"], row["level"], row["cell"]):
            return f"under {few}", wording.NOTHING, "few members of its own: mostly what is known above it"
        return wording.count(row["n"]), wording.count(row["takes"]), wording.reason(row["reason"])

    def picture(self, row: Row | None) -> Picture | None:
        """The thumbnail of an artwork or candidate."""
        return None if row is None else self.facts.pictures.get(row["image_hash"])

    def cover(self, title_id: str) -> Row | None:
        """The row whose picture stands for the title: its default artwork, else its best candidate."""
        default = self.default(title_id)
        if default is not None:
            return self.artwork[default.artwork_id]
        found = self.candidates.get(title_id, ())
        return max(found, key=lambda row: (row["quality"], -row["pts"])) if found else None

    def alt(self, row: Row) -> str:
        """An artwork in words, for those who cannot see it."""
        parts = []
        if row.get("shot_type") not in (None, "none"):
            parts.append(f"{row['shot_type']} shot")
        faces = len(row.get("faces") or ())
        if faces:
            parts.append("one face" if faces == 1 else f"{faces} faces")
        parts += list(row.get("moods") or ())[:3]
        if row.get("seconds") is not None:
            parts.append(f"at {wording.clock(row['seconds'])}")
        name = self.title[row["title_id"]]["name"]
        return f"{name}: {', '.join(parts)}" if parts else f"{name}: a picture"


def page_of(title_id: str) -> str:
    """File name of a title's page: readable, safe as a file and in an address, one a title.

    >>> page_of("../Night & Day").startswith("title-night-day-")
    True
    """
    words = "-".join(re.findall(r"[a-z0-9]+", title_id.lower()))[:40].strip("-") or "untitled"
    return f"title-{words}-{hashlib.sha256(title_id.encode()).hexdigest()[:8]}.html"


def _grouped(rows: Sequence[Row], key: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[key]].append(row)
    return dict(groups)
