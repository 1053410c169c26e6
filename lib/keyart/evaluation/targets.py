"""Target probabilities: what each behaviour of each policy would have shown, decision by decision.

The behaviours of a policy are greedy (``global``, ``region``, ``context``, ``segment``, ``user``: the level's or the
member's best artwork, from ``context`` on in the decision's context; a member of no segment sees the region's there) or
as served (``served``: the same levels and overrides under the policy's own exploration, recomputed from its
specification); beside them stands an even draw among what the log could show. Catalogue-sized tables and members'
overrides in, one column of probabilities a target out. P places: a region in a context each, region by region and in
each first "*".
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numba import njit

from keyart.evaluation.moments import Layout
from keyart.evaluation.sums import Frame
from keyart.policy.choices import GreedyChoices, Shelved, level_choices, segment_choices
from keyart.policy.contexts import EVERY
from keyart.policy.exploration import Exploration
from keyart.policy.floors import NO_FLOOR, Floor, mixed
from keyart.policy.levels import GLOBAL, SEGMENT, segment_cell

__all__ = ["BEHAVIOURS", "METRICS", "Overrides", "PolicyTables", "Targets", "first_own", "policy_tables"]

BEHAVIOURS = ("uniform", "global", "region", "context", "segment", "user", "served")
GREEDY = BEHAVIOURS[1:6]
METRICS = ("reward", "take")
NO_ROWS = np.empty((0, 4))
BEST_ONLY = {"uniform", "best", "epsilon-greedy"}
"""Explorations whose probabilities depend on nothing but which artwork is best."""


@dataclass(frozen=True)
class Narrowed:
    """Segments' shelves, for explorations that weigh all scores: the rows of the table, laid by artwork."""

    rows: Mapping[tuple[str, str], np.ndarray]
    """By cell and context: (m, 4) artwork, ascending, mean, sd, whether it is the default."""
    answering: np.ndarray  # (P, T) which of a place's ways answers for a title; -1 none
    ways: tuple[tuple[Shelved, ...], ...]  # by place: level, cell and context, those of a cell from special to general
    segments: tuple[str, ...]

    def shelf(self, place: int, segment: int, title: int, begin: int, end: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Scores and their sds of a title's artworks, from begin to end (exclusive), for members of a segment; not a
        number where the shelf lacks one, None where there is no shelf beside the one that answers."""
        step = int(self.answering[place, title])
        if step < 0:
            return None
        level, cell, answers = self.ways[place][step]
        named = segment_cell(level, cell, self.segments[segment])
        contexts = [context for *at, context in self.ways[place] if at == [level, cell]]
        known = [self.rows.get((named, context), NO_ROWS) for context in contexts[: contexts.index(answers) + 1]]
        own = [rows[slice(*np.searchsorted(rows[:, 0], [begin, end]))] for rows in known]
        if not any(map(len, own)):
            return None
        one = next(rows for rows in own if len(rows))
        scores, sds = np.full((2, end - begin), np.nan)
        there = one[:, 0].astype(np.int64) - begin
        scores[there] = np.where(one[:, 3] == 1, np.nextafter(one[:, 1].max(), np.inf), one[:, 1])
        sds[there] = one[:, 2]
        return scores, sds


@dataclass(frozen=True)
class PolicyTables:
    """A policy on the codes of an evaluation: artworks, titles and regions are positions in its lists."""

    policy_id: str
    exploration: Exploration
    everywhere: np.ndarray  # (P, T) what the world shows, of what may be shown in the region; -1 where there is none
    by_region: np.ndarray  # (P, T) in no context
    served: np.ndarray  # (P, A) probability under the level's scores; 0 where the policy lacks the artwork
    scores: np.ndarray  # (P, A) of the level that answers, not a number where the policy lacks the artwork
    sds: np.ndarray  # (P, A) of the scores
    noise: np.ndarray  # (A, M) of the exploration
    even: np.ndarray | None = None  # (P, T) share of decisions drawn evenly beside the exploration; None: nowhere
    least: float = 0.0  # probability of every artwork: what ``even`` follows from, but for cold titles
    segments: tuple[str, ...] = ()
    by_segment: np.ndarray | None = None  # (P, K, T) of members of each segment; None: there are none
    narrowed: Narrowed | None = None  # None: its exploration looks at the best alone, or there are no segments
    in_context: np.ndarray | None = None  # (P, T); None: as ``by_region``

    @property
    def by_context(self) -> np.ndarray:
        """(P, T) what members of no segment see."""
        return self.by_region if self.in_context is None else self.in_context

    def best_only(self, title_of: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """How many artworks (P, T) a level has of each title, and the probabilities of the best and of any other among
        so many, for explorations in BEST_ONLY."""
        known, titles = np.isfinite(self.scores), self.everywhere.shape[1]
        sizes = np.stack([np.bincount(title_of, row, titles) for row in known]).astype(np.int64)
        most = int(np.bincount(title_of, minlength=titles).max(initial=1))
        hit, rest = np.ones(most + 1), np.zeros(most + 1)
        if self.exploration.kind in BEST_ONLY:
            for k in range(1, most + 1):
                drawn = self.exploration.propensities((np.arange(k) == 0) * 1.0)
                hit[k], rest[k] = drawn[0], drawn[-1] if k > 1 else 0.0
        return sizes, hit, rest


@dataclass(frozen=True)
class Stacked:
    """All policies' tables side by side: what a decision needs of ten policies lies together."""

    everywhere: np.ndarray  # (P, T, G)
    by_region: np.ndarray  # (P, T, G)
    by_segment: np.ndarray  # (P, 1 + most segments, T, G) what members without an override see; first those of none
    served: np.ndarray  # (P, A, G)
    known: np.ndarray  # (P, A, G)
    sizes: np.ndarray  # (P, T, G)
    hit: np.ndarray  # (G, K)
    rest: np.ndarray  # (G, K)
    even: np.ndarray  # (P, T, G)
    least: np.ndarray  # (G,)


@dataclass(frozen=True)
class Overrides:
    """Members' overrides under all policies: those of member i lie from offsets[i] to offsets[i + 1], by title."""

    offsets: np.ndarray  # (members + 1,)
    title: np.ndarray
    policy: np.ndarray
    artwork: np.ndarray
    gain: np.ndarray
    segment: np.ndarray = field(default_factory=lambda: np.empty((0, 0), dtype=np.uint8))
    """(members, policies) 1 + the member's place in the policy's segments, 0 is none; no columns: nobody is in any."""

    @classmethod
    def of(
        cls,
        members: int,
        entries: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]],
        segment: np.ndarray | None = None,
    ) -> "Overrides":
        """From each policy's (member, title, artwork, gain), one entry a member x title, in any order."""
        member, title, artwork, gain = (np.concatenate(column) for column in zip(*entries, strict=True))
        policy = np.repeat(np.arange(len(entries)), [len(own[0]) for own in entries])
        return cls.sorted(members, member, title, policy, artwork, gain, segment)

    @classmethod
    def sorted(
        cls, members: int, member: np.ndarray, title: np.ndarray, policy: np.ndarray, artwork: np.ndarray,
        gain: np.ndarray, segment: np.ndarray | None = None,
    ) -> "Overrides":  # fmt: skip
        """From entries in any order, one a member x title x policy."""
        place = member.astype(np.int64) * (int(title.max(initial=0)) + 1) + title
        order = np.argsort(place * (int(policy.max(initial=0)) + 1) + policy, kind="stable")
        offsets = np.concatenate([[0], np.cumsum(np.bincount(member, minlength=members))])
        codes = np.stack([title, policy, artwork]).astype(np.int32)[:, order]
        among = np.empty((members, 0), dtype=np.uint8) if segment is None else segment.astype(np.uint8)
        return cls(offsets, codes[0], codes[1], codes[2], gain[order], among)

    def part(self, first: int, last: int) -> "Overrides":
        """Of members first to last (exclusive), counted from 0."""
        return replace(self, offsets=self.offsets[first : last + 1], segment=self.segment[first:last])


def policy_tables(
    policy_id: str,
    exploration: Exploration,
    choices: GreedyChoices,
    rows: Iterable[tuple[str, str, str, str, float, float, bool]],
    artwork_ids: Sequence[str],
    title_ids: Sequence[str],
    title_of: np.ndarray,
    regions: Sequence[str],
    floor: Floor = NO_FLOOR,
    segments: Sequence[str] = (),
    contexts: Sequence[str] = (EVERY,),
) -> PolicyTables:
    """From rows of region_assignments as (level, cell, context, artwork_id, mean, sd, is_default), as ``resolve`` reads
    them.

    ``segments`` are names of the policy's, ``contexts`` those that are told apart, EVERY first; ``title_of`` (A,) is
    each artwork's title, whose artworks stand together.
    """
    place = {artwork: i for i, artwork in enumerate(artwork_ids)}
    cells: dict[Shelved, np.ndarray] = {}
    narrow: dict[tuple[str, str], list[tuple[int, float, float, bool]]] = {}  # segments': few artworks have any
    for level, cell, context, artwork, mean, sd, default in rows:
        if level == SEGMENT:
            if artwork in place and exploration.kind not in BEST_ONLY:
                narrow.setdefault((cell, context), []).append((place[artwork], mean, sd, default))
            continue
        shelf = cells.setdefault((level, cell, context), np.full((3, len(artwork_ids)), np.nan))
        if artwork in place:
            shelf[:, place[artwork]] = mean, sd, default
    known = {title: i for i, title in enumerate(choices.title_ids)}
    column = np.array([known.get(title, -1) for title in title_ids], dtype=np.int64)
    translate = np.array([place.get(a, -1) for a in choices.artwork_ids] + [-1], dtype=np.int64)

    def translated(found: np.ndarray) -> np.ndarray:
        return np.where(column >= 0, translate[found[:, np.maximum(column, 0)]], -1)

    there = [region for region in regions for _ in contexts]
    where = [context for _ in regions for context in contexts]
    scores, sds = np.full((2, len(there), len(artwork_ids)), np.nan)
    answering = np.full((len(there), len(title_ids)), -1)
    ways = tuple(
        tuple(
            (*cell, named)
            for cell in (("region", region), ("parent", choices.levels.parent(region)), GLOBAL)
            for named in dict.fromkeys((context, EVERY))
        )
        for region, context in zip(there, where, strict=True)
    )
    for r, ways_here in enumerate(ways):
        for step, at in enumerate(ways_here):
            if at in cells:
                mean, sd, default = cells[at]
                here: np.ndarray = np.isfinite(mean)
                # A level answers for a whole title or not at all.
                missing = np.bincount(title_of, np.isfinite(scores[r]), len(title_ids)) == 0
                new = here & missing[title_of]
                answering[r, np.unique(title_of[new])] = step
                top = _top(np.where(here, mean, -np.inf), title_of, len(title_ids))[title_of]
                scores[r] = np.where(new, np.where(default == 1, np.nextafter(top, np.inf), mean), scores[r])
                sds[r] = np.where(new, sd, sds[r])
    scores[~_shown(choices, there, artwork_ids, title_ids, title_of)] = np.nan
    noise, known_here = exploration.noise(artwork_ids), np.isfinite(scores)
    drawn = _draws(exploration, scores, sds, noise, title_of, len(title_ids))
    sizes = np.stack([np.bincount(title_of, row, len(title_ids)) for row in known_here])
    return PolicyTables(
        policy_id,
        exploration,
        translated(level_choices(choices, "global", there)),
        translated(level_choices(choices, "region", there)),
        floor.of_titles(drawn, known_here, title_of, title_ids).astype(np.float32),
        scores,
        sds,
        noise,
        floor.shares(title_ids, sizes),
        floor.least,
        tuple(segments),
        np.stack([translated(segment_choices(choices, there, [one] * len(there), where)) for one in segments], axis=1)
        if segments
        else None,
        Narrowed({cell: np.array(sorted(rows)) for cell, rows in narrow.items()}, answering, ways, tuple(segments))
        if narrow
        else None,
        translated(segment_choices(choices, there, [""] * len(there), where)) if len(contexts) > 1 else None,
    )


def _shown(
    choices: GreedyChoices,
    regions: Sequence[str],
    artwork_ids: Sequence[str],
    title_ids: Sequence[str],
    title_of: np.ndarray,
) -> np.ndarray:
    """(P, A) which artworks may be shown in a place's region."""
    shown = np.ones((len(regions), len(artwork_ids)), dtype=bool)
    for t, title in enumerate(title_ids):
        if title in choices.kept.placement.titles:
            here = np.flatnonzero(title_of == t)
            ids = [artwork_ids[int(a)] for a in here]
            for r, region in enumerate(regions):
                places = (region, choices.levels.parent(region))
                shown[r, here] = choices.kept.placement.allowed(title, ids, places, choices.kept.day)
    return shown


def _top(scores: np.ndarray, title_of: np.ndarray, titles: int) -> np.ndarray:
    """Highest score of each title, (T,)."""
    top = np.full(titles, -np.inf)
    np.maximum.at(top, title_of, scores)
    return top


def _draws(
    exploration: Exploration, scores: np.ndarray, sds: np.ndarray, noise: np.ndarray, title_of: np.ndarray, titles: int
) -> np.ndarray:
    """Probabilities (P, A) of draws among each title's artworks; 0 where there is no score."""
    if not scores.size:
        return np.zeros(scores.shape)
    starts = np.searchsorted(title_of, np.arange(titles))
    column = np.arange(len(title_of)) - starts[title_of]
    shelf = (titles, int(column.max()) + 1)
    padded, spread = np.full((len(scores), *shelf), -np.inf), np.zeros((len(scores), *shelf))
    drawn = np.zeros((*shelf, noise.shape[1]))
    padded[:, title_of, column] = np.where(np.isfinite(scores), scores, -np.inf)
    spread[:, title_of, column] = np.nan_to_num(sds)
    drawn[title_of, column] = noise
    known = np.any(padded > -np.inf, axis=2)
    padded[~known] = 0.0  # nothing to draw from: cleared again below
    shares = np.where(known[..., None], exploration.propensities(padded, spread, drawn), 0.0)
    return shares[:, title_of, column]


@dataclass(frozen=True)
class Targets:
    """Behaviours of some policies; columns of ``fill``: the even draw that all share, then policy by policy the greedy
    ones, then the policies as served."""

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
        place = {name: 1 + len(greedy) * g + k for k, name in enumerate(greedy)}
        place |= {"uniform": 0 * g, "served": 1 + len(greedy) * count + g}
        return np.hstack([place[name] for name in self.behaviours])

    @property
    def frame(self) -> Frame:
        """Of all policies' columns, in the order in which ``fill`` writes them."""
        frame, order = Frame.of([Layout(self.behaviours, METRICS)] * len(self.policies)), self.order()
        _, first = np.unique(order.ravel(), return_index=True)
        group = np.concatenate([[-1], frame.group[first[1:]]])
        return replace(frame, group=group, columns=frame.columns[first], shared=True)

    def stacked(self) -> Stacked:
        """The tables as ``fill`` wants them; made once a worker."""
        each = self.policies
        sizes, hit, rest = (np.stack(part) for part in zip(*(p.best_only(self.title_of) for p in each), strict=True))
        most = max(len(policy.segments) for policy in each)
        return Stacked(
            np.stack([policy.everywhere for policy in each], axis=-1).astype(np.int32),
            np.stack([policy.by_region for policy in each], axis=-1).astype(np.int32),
            np.stack([_with_segments(policy, most) for policy in each], axis=-1).astype(np.int32),
            np.stack([policy.served for policy in each], axis=-1),
            np.stack([np.isfinite(policy.scores) for policy in each], axis=-1),
            np.moveaxis(sizes, 0, -1).astype(np.int32, order="C"),
            hit,
            rest,
            np.stack([np.zeros(p.everywhere.shape) if p.even is None else p.even for p in each], axis=-1),
            np.array([policy.least for policy in each]),
        )

    def fill(
        self,
        pi: np.ndarray,
        tables: Stacked,
        title: np.ndarray,
        place: np.ndarray,
        kids: np.ndarray,
        member: np.ndarray,
        offsets: np.ndarray,
        candidates: np.ndarray,
        support: np.ndarray,
        overrides: Overrides,
    ) -> None:
        """Write probabilities (pairs, targets); title, place, kids, member (n,), candidates cut by ``offsets``."""
        wanted = np.array([name in self.behaviours for name in BEHAVIOURS])
        weighing = [policy.exploration.kind not in BEST_ONLY for policy in self.policies] if wanted[-1] else []
        entry = np.full((len(title), len(self.policies)) if any(weighing) else (0, 0), -1)
        _fill(
            pi, entry, wanted, title, place, kids, member, offsets, candidates, support, self.title_of,
            overrides.offsets, overrides.title, overrides.policy, overrides.artwork, overrides.segment,
            tables.everywhere, tables.by_region, tables.by_segment, tables.served, tables.known, tables.sizes,
            tables.hit, tables.rest, tables.even,
        )  # fmt: skip
        for g in np.flatnonzero(weighing):
            column, policy = self.order()[g, -1], self.policies[g]
            among = np.full(len(title), -1)
            if policy.narrowed is not None and overrides.segment.shape[1]:
                among = np.where(kids, -1, overrides.segment[member, g].astype(np.int64) - 1)
            self._redrawn(pi, column, policy, entry[:, g], among, title, place, offsets, candidates, overrides)

    def _redrawn(self, pi, column, policy, entry, among, title, place, offsets, candidates, overrides) -> None:
        """Draws where a member's segment has a shelf of its own, or their own artwork stands above the level's best,
        for explorations that weigh all scores."""
        starts = np.searchsorted(self.title_of, np.arange(policy.everywhere.shape[1] + 1))
        for i in np.flatnonzero((entry >= 0) | (among >= 0)):
            first, end = starts[title[i]], starts[title[i] + 1]
            stands, narrower = slice(first, end), None
            if among[i] >= 0:
                narrower = policy.narrowed.shelf(place[i], among[i], title[i], first, end)
            if narrower is None and entry[i] < 0:
                continue
            usual = policy.scores[place[i], stands], policy.sds[place[i], stands]
            means, sds = usual if narrower is None else narrower
            scores = np.where(np.isfinite(usual[0]) & np.isfinite(means), means, -np.inf)  # of what may be shown here
            if entry[i] >= 0:
                own = overrides.artwork[entry[i]] - first
                scores[own] = np.nextafter(scores.max() + overrides.gain[entry[i]], np.inf)
            here = np.arange(offsets[i], offsets[i + 1])
            here = here[self.title_of[candidates[here]] == title[i]]
            drawn = policy.exploration.propensities(scores, np.nan_to_num(sds), policy.noise[stands])
            if policy.even is not None:
                drawn = mixed(drawn, np.isfinite(scores), float(policy.even[place[i], title[i]]))
            pi[here, column] = drawn[candidates[here] - starts[title[i]]]


def _with_segments(policy: PolicyTables, most: int) -> np.ndarray:
    """(P, 1 + most, T)."""
    none = policy.by_context[:, None]
    own = none if policy.by_segment is None else policy.by_segment
    return np.concatenate([none, own[:, : len(policy.segments)], *[none] * (most - len(policy.segments))], axis=1)


@njit(cache=True, nogil=True, error_model="numpy")
def _fill(
    pi, entry, wanted, title, place, kids, member, offsets, candidates, support, title_of,
    own_offsets, own_titles, own_policies, own_artworks, segment, everywhere, by_region, by_segment, served, known,
    sizes, hit, rest, even,
):  # fmt: skip
    """What ``Targets.fill`` writes; ``entry`` (n, G), unless empty, says which override each decision has."""
    policies = everywhere.shape[2]
    each = 0
    for k in range(1, 6):
        each += wanted[k]
    last = 1 + policies * each
    of_user = each - 1  # the user's own choice is the last of the greedy ones, the segment's the one before
    of_segment = of_user - wanted[5]
    for i in range(len(title)):
        first, end, r, t = offsets[i], offsets[i + 1], place[i], title[i]
        count = 0
        for j in range(first, end):
            count += support[j]
        shelf = served[r]
        for j in range(first, end):
            share = 1.0 / count if support[j] else 0.0
            pi[j, 0] = share
            if wanted[6]:
                for g in range(policies):
                    pi[j, last + g] = shelf[candidates[j], g]
        if each:
            for g in range(policies):
                at = 1 + each * g
                for k in range(1, 6):
                    if wanted[k]:
                        choice = by_segment[r, 0, t, g]
                        if k < 3:
                            choice = everywhere[r, t, g] if k == 1 else by_region[r, t, g]
                        for j in range(first, end):
                            pi[j, at] = 1.0 if candidates[j] == choice else 0.0
                        at += 1
        if kids[i]:
            continue
        for g in range(segment.shape[1]):
            among = by_segment[r, segment[member[i], g], t, g]
            if among >= 0 and among != by_segment[r, 0, t, g] and known[r, among, g]:
                for j in range(first, end):
                    here = candidates[j] == among
                    if wanted[4]:
                        pi[j, 1 + each * g + of_segment] = 1.0 if here else 0.0
                    if wanted[5]:
                        pi[j, 1 + each * g + of_user] = 1.0 if here else 0.0
                    if wanted[6]:
                        share, size = even[r, t, g], sizes[r, t, g]
                        if here:
                            pi[j, last + g] = (1.0 - share) * hit[g, size] + share / size
                        elif pi[j, last + g] > 0.0:
                            pi[j, last + g] = (1.0 - share) * rest[g, size] + share / size
        own, stop = first_own(own_offsets, own_titles, member[i], t), own_offsets[member[i] + 1]
        while own < stop and own_titles[own] == t:
            g, personal = own_policies[own], own_artworks[own]
            # An override with what the level does not have is passed over, as resolve does.
            if by_region[r, t, g] >= 0 and title_of[personal] == t and known[r, personal, g]:
                if len(entry):
                    entry[i, g] = own
                for j in range(first, end):
                    here = candidates[j] == personal
                    if wanted[5]:
                        pi[j, 1 + each * g + of_user] = 1.0 if here else 0.0
                    if wanted[6]:
                        share, size = even[r, t, g], sizes[r, t, g]
                        if here:
                            pi[j, last + g] = (1.0 - share) * hit[g, size] + share / size
                        elif pi[j, last + g] > 0.0:  # what the level would not draw, this does not draw either
                            pi[j, last + g] = (1.0 - share) * rest[g, size] + share / size
            own += 1


@njit(cache=True, nogil=True, inline="always")
def first_own(offsets, titles, member, title):
    """Place of a member's first override of a title or of a later one; the end where there is none."""
    low, size = offsets[member], offsets[member + 1] - offsets[member]
    while size > 0:  # without branches that depend on the data
        half = (size + 1) // 2
        low += half * (titles[low + half - 1] < title)
        size -= half
    return low
