"""Arrow tables of whole members as the compact blocks that an examination reads.

What is known of a member besides their decisions is packed before it is shuffled (``pack_overrides``,
``pack_vectors``): a few bytes instead of lists and texts, and no list column that is null in the rows of decisions. To
tell a batch's size after each row, Spark has Arrow fill the gaps since the last list that was there: time squared in
the length of a batch.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from keyart.errors import ModelError
from keyart.evaluation.blocks import to_block
from keyart.evaluation.examination import Examination, Members, Rows, whole
from keyart.evaluation.targets import METRICS, Overrides
from keyart.learning.blocks import Arrays
from keyart.learning.members import member_vectors, standardised
from keyart.policy.choices import Coded
from keyart.policy.columns import codes, owners, per_text, vectors
from keyart.policy.contexts import context_cell

__all__ = ["OWN", "blocks_of", "pack_overrides", "pack_vectors"]

UNKNOWN = "unknown"
"""What a decision's device is called where the log does not say."""
PART = 65_536
"""Decisions of a block, about; their members' sums are held at a time."""

OWN = np.dtype([("title", "<i4"), ("artwork", "<i4"), ("gain", "<f4")])
"""An override as it is packed: codes of an examination."""
VECTOR = np.dtype("<f4")


def pack_overrides(plan: Examination, table: pa.Table) -> pa.Table:
    """Rows of user_assignments (code, policy_id, title_ids, artwork_ids, gains, segment) as code, policy, among,
    packed.

    ``policy`` is the place among the examination's, ``among`` 1 + that of the segment among the policy's (0: none),
    ``packed`` records of OWN; policies that are not examined and what
    nobody knows any more are left out.
    """
    policy = codes(_one(table, "policy_id"), [policy.policy_id for policy in plan.targets.policies])
    titles = _one(table, "title_ids")
    own = np.empty(len(titles.flatten()), OWN)
    title, artwork = (
        codes(titles.flatten(), plan.title_ids),
        codes(_one(table, "artwork_ids").flatten(), plan.artwork_ids),
    )
    own["title"], own["artwork"], own["gain"] = title, artwork, _one(table, "gains").flatten()
    row = owners(titles)
    kept = (policy[row] >= 0) & (title >= 0) & (artwork >= 0)
    packed = _packed(own[kept], np.bincount(row[kept], minlength=table.num_rows))
    segment, among = _one(table, "segment"), np.zeros(table.num_rows, dtype=np.int32)
    for p, known in enumerate(plan.targets.policies):
        mine = policy == p
        among[mine] = 1 + codes(segment, known.segments)[mine]
    columns = {"code": _one(table, "code"), "policy": pa.array(policy, pa.int32()), "among": pa.array(among)}
    return pa.table({**columns, "packed": packed}).filter(pa.array(policy >= 0))


def pack_vectors(plan: Examination, table: pa.Table) -> pa.Table:
    """Rows of taste (code, factors, genre_mix, history) as code, history, packed: factors, then genre_mix, in single
    precision."""
    both = [vectors(_one(table, name), n)[0] for name, n in zip(("factors", "genre_mix"), plan.lengths, strict=True)]
    values = np.hstack(both).astype(VECTOR)
    packed = _packed(values.ravel(), np.full(len(values), values.shape[1]))
    return pa.table({"code": _one(table, "code"), "history": _one(table, "history"), "packed": packed})


def blocks_of(plan: Examination, table: pa.Table) -> Iterator[Arrays]:
    """Blocks of whole members, of about PART decisions, from their rows sorted by ``code`` and day: decisions (with a
    ``set``), a member's vectors (with ``history``) and their overrides under each policy (with ``policy``), packed.

    ModelError where a decision has a candidate set that was not there when the evaluation was planned.
    """
    decisions = table.filter(table.column("set").is_valid()).combine_chunks()
    if not decisions.num_rows:
        return
    code = _numbers(decisions, "code")
    changes = np.append(True, code[1:] != code[:-1])
    starts, member = np.flatnonzero(changes), np.cumsum(changes) - 1
    members = _members(plan, table, decisions, code[starts], starts)
    for part in whole(member, PART):
        first, last = int(member[part.start]), int(member[part.stop - 1]) + 1
        here = Members(
            members.codes[first:last],
            members.fold[first:last],
            members.standard[first:last],
            members.segment[first:last],
            members.history[first:last],
            members.overrides.part(first, last),
        )
        yield to_block(_rows(plan, decisions.slice(part.start, part.stop - part.start), member[part] - first), here)


def _rows(plan: Examination, table: pa.Table, member: np.ndarray) -> Rows:
    hashes = _numbers(table, "set")
    sets = np.minimum(np.searchsorted(plan.sets.hashes, hashes), len(plan.sets.hashes) - 1)
    if (plan.sets.hashes[sets] != hashes).any():
        raise ModelError("the table decisions changed while it was read; run evaluate-policy again")
    device, devices = per_text(_one(table, "device"))
    return Rows(
        member=member,
        sets=sets,
        region=codes(_one(table, "region"), plan.regions),
        context=_contexts(plan, (device, devices), per_text(_one(table, "day_part"))),
        kids=np.asarray(_one(table, "kids")),
        day=np.asarray(_one(table, "epoch").cast(pa.int32())).astype(np.int64),
        device=device,
        devices=tuple(name or UNKNOWN for name in devices),
        slot=_numbers(table, "slot"),
        best=_numbers(table, "best"),
        propensity=np.asarray(_one(table, "propensity")),
        outcome=np.stack([np.asarray(_one(table, m), dtype=np.float64) for m in METRICS], axis=1),
    )


def _contexts(plan: Examination, device: Coded, part: Coded) -> np.ndarray:
    """Places (n,) among the examination's contexts; 0 for those in which no policy shows anything else."""
    place = {context: c for c, context in enumerate(plan.contexts)}
    known = [None if name == UNKNOWN else name for name in (*device[1], None)]
    of_pair = [[place.get(context_cell(d, p), 0) for p in (*part[1], None)] for d in known]
    return np.array(of_pair, dtype=np.int64)[device[0], part[0]]


def _members(plan: Examination, table: pa.Table, decisions: pa.Table, keys: np.ndarray, starts: np.ndarray) -> Members:
    with_vectors = table.filter(table.column("history").is_valid())
    place = _places(with_vectors, keys)
    known, at = place >= 0, place[place >= 0]
    rank, genres = plan.lengths
    both = _unpacked(with_vectors, VECTOR)[0].reshape(with_vectors.num_rows, rank + genres).astype(np.float64)
    factors, mix = both[:, :rank], both[:, rank:]
    count = _numbers(with_vectors, "history")
    standard = np.zeros((len(keys), rank + genres))
    standard[at] = standardised(plan.arrays, member_vectors(factors, mix, count))[known]
    if plan.of_held_out_only:
        standard[~np.asarray(_one(decisions, "held"))[starts]] = 0.0
    segment, history = np.full(len(keys), len(plan.segments)), np.zeros(len(keys), dtype=np.int64)
    if plan.segments and genres:
        segment[at] = mix.argmax(axis=1)[known]
    history[at] = np.searchsorted([1, 5], count, side="right")[known]
    return Members(
        keys.view(np.uint64),
        _numbers(decisions, "fold")[starts],
        standard,
        segment,
        history,
        _overrides(table.filter(table.column("policy").is_valid()), keys, len(plan.targets.policies)),
    )


def _overrides(rows: pa.Table, keys: np.ndarray, policies: int) -> Overrides:
    """Those of members with a decision."""
    own, size = _unpacked(rows, OWN)
    place, of_policy = _places(rows, keys), _numbers(rows, "policy")
    segment, there = np.zeros((len(keys), policies), dtype=np.uint8), place >= 0
    segment[place[there], of_policy[there]] = _numbers(rows, "among")[there]
    member, policy = np.repeat(place, size), np.repeat(of_policy, size)
    kept = slice(None) if (member >= 0).all() else member >= 0
    own = own[kept]
    gain = own["gain"].astype(np.float64)
    return Overrides.sorted(len(keys), member[kept], own["title"], policy[kept], own["artwork"], gain, segment)


def _packed(records: np.ndarray, sizes: np.ndarray) -> pa.Array:
    """Records as bytes, so many a row."""
    offsets = np.concatenate([[0], np.cumsum(sizes)]) * records.itemsize
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(np.ascontiguousarray(records).tobytes())]
    return pa.Array.from_buffers(pa.binary(), len(sizes), buffers)


def _unpacked(rows: pa.Table, kind: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """All records of the column ``packed``, end to end, and how many each row has."""
    column = _one(rows, "packed").cast(pa.large_binary())
    _, places, data = column.buffers()
    if data is None or not len(column):
        return np.empty(0, kind), np.zeros(len(column), dtype=np.int64)
    offsets = np.frombuffer(places, np.int64, len(column) + 1, column.offset * 8)
    records = np.frombuffer(data, kind, (offsets[-1] - offsets[0]) // kind.itemsize, offsets[0])
    return records, np.diff(offsets) // kind.itemsize


def _places(rows: pa.Table, keys: np.ndarray) -> np.ndarray:
    """Of each row's member among the codes, which ascend; -1 for members without a decision."""
    wanted = _numbers(rows, "code")
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)


def _one(table: pa.Table, name: str) -> pa.Array:
    """A column in one piece."""
    found = table.column(name).combine_chunks()
    return found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)


def _numbers(table: pa.Table, name: str) -> np.ndarray:
    return np.asarray(_one(table, name)).astype(np.int64)
