"""A policy's examination: what a worker holds, and compact arrays of whole members in, evidence out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from keyart.evaluation.replay import Found, Limits, LoggedDecisions, Part, judge
from keyart.evaluation.reward_model import RewardModel
from keyart.evaluation.targets import Overrides, Stacked, Targets

__all__ = ["HISTORY", "SLICES", "CandidateSets", "Examination", "Members", "Rows", "judge_rows", "whole"]

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
        size = np.diff(self.offsets)[sets]
        offsets = np.concatenate([[0], np.cumsum(size)])
        at = np.arange(offsets[-1]) + np.repeat(self.offsets[sets] - offsets[:-1], size)
        return offsets, self.artworks[at], self.support[at]


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
    limits: Limits = field(default_factory=Limits)


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
    kids: np.ndarray
    day: np.ndarray  # since 1970
    device: np.ndarray
    devices: tuple[str, ...]
    slot: np.ndarray
    best: np.ndarray
    propensity: np.ndarray
    outcome: np.ndarray  # (n, metrics)


def judge_rows(plan: Examination, rows: Rows, members: Members, tables: Stacked) -> Found:
    """Evidence by policy and slice; ``tables`` are the targets' own, stacked once a worker."""
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
    targets, most = len(plan.targets.frame.group), len(candidates) / len(title)

    def parts() -> Iterator[Part]:
        room = np.empty((0, targets), dtype=np.float32)
        for part in whole(rows.member, max(1, int(CACHE / targets / most))):
            member, region, own_title = rows.member[part], rows.region[part], title[part]
            ends, can = log.cut(part)
            here = candidates[offsets[part.start] : offsets[part.stop]]
            q = plan.model.predict(members.fold[member], region, members.standard, member, ends, here)
            room = room if len(room) >= len(here) else np.empty((2 * len(here), targets), dtype=np.float32)
            pi = room[: len(here)]
            kids = rows.kids[part]
            plan.targets.fill(pi, tables, own_title, region, kids, member, ends, here, can, members.overrides)
            yield part, pi, q

    slices: dict[str, tuple[np.ndarray, Sequence[str]]] = {
        "region": (rows.region, plan.regions),
        "device": (rows.device, rows.devices),
        "segment": (members.segment[rows.member], (*plan.segments, "unknown")),
        "title age": (_age(plan, title, rows.day), AGES),
        "history": (members.history[rows.member], HISTORY),
    }
    return judge(log, parts(), plan.targets, {name: slices[name] for name in plan.slices}, plan.limits)


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
