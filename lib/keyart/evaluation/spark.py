"""evaluate-policy: one pass over each member's test decisions, down to a few sums, and rows of evaluations from them.

A member's decisions are brought together once; taste and overrides join as one row a member. Workers turn whole members
into moments; nothing the size of the members reaches the driver.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keyart.errors import ModelError
from keyart.evaluation.findings import findings
from keyart.evaluation.replay import LAYOUT, Evidence, LoggedDecisions, replay
from keyart.evaluation.reward_model import RewardModel
from keyart.feedback.spark import windows_of
from keyart.feedback.windows import Windows
from keyart.learning.members import member_vectors, standardised
from keyart.policy.choices import GreedyChoices, level_choices, user_choices
from keyart.policy.columns import codes, owners, per_text, vectors
from keyart.policy.levels import Levels
from keyart.policy.spark import greedy_choices, newest_policy
from keyart.policy.specification import Policy
from keyart.schemas import TABLES
from keyart.settings import Settings
from keyart.tables import Tables
from keyart.tracking import Tracking

__all__ = ["Examination", "evaluate", "evidence_of", "plan_examination", "write_evaluations"]

log = logging.getLogger(__name__)

LOGGED = (
    "title_id",
    "region",
    "kids",
    "artwork_id",
    "propensity",
    "candidate_set",
    "candidate_propensities",
    *LAYOUT.metrics,
)
"""What the pass needs of a decision."""
EVIDENCE = "slice string, place int, total double, largest double"
LARGEST_AT = 1_000_000
"""Places from here on are maxima, not sums."""


@dataclass(frozen=True)
class Examination:
    """What a worker needs to judge a policy: catalogue-sized, handed over by closure."""

    policy: Policy
    choices: GreedyChoices
    levels: Levels  # of the response model
    model: RewardModel
    arrays: Mapping[str, np.ndarray]  # member_mean, member_scale
    lengths: tuple[int, int]  # of factors and genre_mix
    windows: Windows
    response: str  # what the evaluation used as reward model


def plan_examination(tables: Tables, tracking: Tracking, settings: Settings) -> Examination:
    """The policy, its choices and the reward model; ModelError where a policy, model or decision is missing."""
    policy, row = newest_policy(tables, settings.evaluate.policy_id)
    response = tracking.load("response")
    if response.version != json.loads(row["models"])["response"]["version"]:
        log.warning(
            "policy %s was made by an older response model; %s predicts here", policy.policy_id, response.version
        )
    about: Mapping[str, Any] = response.model.about
    arrays = response.model.arrays
    decisions = tables.read("decisions")
    windows = windows_of(decisions, settings.time)
    choices = greedy_choices(tables, policy, about["artwork_ids"])
    place = {artwork: i for i, artwork in enumerate(about["artwork_ids"])}
    position = np.array([place.get(artwork, -1) for artwork in choices.artwork_ids])
    model = RewardModel.of(arrays, position, _base_rates(decisions, windows, choices.title_ids))
    return Examination(
        policy,
        choices,
        Levels.of(about["cells"], settings.regions),
        model,
        {name: np.array(arrays[name]) for name in ("member_mean", "member_scale")},
        _lengths(tables, policy),
        windows,
        f"{response.name} {response.version}",
    )


def evaluate(tables: Tables, tracking: Tracking, settings: Settings) -> list[dict[str, Any]]:
    """Rows of evaluations for a policy; ModelError where the test window has no decision to judge by."""
    plan = plan_examination(tables, tracking, settings)
    found = evidence_of(tables, plan)
    if "*" not in found:
        raise ModelError(
            f"no matured decision with a choice lies in [{plan.windows.t1}, {plan.windows.end}); "
            "ingest later logs or set time.t1"
        )
    refusal = None
    if plan.policy.taste_as_of > plan.windows.t1:
        refusal = f"taste was learned up to {plan.policy.taste_as_of}, within the test days from {plan.windows.t1} on"
    versions = {table: tables.version(table) for table in ("decisions", "region_assignments", "user_assignments")}
    key = json.dumps([plan.policy.policy_id, str(plan.windows), versions, plan.response])
    always = {
        "evaluation_id": hashlib.sha256(key.encode()).hexdigest()[:16],
        "policy_id": plan.policy.policy_id,
        "from_day": plan.windows.t1,
        "to_day": plan.windows.end,
    }
    smallest = settings.privacy.smallest_cell
    return [
        {**always, **row}
        for name in sorted(found)
        for row in findings(name, found[name], settings.evaluate, smallest, refusal)
    ]


def write_evaluations(tables: Tables, rows: list[dict[str, Any]]) -> None:
    """Replace what was known about the policy on these days."""
    schema, first = TABLES["evaluations"].schema, rows[0]
    frame = tables.spark.createDataFrame([tuple(row[name] for name in schema.names) for row in rows], schema)
    where = f"policy_id = '{first['policy_id']}' AND from_day = '{first['from_day']}' AND to_day = '{first['to_day']}'"
    tables.replace("evaluations", frame, where)


def evidence_of(tables: Tables, plan: Examination) -> dict[str, Evidence]:
    """Evidence by slice ("*" and each region) from the test window; slices without decisions are absent."""
    decisions = tables.read("decisions").transform(_judged_by, plan.windows.t1, plan.windows.end)
    policy = plan.policy
    of_policy = tables.read("user_assignments").where(F.col("policy_id") == policy.policy_id)
    taste = tables.read("taste").where(
        (F.col("taste_version") == policy.taste_version) & (F.col("as_of") == F.lit(policy.taste_as_of))
    )

    def judge(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        parts: dict[str, list[Evidence]] = {}
        for batch in (batch for batch in batches if batch.num_rows):
            for name, evidence in _judge(plan, batch).items():
                parts.setdefault(name, []).append(evidence)
        for name, evidences in parts.items():
            yield _as_rows(name, reduce(add, evidences))

    sums = (
        decisions.groupBy("user_key")
        .agg(F.collect_list(F.struct(*LOGGED)).alias("decisions"))
        .join(of_policy.select("user_key", "title_ids", "artwork_ids"), on="user_key", how="left")
        .join(taste.select("user_key", "factors", "genre_mix", "history"), on="user_key", how="left")
        .mapInArrow(judge, EVIDENCE)
        .groupBy("slice", "place")
        .agg(F.sum("total").alias("total"), F.max("largest").alias("largest"))
        .toPandas()
        .sort_values("place")
    )
    found = {}
    for name, rows in sums.groupby("slice"):
        maxima = rows["place"].to_numpy() >= LARGEST_AT
        found[str(name)] = Evidence.unflat(rows["total"].to_numpy()[~maxima], rows["largest"].to_numpy()[maxima])
    return found


def _judged_by(decisions: DataFrame, first, end) -> DataFrame:
    """Matured decisions of [first, end) that had something to choose; already started titles are apart."""
    return decisions.where(
        (F.col("epoch") >= F.lit(first))
        & (F.col("epoch") < F.lit(end))
        & F.col("reward").isNotNull()
        & ~F.col("already_started")
        & (F.size("candidate_set") >= 2)
    )


def _base_rates(decisions: DataFrame, windows: Windows, title_ids: tuple[str, ...]) -> dict[str, np.ndarray]:
    """What a title's average artwork brought before the test, by metric (T + 1); the last entry is over all titles."""
    uniform = 1.0 / F.size("candidate_set") / F.col("propensity")  # what an even draw would have shown
    sums = [F.sum(uniform).alias("w"), *(F.sum(uniform * F.col(m)).alias(m) for m in LAYOUT.metrics)]
    rows = decisions.transform(_judged_by, windows.t0, windows.t1).groupBy("title_id").agg(*sums).collect()
    if not rows:
        raise ModelError(
            f"no matured decision lies in [{windows.t0}, {windows.t1}): nothing says what titles are worth"
        )
    known = {row["title_id"]: row for row in rows}
    whole = sum(row["w"] for row in rows)
    rates = {}
    for metric in LAYOUT.metrics:
        overall = sum(row[metric] for row in rows) / whole
        own = [known[title][metric] / known[title]["w"] if title in known else overall for title in title_ids]
        rates[metric] = np.array([*own, overall])
    return rates


def _lengths(tables: Tables, policy: Policy) -> tuple[int, int]:
    rows = tables.read("taste").where(F.col("taste_version") == policy.taste_version)
    row = rows.select(F.size("factors"), F.size("genre_mix")).first()
    if row is None:
        raise ModelError(
            f"policy {policy.policy_id} uses taste {policy.taste_version}, which is gone; run assign-artwork"
        )
    return int(row[0]), int(row[1])


def _judge(plan: Examination, batch: pa.RecordBatch) -> dict[str, Evidence]:
    """Evidence by slice from whole members."""
    nested = batch.column("decisions")
    member = owners(nested)
    columns = dict(zip(LOGGED, nested.flatten().flatten(), strict=True))
    titles = codes(columns["title_id"], plan.choices.title_ids)
    region, regions = per_text(columns["region"])
    by_level = {level: level_choices(plan.choices, level, regions) for level in ("global", "region")}
    # A title the policy does not know has no choice.
    chosen = {level: np.where(titles >= 0, shown[region, titles], -1) for level, shown in by_level.items()}
    own = owners(batch.column("title_ids"))
    personal = user_choices(
        chosen["region"],
        member,
        np.maximum(titles, 0),
        own,
        codes(batch.column("title_ids").flatten(), plan.choices.title_ids),
        codes(batch.column("artwork_ids").flatten(), plan.choices.artwork_ids),
    )
    kids = np.asarray(columns["kids"].fill_null(False)) | (titles < 0)
    chosen["user"] = np.where(kids, chosen["region"], personal)
    sizes = np.asarray(pc.list_value_length(columns["candidate_set"]))
    cells = np.array([plan.levels.chain(name)[0] for name in regions], dtype=np.int64)[region]
    logged = LoggedDecisions(
        member=member,
        title=titles,
        cell=cells,
        served=codes(columns["artwork_id"], plan.choices.artwork_ids),
        propensity=np.asarray(columns["propensity"]),
        outcome={metric: np.asarray(columns[metric], dtype=np.float64) for metric in LAYOUT.metrics},
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        candidates=codes(columns["candidate_set"].flatten(), plan.choices.artwork_ids),
        candidate_propensities=np.asarray(columns["candidate_propensities"].flatten()),
    )
    slices = {"*": np.ones(len(member), dtype=bool)}
    slices |= {f"region={name}": region == i for i, name in enumerate(regions)}
    return replay(logged, chosen, plan.model, _standard(plan, batch), slices)


def _standard(plan: Examination, batch: pa.RecordBatch) -> np.ndarray:
    factors, present = vectors(batch.column("factors"), plan.lengths[0])
    genres, _ = vectors(batch.column("genre_mix"), plan.lengths[1])
    members = member_vectors(factors, genres, np.asarray(batch.column("history").fill_null(0)))
    # A member without vectors counts as the average one.
    return np.where(present[:, None], standardised(plan.arrays, members), 0.0)


def _as_rows(name: str, evidence: Evidence) -> pa.RecordBatch:
    sums, largest = evidence.flat()
    places = np.concatenate([np.arange(len(sums)), LARGEST_AT + np.arange(len(largest))])
    zeros = np.zeros(len(largest)), np.zeros(len(sums))
    return pa.RecordBatch.from_pydict(
        {
            "slice": pa.array([name] * len(places)),
            "place": pa.array(places, pa.int32()),
            "total": np.concatenate([sums, zeros[0]]),
            "largest": np.concatenate([zeros[1], largest]),
        }
    )
