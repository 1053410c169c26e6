"""Rows of user_assignments: a batch of members past the slate, and what the limits took of what they would choose."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from keyart.learning.members import standardised
from keyart.learning.predict import user_scores
from keyart.policy.assignment import Overrides, Slate, overrides, scored_overrides
from keyart.policy.columns import per_text, vectors_of
from keyart.policy.limiting import cost_of, within_limits, worth_of
from keyart.policy.plan import Assignment
from keyart.policy.reasons import member_reasons
from keyart.policy.staying import same_period, stayed
from keyart.policy.versions import days_of

__all__ = ["LOOKED_AT", "limit_costs_of", "member_rows"]

CELLS = 4_000_000
"""Members x artworks scored at a time: 32 MB an array."""
ENTRIES = 4_000_000
"""Members x titles decided at a time: room for as many overrides."""
LOOKED_AT = ("region", "factors", "genre_mix", "history")
"""Of a member's row of taste."""


def member_rows(
    plan: Assignment, defaults: np.ndarray, batch: pa.RecordBatch, version: int | None
) -> Iterator[pa.RecordBatch]:
    """Rows of a batch of members (``LOOKED_AT``, their keys, and what they saw before where the plan has a policy
    before), as ``user_assignments`` says; ``defaults`` are the plan's."""
    step = max(1, ENTRIES // len(plan.slate.title_ids))
    for start in range(0, batch.num_rows, step):
        yield _rows(plan, defaults, batch.slice(start, step), version)


def limit_costs_of(
    plan: Assignment, defaults: np.ndarray, free_defaults: np.ndarray, batch: pa.RecordBatch
) -> Iterator[pa.RecordBatch]:
    """COSTS of a batch of members (``LOOKED_AT``), a row a slice; defaults of the plan's slate and of its free one."""
    step = max(1, CELLS // len(plan.free.artwork_ids))
    for start in range(0, batch.num_rows, step):
        part = batch.slice(start, step)
        members = _members(plan, part)
        before, after, scores = _chosen(plan, plan.slate, defaults, members)
        without = worth_of(scores, defaults[members.shelf], before)
        free = without
        if plan.free is not plan.slate:
            freely, _, all_scores = _chosen(plan, plan.free, free_defaults, members)
            free = worth_of(all_scores, free_defaults[members.shelf], freely)
        worth = worth_of(scores, defaults[members.shelf], after)
        yield pa.RecordBatch.from_pylist([cost_of(part.num_rows, before, after, free, without, worth)])


@dataclass(frozen=True)
class _Members:
    """A batch's members: n of them."""

    vectors: np.ndarray  # (n, V)
    cell: np.ndarray  # (n,) of the model: their region's
    segment: np.ndarray  # (n,) -1 is none
    shelf: np.ndarray  # (n,) row of ``Assignment.defaults``
    taste: np.ndarray  # (n, D)


def _members(plan: Assignment, batch: pa.RecordBatch) -> _Members:
    region, regions = per_text(batch.column("region"))
    cell = np.array([plan.levels.chain(name)[0] for name in regions], dtype=np.int64)[region]
    vectors, arrays = vectors_of(batch), plan.slate.arrays
    taste = standardised(arrays, vectors) @ np.asarray(arrays["weights"])
    segment = plan.segments.joined(taste, np.asarray(batch.column("history")))
    return _Members(vectors, cell, segment, cell * (1 + len(plan.segments)) + 1 + segment, taste)


def _chosen(
    plan: Assignment, slate: Slate, defaults: np.ndarray, members: _Members
) -> tuple[Overrides, Overrides, np.ndarray]:
    """Members' overrides before and after the limit on looks (which knows the looks of the policy's own slate), and
    their scores."""
    scores, standing = user_scores(slate.arrays, members.vectors, members.cell), defaults[members.shelf]
    found = plan.scope.within(
        overrides(scores, standing, slate, plan.policy.minimum_gain), members.vectors, slate.title_ids
    )
    return found, within_limits(found, standing, plan.limits) if slate is plan.slate else found, scores


def _rows(plan: Assignment, defaults: np.ndarray, batch: pa.RecordBatch, version: int | None) -> pa.RecordBatch:
    slate, members = plan.slate, _members(plan, batch)
    level = np.asarray(slate.arrays["cell_mean"])
    least = plan.policy.minimum_gain
    found = scored_overrides(members.taste, members.cell, level, defaults, slate, least, members.shelf)
    found = plan.scope.within(found, members.vectors, slate.title_ids)
    standing = defaults[members.shelf]
    if plan.before is not None:
        policy, users = plan.policy, batch.column("user_key").to_pylist()
        held = same_period(policy.salt, users, plan.before.as_of, policy.taste_as_of, policy.stay_days)
        shown, features = plan.before.shown(batch), np.asarray(slate.arrays["features"])
        found = stayed(
            found, standing, shown, held, members.taste, members.cell, level, features, plan.stay_gain
        )  # fmt: skip
    found = within_limits(found, standing, plan.limits)
    texts, reason = member_reasons(slate.arrays, members.vectors, found, plan.feature_names, plan.member_names)
    each = np.bincount(found.member, minlength=batch.num_rows)
    rows = np.flatnonzero((each > 0) | (members.segment >= 0)) if version is None else np.arange(batch.num_rows)
    counts = each[rows]
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    kept = pa.array(rows)
    lists = {
        "title_ids": pa.array(slate.title_ids, pa.string()).take(pa.array(found.title)),
        "artwork_ids": pa.array(slate.artwork_ids, pa.string()).take(pa.array(found.artwork)),
        "gains": pa.array(found.gain.astype(np.float32)),
        "reasons": pa.array(texts, pa.string()).take(pa.array(reason)),
    }
    if version is None:
        version = days_of(plan.policy.taste_as_of)
    nowhere = members.segment[rows] < 0
    return pa.RecordBatch.from_pydict(
        {
            "policy_id": pa.array([plan.policy.policy_id] * len(rows), pa.string()),
            "user_key": batch.column("user_key").take(kept),
            "user_bucket": batch.column("user_bucket").take(kept),
            "version": pa.array([version] * len(rows), pa.int64()),
            "region": batch.column("region").take(kept),
            **{name: pa.ListArray.from_arrays(offsets, values) for name, values in lists.items()},
            "segment": pa.array(plan.segments.names, pa.string()).take(pa.array(members.segment[rows], mask=nowhere)),
        }
    )
