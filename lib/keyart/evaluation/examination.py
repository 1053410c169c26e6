"""A policy's examination on one table of logged decisions: Arrow columns of whole members in, evidence out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from keyart.evaluation.replay import Found, Limits, LoggedDecisions, Part, add_all, judge
from keyart.evaluation.reward_model import RewardModel
from keyart.evaluation.targets import METRICS, Overrides, Stacked, Targets
from keyart.learning.members import member_vectors, standardised
from keyart.policy.columns import codes, owners, per_text, vectors

__all__ = ["SLICES", "CandidateSets", "Examination", "examine"]

PART = 65_536
"""Decisions whose members' sums are held at a time."""
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


def examine(plan: Examination, table: pa.Table) -> Found:
    """Evidence by policy and slice from the rows of whole members, sorted by user_key: decisions (with a ``set``), a
    member's vectors (with ``history``) and their overrides under each policy (with ``policy_id``)."""
    decisions = table.filter(table.column("set").is_valid())
    if not decisions.num_rows:
        return {}
    keys = decisions.column("user_key").combine_chunks().dictionary_encode()
    members = _Members.of(plan, table, keys.dictionary)
    member = np.asarray(keys.indices).astype(np.int64)
    tables = plan.targets.stacked()
    found: Found = {}
    for part in _parts(member, PART):
        rows = decisions.slice(part.start, part.stop - part.start)
        add_all(found, _judge(plan, rows, member[part], members, tables))
    return found


def _parts(member: np.ndarray, size: int) -> Iterator[slice]:
    """Pieces of whole members of about ``size`` decisions."""
    ends = np.append(np.flatnonzero(np.diff(member)) + 1, len(member))
    start = 0
    while start < len(member):
        end = int(ends[min(int(np.searchsorted(ends, start + size)), len(ends) - 1)])
        yield slice(start, end)
        start = end


@dataclass(frozen=True)
class _Members:
    """Members' own rows, by their place among the decisions' user keys."""

    standard: np.ndarray  # (members, V)
    segment: np.ndarray  # (members,) into segments, the last being unknown
    history: np.ndarray  # (members,) into HISTORY
    overrides: Overrides

    @classmethod
    def of(cls, plan: Examination, table: pa.Table, keys: pa.Array) -> "_Members":
        with_vectors = table.filter(table.column("history").is_valid()).combine_chunks()
        place = _places(with_vectors.column("user_key"), keys)
        known, at = place >= 0, place[place >= 0]
        factors, mix = (
            vectors(_one(with_vectors.column(name)), length)[0]
            for name, length in zip(("factors", "genre_mix"), plan.lengths, strict=True)
        )
        count = np.asarray(with_vectors.column("history")).astype(np.int64)
        standard = np.zeros((len(keys), sum(plan.lengths)))
        standard[at] = standardised(plan.arrays, member_vectors(factors, mix, count))[known]
        segment, history = np.full(len(keys), len(plan.segments)), np.zeros(len(keys), dtype=np.int64)
        if mix.shape[1]:
            segment[at] = mix.argmax(axis=1)[known]
        history[at] = np.searchsorted([1, 5], count, side="right")[known]
        own = table.filter(table.column("policy_id").is_valid()).combine_chunks()
        of_policy = own.column("policy_id").to_numpy(zero_copy_only=False) if own.num_rows else np.zeros(0, str)
        chosen = [own.filter(pa.array(of_policy == policy.policy_id)) for policy in plan.targets.policies]
        entries = [_entries(plan, rows, keys) for rows in chosen]
        return cls(standard, segment, history, Overrides.of(len(keys), entries))


def _entries(
    plan: Examination, rows: pa.Table, keys: pa.Array
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A policy's overrides as member, title, artwork, gain; what nobody knows any more is left out."""
    place = _places(rows.column("user_key"), keys)
    titles = _one(rows.column("title_ids"))
    member = place[owners(titles)]
    title = codes(titles.flatten(), plan.title_ids)
    artwork = codes(_one(rows.column("artwork_ids")).flatten(), plan.artwork_ids)
    gain = np.asarray(_one(rows.column("gains")).flatten(), dtype=np.float64)
    kept = (member >= 0) & (title >= 0) & (artwork >= 0)
    return member[kept], title[kept], artwork[kept], gain[kept]


def _judge(plan: Examination, rows: pa.Table, member: np.ndarray, members: _Members, tables: Stacked) -> Found:
    first, last = int(member[0]), int(member[-1]) + 1
    local = member - first
    hashes = _numbers(rows, "set")
    sets = np.searchsorted(plan.sets.hashes, hashes)
    offsets, candidates, support = plan.sets.spread(sets)
    title, region = plan.sets.title[sets], codes(_one(rows.column("region")), plan.regions)
    held = np.asarray(_one(rows.column("held")))
    standard = members.standard[first:last]
    if plan.of_held_out_only:
        speaks = np.zeros(last - first, dtype=bool)
        speaks[local] = held
        standard = np.where(speaks[:, None], standard, 0.0)
    kids, fold = np.asarray(_one(rows.column("kids"))), _numbers(rows, "fold")
    own = members.overrides.part(first, last)
    targets = plan.targets.order().size

    def parts() -> Iterator[Part]:
        room = np.empty((0, targets), dtype=np.float32)
        for part in _parts(local, max(1, CACHE * len(local) // (targets * max(len(candidates), 1)))):
            ends, can = log.cut(part)
            here = candidates[offsets[part.start] : offsets[part.stop]]
            q = plan.model.predict(fold[part], region[part], standard, local[part], ends, here)
            room = room if len(room) >= len(here) else np.empty((2 * len(here), targets), dtype=np.float32)
            pi = room[: len(here)]
            plan.targets.fill(pi, tables, title[part], region[part], kids[part], local[part], ends, here, can, own)
            yield part, pi, q

    day = np.asarray(_one(rows.column("epoch")).cast(pa.int32())).astype(np.int64)
    _, page = np.unique(local * 1_000_000 + day, return_inverse=True)
    starts = np.flatnonzero(np.diff(local, prepend=-1))
    log = LoggedDecisions(
        member=local,
        codes=_numbers(rows, "code")[starts].astype(np.int64).view(np.uint64),
        page=page,
        slot=_numbers(rows, "slot"),
        best=_numbers(rows, "best"),
        propensity=np.asarray(_one(rows.column("propensity"))),
        outcome=np.stack([np.asarray(_one(rows.column(m)), dtype=np.float64) for m in METRICS], axis=1),
        offsets=offsets,
        support=support,
    )
    device, devices = per_text(_one(rows.column("device")))
    slices: dict[str, tuple[np.ndarray, Sequence[str]]] = {
        "region": (region, plan.regions),
        "device": (device, [name or "unknown" for name in devices]),
        "segment": (members.segment[member], (*plan.segments, "unknown")),
        "title age": (_age(plan, title, day), AGES),
        "history": (members.history[member], HISTORY),
    }
    slices = {name: slices[name] for name in plan.slices}
    return judge(log, parts(), plan.targets, slices, plan.limits)


def _age(plan: Examination, title: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Codes into AGES: days since the title's first decision; unknown for titles that the log began with."""
    began = plan.first_days[title]
    return np.where(began <= plan.log_start, 0, 1 + np.searchsorted([7, 30], day - began, side="right"))


def _places(column: pa.ChunkedArray, keys: pa.Array) -> np.ndarray:
    return np.asarray(pc.fill_null(pc.index_in(_one(column), keys), -1)).astype(np.int64)


def _one(column: pa.ChunkedArray) -> pa.Array:
    """A table's column in one piece."""
    found = column.combine_chunks()
    return found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)


def _numbers(rows: pa.Table, name: str) -> np.ndarray:
    return np.asarray(_one(rows.column(name))).astype(np.int64)
