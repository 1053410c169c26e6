"""Target probabilities: what each behaviour of each policy would have shown, decision by decision.

The behaviours of a policy are greedy (``global``, ``region``, ``user``: the level's or the member's best artwork) or as
served (``served``: the same levels and overrides under the policy's own exploration, recomputed from its
specification); beside them stands an even draw among what the log could show. Catalogue-sized tables and members'
overrides in, one column of probabilities a target out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numba import njit

from keyart.evaluation.estimators import Layout
from keyart.evaluation.sums import Frame, fill_choice, fill_even, fill_rows
from keyart.policy.choices import GreedyChoices, level_choices
from keyart.policy.exploration import Exploration

__all__ = ["BEHAVIOURS", "METRICS", "Overrides", "PolicyTables", "Targets", "policy_tables"]

BEHAVIOURS = ("uniform", "global", "region", "user", "served")
GREEDY = BEHAVIOURS[1:4]
METRICS = ("reward", "take")
BEST_ONLY = {"uniform", "best", "epsilon-greedy"}
"""Explorations whose probabilities depend on nothing but which artwork is best."""


@dataclass(frozen=True)
class PolicyTables:
    """A policy on the codes of an evaluation: artworks, titles and regions are positions in its lists."""

    policy_id: str
    exploration: Exploration
    everywhere: np.ndarray  # (T,) artwork shown to all, -1 where the policy does not know the title
    by_region: np.ndarray  # (R, T)
    served: np.ndarray  # (R, A) probability under the level's scores; 0 where the policy lacks the artwork
    scores: np.ndarray  # (R, A) of the level that answers, not a number where the policy lacks the artwork
    _cache: dict = field(default_factory=dict, repr=False, compare=False)

    def best_only(self, title_of: np.ndarray) -> tuple[np.ndarray, ...]:
        """For explorations in BEST_ONLY: which artworks (R, A) a level has, how many (R, T) of each title, and the
        probabilities of the best and of any other among so many."""
        if not self._cache:
            known, titles = np.isfinite(self.scores), len(self.everywhere)
            sizes = np.stack([np.bincount(title_of, row, titles) for row in known]).astype(np.int64)
            firsts = [(np.arange(max(k, 1)) == 0) * 1.0 for k in range(int(sizes.max(initial=0)) + 1)]
            drawn = [self.exploration.propensities(scores) for scores in firsts]
            hit, rest = np.array([p[0] for p in drawn]), np.array([p[-1] if len(p) > 1 else 0.0 for p in drawn])
            self._cache["found"] = known, sizes, hit, rest
        return self._cache["found"]


@dataclass(frozen=True)
class Overrides:
    """One policy's overrides of some members: those of member i lie from offsets[i] to offsets[i + 1], by title."""

    offsets: np.ndarray  # (members + 1,)
    title: np.ndarray
    artwork: np.ndarray
    gain: np.ndarray

    @classmethod
    def of(cls, members: int, member: np.ndarray, title: np.ndarray, artwork: np.ndarray, gain: np.ndarray):
        """From one entry a member x title, in any order."""
        order = np.lexsort((title, member))
        counts = np.bincount(member, minlength=members)
        return cls(np.concatenate([[0], np.cumsum(counts)]), title[order], artwork[order], gain[order])

    def part(self, first: int, last: int) -> "Overrides":
        """Of members first to last (exclusive), counted from 0."""
        ends = self.offsets[first : last + 1]
        here = slice(ends[0], ends[-1])
        return Overrides(ends - ends[0], self.title[here], self.artwork[here], self.gain[here])


def policy_tables(
    policy_id: str,
    exploration: Exploration,
    choices: GreedyChoices,
    rows: Iterable[tuple[str, str, str, float, bool]],
    artwork_ids: Sequence[str],
    title_ids: Sequence[str],
    title_of: np.ndarray,
    regions: Sequence[str],
) -> PolicyTables:
    """From the rows of region_assignments as (level, cell, artwork_id, mean, is_default), as ``resolve`` reads them.

    ``title_of`` (A,) is each artwork's title; artworks of a title stand together.
    """
    place = {artwork: i for i, artwork in enumerate(artwork_ids)}
    cells: dict[tuple[str, str], np.ndarray] = {}
    for level, cell, artwork, mean, default in rows:
        shelf = cells.setdefault((level, cell), np.full((2, len(artwork_ids)), np.nan))
        if artwork in place:
            shelf[:, place[artwork]] = mean, default
    known = {title: i for i, title in enumerate(choices.title_ids)}
    column = np.array([known.get(title, -1) for title in title_ids], dtype=np.int64)
    translate = np.array([place.get(a, -1) for a in choices.artwork_ids] + [-1], dtype=np.int64)

    def translated(level: str, names: Sequence[str | None]) -> np.ndarray:
        found = level_choices(choices, level, names)
        return np.where(column >= 0, translate[found[:, np.maximum(column, 0)]], -1)

    scores = np.full((len(regions), len(artwork_ids)), np.nan)
    for r, region in enumerate(regions):
        parent = choices.levels.parent(region)
        for at in (("region", region), ("parent", parent), ("global", "*")):
            if at in cells:
                mean, default = cells[at]
                here: np.ndarray = np.isfinite(mean)
                # A level answers for a whole title or not at all.
                missing = np.bincount(title_of, np.isfinite(scores[r]), len(title_ids)) == 0
                new = here & missing[title_of]
                top = _top(np.where(here, mean, -np.inf), title_of, len(title_ids))[title_of]
                scores[r] = np.where(new, np.where(default == 1, np.nextafter(top, np.inf), mean), scores[r])
    return PolicyTables(
        policy_id,
        exploration,
        translated("global", [None])[0],
        translated("region", list(regions)),
        _draws(exploration, scores, title_of, len(title_ids)).astype(np.float32),
        scores,
    )


def _top(scores: np.ndarray, title_of: np.ndarray, titles: int) -> np.ndarray:
    """Highest score of each title, (T,)."""
    top = np.full(titles, -np.inf)
    np.maximum.at(top, title_of, scores)
    return top


def _draws(exploration: Exploration, scores: np.ndarray, title_of: np.ndarray, titles: int) -> np.ndarray:
    """Probabilities (R, A) of draws among each title's artworks; 0 where there is no score."""
    if not scores.size:
        return np.zeros(scores.shape)
    starts = np.searchsorted(title_of, np.arange(titles))
    column = np.arange(len(title_of)) - starts[title_of]
    padded = np.full((len(scores), titles, int(column.max()) + 1), -np.inf)
    padded[:, title_of, column] = np.where(np.isfinite(scores), scores, -np.inf)
    known = np.any(padded > -np.inf, axis=2)
    padded[~known] = 0.0  # nothing to draw from: cleared again below
    drawn = np.where(known[..., None], exploration.propensities(padded), 0.0)
    return drawn[:, title_of, column]


@dataclass(frozen=True)
class Targets:
    """Behaviours of some policies; columns of ``fill``: the even draws, then policy by policy the greedy ones, then the
    policies as served."""

    policies: tuple[PolicyTables, ...]
    title_of: np.ndarray  # (A,)
    behaviours: tuple[str, ...] = BEHAVIOURS  # in the order of BEHAVIOURS, uniform among them

    @property
    def greedy(self) -> tuple[str, ...]:
        """Behaviours that show one artwork."""
        return tuple(name for name in self.behaviours if name in GREEDY)

    def order(self) -> np.ndarray:
        """(G, behaviours) where each policy's behaviours stand among the columns of ``fill``."""
        count, greedy = len(self.policies), self.greedy
        g = np.arange(count)[:, None]
        place = {name: count + len(greedy) * g + k for k, name in enumerate(greedy)}
        place |= {"uniform": g, "served": count + len(greedy) * count + g}
        return np.hstack([place[name] for name in self.behaviours])

    @property
    def frame(self) -> Frame:
        """Of all policies' columns, in the order in which ``fill`` writes them."""
        frame = Frame.of([Layout(self.behaviours, METRICS)] * len(self.policies))
        inverse = np.argsort(self.order().ravel())
        return Frame(frame.group[inverse], frame.starts, frame.columns[inverse])

    def table(self) -> np.ndarray:
        """(R, A, G) the policies' level draws side by side; made once a worker."""
        return np.ascontiguousarray(np.stack([policy.served for policy in self.policies], axis=2))

    def fill(
        self,
        pi: np.ndarray,
        table: np.ndarray,
        title: np.ndarray,
        region: np.ndarray,
        kids: np.ndarray,
        member: np.ndarray,
        offsets: np.ndarray,
        candidates: np.ndarray,
        support: np.ndarray,
        overrides: Sequence[Overrides],
    ) -> None:
        """Write probabilities (pairs, targets); title, region, kids, member (n,), candidates cut by ``offsets``."""
        count, greedy = len(self.policies), self.greedy
        served = count * (1 + len(greedy))
        fill_even(pi, 0, count, offsets, support)
        if "served" in self.behaviours:
            fill_rows(pi, served, offsets, candidates, region, table)
        for g, (policy, own) in enumerate(zip(self.policies, overrides, strict=True)):
            level = policy.by_region[region, title]
            entry = np.full(len(title), -1)
            _find_own(entry, member, title, kids, level, own.offsets, own.title, own.artwork, self.title_of)
            moved = np.flatnonzero(entry >= 0)
            personal = level.copy()
            personal[moved] = own.artwork[entry[moved]]
            shown = {"global": policy.everywhere[title], "region": level, "user": personal}
            for k, name in enumerate(greedy):
                fill_choice(pi, count + len(greedy) * g + k, offsets, candidates, shown[name])
            if "served" in self.behaviours and len(moved):
                gain = own.gain[entry[moved]]
                self._served(pi, served + g, policy, moved, gain, title, region, personal, offsets, candidates)

    def _served(self, pi, t, policy, moved, gain, title, region, personal, offsets, candidates) -> None:
        """Draws of the decisions ``moved``, where a member's own artwork stands above the level's best."""
        if policy.exploration.kind in BEST_ONLY:
            known, sizes, hit, rest = policy.best_only(self.title_of)
            _best_instead(pi, t, moved, offsets, candidates, personal, region, title, sizes, known, hit, rest)
            return
        starts = np.searchsorted(self.title_of, np.arange(len(policy.everywhere) + 1))
        for i, above in zip(moved, gain, strict=True):
            stands = slice(starts[title[i]], starts[title[i] + 1])
            scores = np.nan_to_num(policy.scores[region[i], stands], nan=-np.inf)
            own = personal[i] - starts[title[i]]
            if scores[own] > -np.inf:
                scores[own] = np.nextafter(scores.max() + above, np.inf)
                here = np.arange(offsets[i], offsets[i + 1])
                here = here[self.title_of[candidates[here]] == title[i]]
                pi[here, t] = policy.exploration.propensities(scores)[candidates[here] - starts[title[i]]]


@njit(cache=True, nogil=True)
def _find_own(entry, member, title, kids, level, offsets, titles, artworks, title_of):
    """Each decision's override, its place among them, or -1: kids' profiles have none, nor titles without a level."""
    for i in range(len(entry)):
        if kids[i] or level[i] < 0:
            continue
        low, high = offsets[member[i]], offsets[member[i] + 1]
        end = high
        while low < high:
            middle = (low + high) // 2
            if titles[middle] < title[i]:
                low = middle + 1
            else:
                high = middle
        if low < end and titles[low] == title[i] and title_of[artworks[low]] == title[i]:
            entry[i] = low


@njit(cache=True, nogil=True)
def _best_instead(pi, t, moved, offsets, candidates, choice, region, title, shelf, known, hit, rest):
    for i in moved:
        r = region[i]
        if not known[r, choice[i]]:
            continue  # an override with what the level does not have is passed over, as resolve does
        size = shelf[r, title[i]]
        for j in range(offsets[i], offsets[i + 1]):
            a = candidates[j]
            if a == choice[i]:
                pi[j, t] = hit[size]
            else:
                pi[j, t] = rest[size] if known[r, a] else 0.0
