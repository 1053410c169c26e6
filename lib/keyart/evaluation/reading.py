"""Arrow tables of whole members as the compact blocks that an examination reads."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from keyart.errors import ModelError
from keyart.evaluation.blocks import to_block
from keyart.evaluation.examination import Examination, Members, Rows, whole
from keyart.evaluation.targets import METRICS, Overrides
from keyart.learning.blocks import Arrays
from keyart.learning.members import member_vectors, standardised
from keyart.policy.columns import codes, owners, per_text, vectors

__all__ = ["blocks_of"]

PART = 65_536
"""Decisions of a block, about; their members' sums are held at a time."""

Entries = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def blocks_of(plan: Examination, table: pa.Table) -> Iterator[Arrays]:
    """Blocks of whole members, of about PART decisions, from their rows sorted by ``code`` and day: decisions (with a
    ``set``), a member's vectors (with ``history``) and their overrides under each policy (with ``policy_id``).

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
        kids=np.asarray(_one(table, "kids")),
        day=np.asarray(_one(table, "epoch").cast(pa.int32())).astype(np.int64),
        device=device,
        devices=tuple(name or "unknown" for name in devices),
        slot=_numbers(table, "slot"),
        best=_numbers(table, "best"),
        propensity=np.asarray(_one(table, "propensity")),
        outcome=np.stack([np.asarray(_one(table, m), dtype=np.float64) for m in METRICS], axis=1),
    )


def _members(plan: Examination, table: pa.Table, decisions: pa.Table, keys: np.ndarray, starts: np.ndarray) -> Members:
    with_vectors = table.filter(table.column("history").is_valid())
    place = _places(with_vectors, keys)
    known, at = place >= 0, place[place >= 0]
    factors, mix = (
        vectors(_one(with_vectors, name), length)[0]
        for name, length in zip(("factors", "genre_mix"), plan.lengths, strict=True)
    )
    count = _numbers(with_vectors, "history")
    standard = np.zeros((len(keys), sum(plan.lengths)))
    standard[at] = standardised(plan.arrays, member_vectors(factors, mix, count))[known]
    if plan.of_held_out_only:
        standard[~np.asarray(_one(decisions, "held"))[starts]] = 0.0
    segment, history = np.full(len(keys), len(plan.segments)), np.zeros(len(keys), dtype=np.int64)
    if plan.segments and mix.shape[1]:
        segment[at] = mix.argmax(axis=1)[known]
    history[at] = np.searchsorted([1, 5], count, side="right")[known]
    own = table.filter(table.column("policy_id").is_valid())
    chosen = [own.filter(pc.equal(own.column("policy_id"), policy.policy_id)) for policy in plan.targets.policies]
    return Members(
        keys.view(np.uint64),
        _numbers(decisions, "fold")[starts],
        standard,
        segment,
        history,
        Overrides.of(len(keys), [_entries(plan, rows, keys) for rows in chosen]),
    )


def _entries(plan: Examination, rows: pa.Table, keys: np.ndarray) -> Entries:
    """A policy's overrides as member, title, artwork, gain; what nobody knows any more is left out."""
    titles = _one(rows, "title_ids")
    member = _places(rows, keys)[owners(titles)]
    title = codes(titles.flatten(), plan.title_ids)
    artwork = codes(_one(rows, "artwork_ids").flatten(), plan.artwork_ids)
    gain = np.asarray(_one(rows, "gains").flatten(), dtype=np.float64)
    kept = (member >= 0) & (title >= 0) & (artwork >= 0)
    return member[kept], title[kept], artwork[kept], gain[kept]


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
