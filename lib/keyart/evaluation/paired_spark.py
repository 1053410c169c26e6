"""The paired pass: blocks of members' test decisions in, what they say of two policies side by side out."""

from collections.abc import Iterator
from functools import reduce

import numpy as np
import pyarrow as pa

from keyart.evaluation.blocks import from_block
from keyart.evaluation.blocks_spark import each_block
from keyart.evaluation.examination import CACHE, Examination, Members, Rows, predicted, whole
from keyart.evaluation.examination_spark import Evaluation
from keyart.evaluation.paired import PAIR, paired_evidence
from keyart.evaluation.replay import Evidence
from keyart.evaluation.spark import blocks_of_plan
from keyart.evaluation.targets import Stacked
from keyart.learning.blocks import pack, unpack
from keyart.settings import Settings
from keyart.sharing import shared
from keyart.tables import Tables

__all__ = ["compared"]


def compared(tables: Tables, plan: Evaluation, settings: Settings) -> Evidence:
    """The plan's first policy as served beside its second as served, or beside an even draw where it has one only."""
    blocks, folder = blocks_of_plan(tables, plan, settings), settings.session.shared_folder_or_none()
    with shared(plan.examination, folder) as handle:

        def worked(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            examination = handle.value()
            stacked = examination.targets.stacked()
            found = Evidence.empty(PAIR)
            name = ""
            for block, arrays in each_block(batches):
                name = name or block
                found = found + _of_block(examination, stacked, *from_block(arrays))
            payload = {"block": [name], "payload": [pack(found.arrays())]}
            yield pa.RecordBatch.from_pydict(payload, pa.schema([("block", pa.string()), ("payload", pa.binary())]))

        parts = blocks.mapInArrow(worked, "block string, payload binary").collect()
    # In the order of the blocks' names: floating point sums then do not depend on which task was done first.
    ordered = sorted(parts, key=lambda row: row["block"])
    return reduce(
        lambda total, row: total + Evidence.of(PAIR, unpack(bytes(row["payload"]))), ordered, Evidence.empty(PAIR)
    )


def _of_block(plan: Examination, stacked: Stacked, rows: Rows, members: Members) -> Evidence:
    order, served = plan.targets.order(), plan.targets.behaviours.index("served")
    even = plan.targets.behaviours.index("uniform")
    columns = [order[0, served], order[1, served] if len(order) > 1 else order[0, even]]
    offsets, candidates, support = plan.sets.spread(rows.sets)
    title, found = plan.sets.title[rows.sets], Evidence.empty(PAIR)
    targets, place = len(plan.targets.frame.group), plan.place(rows)
    for part in whole(rows.member, max(1, int(CACHE * len(title) / len(candidates) / targets))):
        first, last = offsets[part.start], offsets[part.stop]
        here, can, ends = candidates[first:last], support[first:last], offsets[part.start : part.stop + 1] - first
        pi = np.empty((len(here), targets), dtype=np.float32)
        plan.targets.fill(
            pi, stacked, title[part], place[part], rows.kids[part], rows.member[part], ends, here, can,
            members.overrides,
        )  # fmt: skip
        q = predicted(plan, rows, members, part, ends, here)
        found = found + paired_evidence(
            rows.member[part], ends, rows.slot[part], can, rows.propensity[part], rows.outcome[part], pi[:, columns], q,
            plan.limits.overlap,
        )  # fmt: skip
    return found
