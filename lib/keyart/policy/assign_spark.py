"""assign-artwork: which artwork each region and each member gets, by streaming members past the models.

The slate (catalogue side) reaches the workers in the closure; members come as taste rows and leave as their overrides.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from threadpoolctl import threadpool_limits

from keyart.clock import after, instant
from keyart.policy.contexts import alone_of
from keyart.policy.level_rows import level_rows
from keyart.policy.limiting import COSTS, cost_rows, limit_rows
from keyart.policy.member_rows import LOOKED_AT, limit_costs_of, member_rows
from keyart.policy.plan import Assignment
from keyart.policy.planning_spark import members_as_of
from keyart.policy.segments_spark import segment_rows
from keyart.policy.staying import BEFORE
from keyart.policy.staying_spark import with_choices_before
from keyart.schemas import TABLES
from keyart.tables import Tables

__all__ = [
    "limit_costs", "policy_calibration", "policy_weights", "region_assignments", "user_assignments", "write_assignment",
]  # fmt: skip


def write_assignment(tables: Tables, plan: Assignment) -> None:
    """Replace the policy's rows; the policies row comes last, so that a policy that can be seen is complete."""
    mine = f"policy_id = '{plan.policy.policy_id}'"
    tables.replace("region_assignments", region_assignments(tables, plan), mine)
    tables.replace("policy_weights", policy_weights(tables, plan), mine)
    tables.replace("policy_calibration", policy_calibration(tables, plan), mine)
    tables.replace("policy_segments", segment_rows(tables, plan.policy.policy_id, plan.segments), mine)
    members = members_as_of(tables, plan.policy.taste_version, plan.policy.taste_as_of)
    known = members if plan.before is None else with_choices_before(members, tables, plan.before.policy_id)
    tables.replace("user_assignments", known.transform(user_assignments, plan), mine)
    rows = limit_rows(plan.explored, plan.policy.policy_id, plan.policy.taste_as_of)
    if plan.limits.said:
        rows += limit_costs(tables, members, plan)
    schema = TABLES["policy_measures"].schema
    frame = tables.spark.createDataFrame([tuple(row[name] for name in schema.names) for row in rows], schema)
    tables.replace("policy_measures", frame, f"{mine} AND behaviour = 'limits'")
    tables.replace("policies", _policy_row(tables, plan), mine)


def region_assignments(
    tables: Tables, plan: Assignment, online: bool = False, titles: np.ndarray | None = None
) -> DataFrame:
    """Rows of region_assignments, one cell, or segment of a cell's members, in one context at a time in the workers;
    ``online`` as a stream moved them, ``titles`` (T,) says of which."""
    schema = TABLES["region_assignments"].schema
    cells = tables.spark.range(len(plan.levels.cells) * plan.ways)
    if titles is not None:
        here = titles[plan.slate.title_index]
        plan = replace(plan, shelves=plan.shelves.of_titles(titles), written=plan.written[:, here])

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for cell in batch.column("id").to_pylist():
                yield level_rows(plan, cell, online)

    return cells.mapInArrow(write, schema)


def policy_weights(tables: Tables, plan: Assignment) -> DataFrame:
    """Rows of policy_weights: what the model learned of each cell's liking of each feature, and of what devices and
    parts of the day add to it, for people to read."""
    schema = TABLES["policy_weights"].schema
    arrays, policy_id = plan.slate.arrays, plan.policy.policy_id
    weights, sds = np.asarray(arrays["region_weights"]), arrays.get("region_weights_sd")  # (C, F)
    cells = [(cell, *named) for cell, named in enumerate(plan.levels.cells[: plan.learned])]
    rows = [
        (policy_id, level, name, feature, float(weights[cell, f]), None if sds is None else float(sds[cell, f]))
        for cell, level, name in cells
        for f, feature in enumerate(plan.feature_names)
    ]
    for name, leaning, unsure in zip(plan.contexts.names, plan.contexts.leanings, plan.contexts.sds, strict=True):
        kind, alone = alone_of(name)
        liking = np.asarray(arrays["loadings"]) @ leaning
        found = zip(plan.feature_names, liking.tolist(), unsure.tolist(), strict=True)
        rows += [(policy_id, kind, alone, *one) for one in found if kind]
    return tables.spark.createDataFrame(rows, schema)


def policy_calibration(tables: Tables, plan: Assignment) -> DataFrame:
    """Rows of policy_calibration: how the model's predictions came true on later days; what is not known has no row."""
    figures = plan.calibration.figures() if plan.calibration else []
    rows = [(plan.policy.policy_id, *row) for row in figures if isfinite(row.observed) and isfinite(row.standard_error)]
    return tables.spark.createDataFrame(rows, TABLES["policy_calibration"].schema)


def user_assignments(members: DataFrame, plan: Assignment, version: int | None = None) -> DataFrame:
    """Rows of user_assignments from taste rows: members without a segment or override have none, and kids' profiles
    neither.

    With a ``version`` members without an override have an empty row, which takes back what an older one says. Where the
    plan knows an earlier policy, members come with their choices under it (``with_choices_before``).
    """
    schema = TABLES["user_assignments"].schema
    defaults = plan.defaults(plan.slate)

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with threadpool_limits(1):  # a task a core
            for batch in batches:
                yield from member_rows(plan, defaults, batch, version)

    return (
        members.where(~F.col("kids"))
        .select("user_key", "user_bucket", *LOOKED_AT, *(BEFORE if plan.before else ()))
        .mapInArrow(write, schema)
    )


def limit_costs(tables: Tables, members: DataFrame, plan: Assignment) -> list[dict[str, Any]]:
    """What each limit took of the expected reward, as rows of policy_measures: a pass more, where limits are set.

    Of fresh choices: what members keep from an earlier policy is left out on both sides.
    """
    defaults, free_defaults = (plan.defaults(slate) for slate in (plan.slate, plan.free))

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from limit_costs_of(plan, defaults, free_defaults, batch)

    rows = (
        members.where(~F.col("kids"))
        .select(*LOOKED_AT)
        .mapInArrow(work, ", ".join(f"{name} double" for name in COSTS))
        .agg(*(F.coalesce(F.sum(name), F.lit(0.0)).alias(name) for name in COSTS))
        .collect()
    )
    return cost_rows(rows[0].asDict(), plan.policy.policy_id, len(plan.limits.withheld), plan.policy.taste_as_of)


def _policy_row(tables: Tables, plan: Assignment) -> DataFrame:
    policy, schema = plan.policy, TABLES["policies"].schema
    before = tables.read_or_empty("policies").where(F.col("policy_id") == policy.policy_id).first()
    content = json.loads(plan.models)["content"]
    same = before is not None and before["spec"] == policy.spec() and json.loads(before["models"])["content"] == content
    versions = {table: tables.version(table) for table in ("artworks", "titles", "taste")}
    newest = tables.read_or_empty("policies").agg(F.unix_micros(F.max("created_at"))).collect()[0][0]
    row = {
        "policy_id": policy.policy_id,
        "kind": policy.exploration.kind,
        "spec": policy.spec(),
        "salt": policy.salt,
        "parent_policy_id": plan.before.policy_id if plan.before else None,
        "models": plan.models,
        "data_versions": json.dumps(versions, sort_keys=True),
        # A policy that is assigned again keeps its birthday.
        "created_at": before["created_at"] if before is not None and same else after(instant(newest)),
    }
    return tables.spark.createDataFrame([tuple(row[name] for name in schema.names)], schema)
