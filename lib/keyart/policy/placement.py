"""Where and when each artwork may be shown: what policy excludes, what editors ban, pin and put in a window.

A rule speaks of one artwork. It holds in its regions (a parent region stands for all of its own; none: everywhere) and
from its first day until the day before its end. What may be shown in a place on a day is decided before any draw, at
every level alike, so that propensities are of what can be served.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np

from keyart.policy.assignment import PER_ARTWORK, PER_CELL_ARTWORK, Slate, best_of_title, level_probabilities
from keyart.policy.exploration import Exploration
from keyart.policy.floors import NO_FLOOR, Floor
from keyart.policy.levels import GLOBAL, Levels

__all__ = ["ACTIONS", "EVERYWHERE", "Placed", "Placement", "Rule", "Shelves", "place"]

ACTIONS = ("ban", "pin", "only")
"""ban: not shown where the rule holds; pin: where it holds nothing else is; only: shown nowhere else."""


@dataclass(frozen=True)
class Rule:
    """One artwork's rule; ``until`` is the day after its last."""

    title_id: str
    artwork_id: str
    action: str
    regions: tuple[str, ...] = ()
    begins: date | None = None
    until: date | None = None

    def holds(self, places: Collection[str], day: date) -> bool:
        """Whether it does on a day in a region, given as its own name and its parent's."""
        here = not self.regions or any(name in places for name in self.regions)
        return here and (self.begins is None or self.begins <= day) and (self.until is None or day < self.until)


@dataclass(frozen=True)
class Placement:
    """All rules."""

    rules: tuple[Rule, ...] = ()
    _by_title: Mapping[str, tuple[Rule, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        grouped: dict[str, list[Rule]] = {}
        for rule in self.rules:
            grouped.setdefault(rule.title_id, []).append(rule)
        object.__setattr__(self, "_by_title", {title: tuple(rules) for title, rules in grouped.items()})

    @property
    def titles(self) -> Collection[str]:
        """Titles of which something is said."""
        return self._by_title.keys()

    @property
    def regions(self) -> frozenset[str]:
        """Regions and parents that a rule names."""
        return frozenset(name for rule in self.rules for name in rule.regions)

    def on(self, day: date) -> "Placement":
        """The rules as they stand on one day: without dates, and without those that do not hold on it.

        An artwork none of whose windows is open is banned everywhere.
        """
        live = {
            replace(rule, begins=None, until=None) for rule in self.rules if replace(rule, regions=()).holds((), day)
        }
        windowed, open_ = (
            {(r.title_id, r.artwork_id) for r in rules if r.action == "only"} for rules in (self.rules, live)
        )
        return Placement(tuple(sorted(live | {Rule(*shut, "ban") for shut in windowed - open_}, key=str)))

    @property
    def ever(self) -> "Placement":
        """The rules that hold on every day: what they leave may be shown on some day."""
        lasting = [rule for rule in self.rules if rule.action == "ban" and rule.begins is None and rule.until is None]
        windows = [replace(rule, begins=None, until=None) for rule in self.rules if rule.action == "only"]
        return Placement(tuple(sorted({*lasting, *windows}, key=str)))

    def allowed(self, title_id: str, artwork_ids: Sequence[str], places: Collection[str], day: date) -> np.ndarray:
        """Which artworks of a title (A,) may be shown on a day in a place: a region's name and its parent's, a parent's
        name alone, or () for members of whom no region is known.

        A pin counts among what may be shown at all: it never brings back what is excluded.
        """
        rules = self._by_title.get(title_id, ())
        if not rules:
            return np.ones(len(artwork_ids), dtype=bool)
        holding = [rule for rule in rules if rule.holds(places, day)]
        by_action = {action: {r.artwork_id for r in holding if r.action == action} for action in ACTIONS}
        windowed = {rule.artwork_id for rule in rules if rule.action == "only"}
        may = [a not in by_action["ban"] and (a not in windowed or a in by_action["only"]) for a in artwork_ids]
        pinned = [fine and a in by_action["pin"] for fine, a in zip(may, artwork_ids, strict=True)]
        return np.array(pinned if any(pinned) else may, dtype=bool)

    def said(self, day: date) -> tuple[str, ...]:
        """For the policy's row: what holds on a day, and a short hash that tells it from what held before."""
        now = self.on(day)
        if not now.rules:
            return ()
        counts = {action: len({r.artwork_id for r in now.rules if r.action == action}) for action in ACTIONS}
        mark = hashlib.sha256(repr(now.rules).encode()).hexdigest()[:8]
        return (
            f"placement {mark}: {counts['ban']} artworks not shown in some or all regions, {counts['only']} in "
            f"named regions only, {counts['pin']} pinned",
        )


EVERYWHERE = Placement()
"""No rule: everything may be shown."""


@dataclass(frozen=True)
class Placed:
    """Levels and arrays with a row for every region that a rule names, whether the model knows it or not."""

    levels: Levels
    arrays: Mapping[str, np.ndarray]
    instead: tuple[int, ...]  # (C,) the cell that would answer without a row's own; itself for the model's cells

    @classmethod
    def of(cls, levels: Levels, arrays: Mapping[str, np.ndarray], named: Iterable[str]) -> "Placed":
        """Rows beyond the model's are copies of what stands in for the region, with no decisions of their own.

        With a row of its own a region is never answered by a parent or by the world, which show what it may not.
        """
        learned, parents = len(levels.cells), set(levels.parents.values()) | {"other"}
        instead, source = list(range(learned)), list(range(learned))
        for name in sorted(named, key=lambda name: (name not in parents, name)):  # parents first: regions lean on them
            cell = ("parent" if name in parents else "region", name)
            if cell not in levels.cells:
                instead.append(levels.chain(None if cell[0] == "parent" else name)[0])
                source.append(source[instead[-1]])
                levels = Levels((*levels.cells, cell), levels.parents)
        if len(instead) == learned:
            return cls(levels, arrays, tuple(instead))
        taken = dict(arrays)
        for key in ("cell_mean", "cell_sd", "region_weights"):
            taken[key] = np.asarray(arrays[key])[source]
        for key in ("cell_n", "cell_takes"):
            taken[key] = np.asarray(arrays[key])[source] * (np.arange(len(source)) < learned)[:, None]
        return cls(levels, taken, tuple(instead))


@dataclass(frozen=True)
class Shelves:
    """A slate as cells may show it on a day: its means are minus infinity where an artwork may not be shown.

    Where a title has nothing left in a cell, its first artwork stands for it, so that sums stay finite; whoever writes
    or serves rows goes by ``allowed``.
    """

    slate: Slate
    allowed: np.ndarray  # (C, A) may be shown on the day
    possible: np.ndarray  # (C, A) may be shown on some day: a window may open or shut, a pin may lapse
    means: np.ndarray  # (C, A) of all artworks

    def of_titles(self, titles: np.ndarray) -> "Shelves":
        """Of some titles (T,) alone."""
        slate = self.slate
        here = titles[slate.title_index]
        index = (np.cumsum(titles) - 1)[slate.title_index[here]]
        arrays = dict(slate.arrays) | {"title_index": index}
        arrays |= {name: np.asarray(slate.arrays[name])[here] for name in PER_ARTWORK}
        arrays |= {name: np.asarray(slate.arrays[name])[:, here] for name in (*PER_CELL_ARTWORK, "cell_sd")}
        starts = np.flatnonzero(np.diff(index, prepend=-1))
        cut = Slate(slate.artwork_ids[here], slate.title_ids[titles], index, starts, slate.known[here], arrays)
        return Shelves(cut, self.allowed[:, here], self.possible[:, here], self.means[:, here])

    def written(self, instead: Sequence[int]) -> np.ndarray:
        """(C, A): which rows a cell needs.

        All, or, of a region that the model does not know, those of titles in which it differs from ``instead``, the
        cell that answers without them.
        """
        one, two = (grid != grid[list(instead)] for grid in (self.allowed, self.possible))
        differs = np.logical_or.reduceat(one | two, self.slate.starts, axis=1)
        differs |= (np.array(instead) == np.arange(len(instead)))[:, None]
        return self.possible & differs[:, self.slate.title_index]

    def probabilities(self, exploration: Exploration, cell: int, floor: Floor = NO_FLOOR) -> np.ndarray:
        """(A,) of what the cell serves on the day; 0 for what it may serve on another."""
        slate, allowed = self.slate, self.allowed[cell : cell + 1]
        here = slice(cell, cell + 1)
        scores, sds = (np.asarray(slate.arrays[name])[here] for name in ("cell_mean", "cell_sd"))
        drawn = level_probabilities(exploration, scores, sds, slate, exploration.noise(slate.artwork_ids))
        return floor.of_titles(np.where(allowed, drawn, 0.0), allowed, slate.title_index, slate.title_ids)[0]

    def defaults(self, cell: int) -> np.ndarray:
        """(A,) booleans: the best of each title that may be shown."""
        best = np.zeros(self.allowed.shape[1], dtype=bool)
        best[best_of_title(np.asarray(self.slate.arrays["cell_mean"])[cell : cell + 1], self.slate)[0]] = True
        return best & self.allowed[cell]


def place(slate: Slate, levels: Levels, placement: Placement, day: date) -> Shelves:
    """What each cell may show of a slate on a day."""
    means = np.asarray(slate.arrays["cell_mean"])
    allowed, possible = (np.ones((len(levels.cells), len(slate.artwork_ids)), dtype=bool) for _ in range(2))
    if not placement.rules:
        return Shelves(slate, allowed, possible, means)
    places, ever = [_places(levels, cell) for cell in levels.cells], placement.ever
    ends = np.append(slate.starts[1:], len(slate.artwork_ids))
    for title, first, end in zip(slate.title_ids, slate.starts, ends, strict=True):
        if title in placement.titles:
            ids = [str(artwork) for artwork in slate.artwork_ids[first:end]]
            for c, names in enumerate(places):
                allowed[c, first:end] = placement.allowed(str(title), ids, names, day)
                possible[c, first:end] = ever.allowed(str(title), ids, names, day)
    finite = allowed.copy()
    finite[:, slate.starts] |= ~np.logical_or.reduceat(allowed, slate.starts, axis=1)
    masked = replace(slate, arrays={**slate.arrays, "cell_mean": np.where(finite, means, -np.inf)})
    return Shelves(masked, allowed, possible, means)


def _places(levels: Levels, cell: tuple[str, str]) -> tuple[str, ...]:
    level, name = cell
    return () if cell == GLOBAL else (name,) if level == "parent" else (name, levels.parent(name))
