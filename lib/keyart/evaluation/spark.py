"""evaluate-policy: one pass over blocks of each member's test decisions, for all policies at once, down to a few sums.

Catalogue-sized tables reach the workers once a machine, members' blocks are read where they lie, and nothing the size
of the members reaches the driver.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keyart.errors import TableError
from keyart.evaluation.blocks import from_block
from keyart.evaluation.blocks_spark import as_blocks, each_block, keep, kept
from keyart.evaluation.examination import Examination, Prepared, judge_rows
from keyart.evaluation.examination_spark import Evaluation, folds_of, plan_evaluation
from keyart.evaluation.findings import findings, plans
from keyart.evaluation.log_spark import judged
from keyart.evaluation.moments import Layout
from keyart.evaluation.replay import ALL, Evidence, Found, add_all
from keyart.evaluation.targets import METRICS
from keyart.learning.blocks import pack, unpack
from keyart.policy.versions import ASSIGNED
from keyart.schemas import TABLES
from keyart.session import of_small_rows
from keyart.settings import Settings
from keyart.sharing import shared
from keyart.tables import Tables
from keyart.tracking import Tracking

__all__ = [
    "blocks_of_plan",
    "evaluate",
    "evidence_from",
    "evidence_of",
    "plan_lines",
    "rows_of",
    "write_evaluations",
]

EVIDENCE = "policy int, slice string, block string, payload binary"


def evaluate(tables: Tables, tracking: Tracking, settings: Settings) -> list[dict[str, Any]]:
    """Rows of evaluations; ModelError where the test window has no decision to judge by."""
    plan = plan_evaluation(tables, tracking, settings)
    return rows_of(tables, plan, evidence_of(tables, plan, settings), settings)


def evidence_of(tables: Tables, plan: Evaluation, settings: Settings) -> Found:
    """Evidence by policy and slice ("*", dimension=value) of the test window; slices without decisions are absent.

    Blocks that are not there yet are made and kept.
    """
    blocks = blocks_of_plan(tables, plan, settings)
    return evidence_from(blocks, plan.examination, settings.session.shared_folder_or_none())


def blocks_of_plan(tables: Tables, plan: Evaluation, settings: Settings) -> DataFrame:
    """Blocks (block, payload) of the test window, made and kept if they are not there yet."""
    folder, given = settings.session.shared_folder_or_none(), settings.evaluate
    if not plan.has_blocks:
        window = judged(tables.read("decisions"), plan.windows.t1, plan.windows.end)
        names = [policy.policy_id for policy in plan.policies]
        own = tables.read("user_assignments").where(F.col("policy_id").isin(names)).where(ASSIGNED)
        with shared(plan.examination, folder) as handle, of_small_rows(tables.spark):
            blocks = as_blocks(window, plan.taste, own, handle, folds_of(given), given.seed, plan.held_out)
            keep(tables, plan.source, blocks, plan.found)
    blocks = kept(tables, plan.source)
    if blocks.isEmpty():
        raise TableError("another evaluation replaced the blocks that this one was to read: run the same command again")
    return blocks


def evidence_from(blocks: DataFrame, examination: Examination, folder: str | None) -> Found:
    """One pass over blocks (block, payload); ``folder`` as ``sharing.shared`` wants it."""
    layout = Layout(examination.targets.behaviours, METRICS)
    with shared((examination, Prepared.of(examination)), folder) as handle:

        def worked(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            plan, prepared = handle.value()
            found: Found = {}
            first = ""
            for name, block in each_block(batches):
                first = first or name
                add_all(found, judge_rows(plan, *from_block(block), prepared))
            yield from _as_rows(found, first)

        def summed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            found: Found = {}
            for batch in batches:
                for row in batch.to_pylist():
                    add_all(found, {(row["policy"], row["slice"]): Evidence.of(layout, unpack(row["payload"]))})
            yield from _as_rows(found, "")

        sums = (
            blocks.mapInArrow(worked, EVIDENCE)
            .repartition("policy", "slice")
            .sortWithinPartitions("policy", "slice", "block")
            .mapInArrow(summed, EVIDENCE)
            .collect()
        )
    return {(row["policy"], row["slice"]): Evidence.of(layout, unpack(bytes(row["payload"]))) for row in sums}


def rows_of(tables: Tables, plan: Evaluation, found: Found, settings: Settings) -> list[dict[str, Any]]:
    """Rows of the table evaluations from the evidence, policy by policy."""
    versions = {table: tables.version(table) for table in ("decisions", "region_assignments", "user_assignments")}
    smallest, rate, rows = settings.privacy.smallest_cell, plan.about.earlier_rate, []
    for place, policy in enumerate(plan.policies):
        refusal = None
        if policy.taste_as_of > plan.windows.t1:
            refusal = f"taste was learned up to {policy.taste_as_of}, within the test days from {plan.windows.t1} on"
        key = json.dumps([policy.policy_id, str(plan.windows), versions, plan.reward_model, asdict(settings.evaluate)])
        always = {
            "evaluation_id": hashlib.sha256(key.encode()).hexdigest()[:16],
            "policy_id": policy.policy_id,
            "from_day": plan.windows.t1,
            "to_day": plan.windows.end,
            "reward_model": plan.reward_model,
            **plan.about.outside,
        }
        for name in sorted(name for at, name in found if at == place):
            evidence = found[place, name]
            found_rows = findings(name, evidence, settings.evaluate, smallest, refusal, rate)
            rows += [{**always, **row} for row in found_rows]
    return rows


def plan_lines(plan: Evaluation, found: Found, width: float) -> list[str]:
    """For each policy and greedy target, how much the log must explore for an interval ``width`` wide."""
    return [
        f"plan for policy {policy.policy_id}: {needed.sentence(target, 'reward')}"
        for place, policy in enumerate(plan.policies)
        for target, needed in plans(found[place, ALL], width).items()
    ]


def write_evaluations(tables: Tables, rows: list[dict[str, Any]]) -> None:
    """Replace what was known about the policies on these days."""
    schema, first = TABLES["evaluations"].schema, rows[0]
    frame = tables.spark.createDataFrame([tuple(row[name] for name in schema.names) for row in rows], schema)
    names = ", ".join(f"'{name}'" for name in sorted({row["policy_id"] for row in rows}))
    where = f"policy_id IN ({names}) AND from_day = '{first['from_day']}' AND to_day = '{first['to_day']}'"
    tables.replace("evaluations", frame, where)


def _as_rows(found: Found, block: str) -> Iterator[pa.RecordBatch]:
    for (policy, name), evidence in found.items():
        columns = {"policy": [policy], "slice": [name], "block": [block], "payload": [pack(evidence.arrays())]}
        yield pa.RecordBatch.from_pydict(columns, _arrow())


def _arrow() -> pa.Schema:
    return pa.schema([("policy", pa.int32()), ("slice", pa.string()), ("block", pa.string()), ("payload", pa.binary())])
