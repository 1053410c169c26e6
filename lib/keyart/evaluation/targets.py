"""Target probabilities: what each behaviour of each policy would have shown, decision by decision.

The behaviours of a policy are greedy (``global``, ``region``, ``user``: the level's or the member's best artwork) or as
served (``served``: the same levels and overrides under the policy's own exploration, recomputed from its
specification); beside them stands an even draw among what the log could show. Catalogue-sized tables and members'
overrides in, one column of probabilities a target out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from keyart.evaluation.estimators import Layout
from keyart.evaluation.sums import Frame, fill_choice, fill_even, fill_rows
from keyart.policy.choices import GreedyChoices, level_choices, user_choices
from keyart.policy.exploration import Exploration

__all__ = ["BEHAVIOURS", "METRICS", "Overrides", "PolicyTables", "Targets", "policy_tables"]

BEHAVIOURS = ("uniform", "global", "region", "user", "served")
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


@dataclass(frozen=True)
class Overrides:
    """One policy's overrides of the members at hand, one entry a member x title; kids' profiles have none."""

    member: np.ndarray
    title: np.ndarray
    artwork: np.ndarray
    gain: np.ndarray


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
    """All behaviours of some policies; columns of ``fill``: the even draws, then policy by policy the other four."""

    policies: tuple[PolicyTables, ...]
    title_of: np.ndarray  # (A,)

    @property
    def layout(self) -> Layout:
        """Of each policy's columns."""
        return Layout(BEHAVIOURS, METRICS)

    @property
    def frame(self) -> Frame:
        """Of all policies' columns, in the order in which ``fill`` writes them."""
        frame, count = Frame.of([self.layout] * len(self.policies)), len(self.policies)
        target = np.arange(count * len(BEHAVIOURS)).reshape(count, len(BEHAVIOURS))
        order = np.concatenate([target[:, 0], target[:, 1:4].ravel(), target[:, 4]])
        return Frame(frame.group[order], frame.starts, frame.columns[order])

    def order(self) -> np.ndarray:
        """(G, 5) where each policy's behaviours stand among the columns of ``fill``."""
        g = np.arange(len(self.policies))[:, None]
        count = len(self.policies)
        return np.hstack([g, count + 3 * g, count + 3 * g + 1, count + 3 * g + 2, 4 * count + g])

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
        """Write probabilities (pairs, 5 G); title, region, kids, member (n,), candidates cut by ``offsets``."""
        count = len(self.policies)
        fill_even(pi, 0, count, offsets, support)
        fill_rows(pi, 4 * count, offsets, candidates, region, table)
        for g, (policy, own) in enumerate(zip(self.policies, overrides, strict=True)):
            at = count + 3 * g
            level = policy.by_region[region, title]
            nothing = np.full(len(title), -1)
            entry = user_choices(nothing, member, title, own.member, own.title, np.arange(len(own.member)))
            entry = np.where(kids | (level < 0), -1, entry)
            personal = np.where(entry >= 0, np.append(own.artwork, -1)[entry], level)
            for t, choice in ((at, policy.everywhere[title]), (at + 1, level), (at + 2, personal)):
                fill_choice(pi, t, offsets, candidates, choice)
            moved = np.flatnonzero((entry >= 0) & (personal >= 0))
            moved = moved[self.title_of[personal[moved]] == title[moved]]
            if len(moved):
                gain = own.gain[entry[moved]]
                self._served(pi, 4 * count + g, policy, moved, gain, title, region, personal, offsets, candidates)

    def _served(self, pi, t, policy, moved, gain, title, region, personal, offsets, candidates) -> None:
        """Draws of the decisions ``moved``, where a member's own artwork stands above the level's best."""
        if policy.exploration.kind in BEST_ONLY:
            size = np.bincount(self.title_of, minlength=len(policy.everywhere))
            firsts = [(np.arange(max(k, 1)) == 0) * 1.0 for k in range(size.max() + 1)]
            by_size = [policy.exploration.propensities(scores) for scores in firsts]
            known = np.isfinite(policy.scores)
            hit = np.array([p[0] for p in by_size])
            rest = np.array([p[-1] if len(p) > 1 else 0.0 for p in by_size])
            shelf = np.stack([np.bincount(self.title_of, row, len(size)) for row in known]).astype(np.int64)
            _best_instead(pi, t, moved, offsets, candidates, personal, region, title, shelf, known, hit, rest)
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
