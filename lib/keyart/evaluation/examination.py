"""A policy's examination: what a worker holds, and compact arrays of whole members in, evidence out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numba import njit

from keyart.evaluation.book import Book
from keyart.evaluation.quick import Quick
from keyart.evaluation.replay import Found, Limits, LoggedDecisions
from keyart.evaluation.reward_model import RewardModel
from keyart.evaluation.targets import Overrides, Stacked, Targets
from keyart.policy.contexts import EVERY

__all__ = [
    "HISTORY",
    "SLICES",
    "CandidateSets",
    "Examination",
    "Members",
    "Prepared",
    "Rows",
    "judge_rows",
    "predicted",
    "whole",
]

CACHE = 300_000
"""Target probabilities written at a time: they should stay in the processor's cache until they are summed."""
SLICES = ("region", "device", "segment", "title age", "history")
START = "there from the start"
AGES = (START, "first week", "first month", "later")
HISTORY = ("none", "1 to 4", "5 and more")


@dataclass(frozen=True)
class CandidateSets:
    """The distinct candidate sets of the log, found by their hash; artworks and titles are codes."""

    hashes: np.ndarray  # (S,) ascending
    title: np.ndarray  # (S,)
    offsets: np.ndarray  # (S + 1,)
    artworks: np.ndarray
    support: np.ndarray  # whether the log could show the candidate

    def spread(self, sets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Offsets, candidates and support of decisions with these sets (positions), laid end to end."""
        offsets = np.concatenate([[0], np.cumsum(np.diff(self.offsets)[sets])])
        candidates, support = np.empty(offsets[-1], dtype=np.int32), np.empty(offsets[-1], dtype=np.bool_)
        _spread(sets, self.offsets, self.artworks, self.support, candidates, support)
        return offsets, candidates, support


@dataclass(frozen=True)
class Examination:
    """What a worker needs to judge policies: catalogue-sized, handed over by closure."""

    targets: Targets
    model: RewardModel
    sets: CandidateSets
    artwork_ids: tuple[str, ...]
    title_ids: tuple[str, ...]
    regions: tuple[str, ...]
    first_days: np.ndarray  # (T,) day of each title's first decision, in days since 1970
    log_start: int  # day of the log's first decision
    arrays: Mapping[str, np.ndarray]  # member_mean, member_scale of the response model
    lengths: tuple[int, int]  # of factors and genre_mix
    segments: tuple[str, ...]  # what the places of genre_mix are called
    of_held_out_only: bool  # whether the response model speaks only of members it was not fitted on
    slices: tuple[str, ...] = SLICES
    contexts: tuple[str, ...] = (EVERY,)  # that policies tell apart, the first being all others
    limits: Limits = field(default_factory=Limits)

    def place(self, rows: "Rows") -> np.ndarray:
        """(n,) where decisions were made, as the targets' tables count: by region, then context."""
        return rows.region * len(self.contexts) + rows.context


@dataclass(frozen=True)
class Members:
    """Some members' own rows."""

    codes: np.ndarray  # (members,) 64-bit hashes of seed and key
    fold: np.ndarray  # (members,)
    standard: np.ndarray  # (members, V) standardised vectors; 0 where the response model may say nothing
    segment: np.ndarray  # (members,) into segments, the last being unknown
    history: np.ndarray  # (members,) into HISTORY
    overrides: Overrides


@dataclass(frozen=True)
class Rows:
    """Their decisions as arrays (n,), member by member and within a member by day."""

    member: np.ndarray  # ascending from 0
    sets: np.ndarray  # places among the candidate sets
    region: np.ndarray
    context: np.ndarray  # into the examination's
    kids: np.ndarray
    day: np.ndarray  # since 1970
    device: np.ndarray
    devices: tuple[str, ...]
    slot: np.ndarray
    best: np.ndarray
    propensity: np.ndarray
    outcome: np.ndarray  # (n, metrics)


@dataclass(frozen=True)
class Prepared:
    """Tables that are made from an examination once, not for every block."""

    stacked: Stacked
    quick: Quick | None  # none where pages are looked at

    @classmethod
    def of(cls, plan: Examination) -> "Prepared":
        """For all blocks."""
        stacked, sets = plan.targets.stacked(), plan.sets
        if plan.limits.extras:
            return cls(stacked, None)
        return cls(stacked, Quick.of(plan.targets, stacked, sets.title, sets.offsets, sets.artworks, sets.support))


def judge_rows(plan: Examination, rows: Rows, members: Members, prepared: Prepared) -> Found:
    """Evidence by policy and slice; every member has a decision."""
    offsets, candidates, support = plan.sets.spread(rows.sets)
    title = plan.sets.title[rows.sets]
    changes = (np.diff(rows.member, prepend=-1) != 0) | (np.diff(rows.day, prepend=rows.day[0]) != 0)
    log = LoggedDecisions(
        member=rows.member,
        codes=members.codes,
        page=np.cumsum(changes),
        slot=rows.slot,
        best=rows.best,
        propensity=rows.propensity,
        outcome=rows.outcome,
        offsets=offsets,
        support=support,
    )
    slices: dict[str, tuple[np.ndarray, Sequence[str]]] = {
        "region": (rows.region, plan.regions),
        "device": (rows.device, rows.devices),
        "segment": (members.segment[rows.member], (*plan.segments, "unknown")),
        "title age": (_age(plan, title, rows.day), AGES),
        "history": (members.history[rows.member], HISTORY),
    }
    book = Book.open(log, plan.targets, {name: slices[name] for name in plan.slices}, plan.limits, prepared.quick)
    targets, most = len(plan.targets.frame.group), len(candidates) / len(title)
    room = np.empty((0, targets), dtype=np.float32)
    place = plan.place(rows)
    for part in whole(rows.member, max(1, int(CACHE / targets / most))):
        here = candidates[offsets[part.start] : offsets[part.stop]]
        q = predicted(plan, rows, members, part, log.cut(part)[0], here)
        left: slice | np.ndarray = part
        if prepared.quick is not None:
            left = book.add_quick(
                part, rows.sets, title, place, rows.kids, here, q, members.overrides, prepared.stacked,
            )  # fmt: skip
            if not len(left):
                continue
            here = plan.sets.spread(rows.sets[left])[1]
            q = predicted(plan, rows, members, left, log.cut(left)[0], here)
        room = room if len(room) >= len(here) else np.empty((2 * len(here), targets), dtype=np.float32)
        ends, can = log.cut(left)
        plan.targets.fill(
            room[: len(here)], prepared.stacked, title[left], place[left], rows.kids[left], rows.member[left],
            ends, here, can, members.overrides,
        )  # fmt: skip
        book.add(left, room[: len(here)], q)
    return book.evidence()


def predicted(
    plan: Examination, rows: Rows, members: Members, at: slice | np.ndarray, offsets: np.ndarray, candidates: np.ndarray
) -> np.ndarray:
    """The reward model's word (pairs, metrics) on some decisions' candidates."""
    member = rows.member[at]
    return plan.model.predict(members.fold[member], rows.region[at], members.standard, member, offsets, candidates)


@njit(cache=True, nogil=True)
def _spread(sets, starts, artworks, support, candidates, can):
    place = 0
    for s in sets:
        for j in range(starts[s], starts[s + 1]):
            candidates[place] = artworks[j]
            can[place] = support[j]
            place += 1


def whole(member: np.ndarray, size: int) -> Iterator[slice]:
    """Pieces of whole members of about ``size`` decisions.

    >>> list(whole(np.array([0, 0, 0, 1, 2, 2]), 2))
    [slice(0, 3, None), slice(3, 6, None)]
    """
    ends = np.append(np.flatnonzero(np.diff(member)) + 1, len(member))
    start = 0
    while start < len(member):
        end = int(ends[min(int(np.searchsorted(ends, start + size)), len(ends) - 1)])
        yield slice(start, end)
        start = end


def _age(plan: Examination, title: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Codes into AGES: days since the title's first decision; unknown for titles that the log began with."""
    began = plan.first_days[title]
    return np.where(began <= plan.log_start, 0, 1 + np.searchsorted([7, 30], day - began, side="right"))
