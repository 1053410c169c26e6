"""The one pass over decisions and events: a member's days, then a member's figures, then sums that add up.

Rows are added up by member and day where they lie, then brought together by member; workers turn whole members into
moments. What reaches the driver has the size of arms x segments x figures.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from keyart.evaluation.experiments.members import MemberDays
from keyart.evaluation.experiments.metrics import FACTS
from keyart.feedback.events import WATCH_ENDS
from keyart.policy.columns import owners

__all__ = ["CANCEL", "EPOCH", "Key", "add_up", "days_of", "member_days"]

CANCEL = "cancel"
"""Event type of a member who ends their subscription."""
EPOCH = date(1970, 1, 1)
Key = tuple[str, int, str]
"""What a vector of sums belongs to: kind, arm, segment."""
SUMS = "kind string, arm int, segment string, place int, total double"
SUMMED = tuple(fact for fact in FACTS if fact not in ("sessions", "active_days", "foreign"))


def member_days(
    decisions: DataFrame, events: DataFrame | None, first: date, start: date, end: date, variants: Sequence[str] = ()
) -> DataFrame:
    """One row a member: their days of [first, end) with FACTS, and what is known of them since ``start``.

    Columns user_key; days, an array of (day, facts but foreign, served: decisions by each of ``variants``); context
    (region, device) of the first decision since ``start``; titles, different ones taken since; minutes, of each take
    since. Only matured decisions count. Without ``events`` what is watched is what takes led to.
    """
    rows = _decision_rows(decisions, events is None, first, start, end, variants)
    if events is not None:
        rows = rows.unionByName(_event_rows(events, first, end), allowMissingColumns=True)
    served = [F.coalesce(F.sum(f"_served_{i}"), F.lit(0.0)) for i in range(len(variants))]
    daily = rows.groupBy("user_key", "day").agg(
        *(F.coalesce(F.sum(fact), F.lit(0.0)).alias(fact) for fact in SUMMED),
        F.size(F.collect_set("session_id")).cast("double").alias("sessions"),
        F.lit(1.0).alias("active_days"),
        F.array(*served).cast("array<double>").alias("served"),
        F.min("_context").alias("_context"),
        F.collect_set("_title").alias("_titles"),
        F.collect_list("_minutes").alias("_minutes"),
    )
    facts = [fact for fact in FACTS if fact != "foreign"]
    return daily.groupBy("user_key").agg(
        F.collect_list(F.struct("day", *facts, "served")).alias("days"),
        F.min("_context").alias("context"),
        F.size(F.array_distinct(F.flatten(F.collect_list("_titles")))).alias("titles"),
        F.flatten(F.collect_list("_minutes")).alias("minutes"),
    )


def _decision_rows(
    decisions: DataFrame, watched: bool, first: date, start: date, end: date, variants: Sequence[str]
) -> DataFrame:
    since = F.col("epoch") >= F.lit(start)
    taken = since & (F.col("take") == 1)
    weight = _weight()
    values = {
        "decisions": F.lit(1.0),
        "takes": F.col("take").cast("double"),
        "reward": F.col("reward"),
        "minutes": F.coalesce("minutes", F.lit(0.0)),
        "abandoned": F.coalesce(F.col("abandoned").cast("double"), F.lit(0.0)),
        "watched": F.coalesce("minutes", F.lit(0.0)) if watched else F.lit(0.0),
        "cancels": F.lit(0.0),
        "randomised": (weight != 0).cast("double"),
        "weight": weight,
        "weighted_reward": weight * F.col("reward"),
    }
    kept = decisions.where(
        (F.col("epoch") >= F.lit(first)) & (F.col("epoch") < F.lit(end)) & F.col("reward").isNotNull()
    )
    return kept.select(
        "user_key",
        F.unix_date("epoch").alias("day"),
        *(values[fact].alias(fact) for fact in SUMMED),
        *((F.col("policy_id") == policy).cast("double").alias(f"_served_{i}") for i, policy in enumerate(variants)),
        F.lit(None).cast("string").alias("session_id"),
        F.when(since, F.struct("first_ts", "region", "device")).alias("_context"),
        F.when(taken, F.col("title_id")).alias("_title"),
        F.when(taken, F.col("minutes")).alias("_minutes"),
    )


def _weight() -> Column:
    """As ``stealing.decision_weights``: the favourite is the candidate that the policy would show most often."""
    most = F.array_max("candidate_propensities")
    favourites = F.size(F.filter("candidate_propensities", lambda p: p == most))
    favourite = F.element_at("candidate_set", F.array_position("candidate_propensities", most).cast("int"))
    weight = F.when(F.col("artwork_id") == favourite, 1 / most).otherwise(-1 / (1 - most))
    # Without a single favourite (an even draw) there is nothing to compare with.
    return F.when((most < 1) & (favourites == 1), weight).otherwise(0.0)


def _event_rows(events: DataFrame, first: date, end: date) -> DataFrame:
    ends = F.col("event_type").isin(*WATCH_ENDS)
    zero = {fact: F.lit(0.0).alias(fact) for fact in SUMMED}
    zero["watched"] = F.when(ends, F.coalesce("watched_seconds", F.lit(0.0)) / 60).otherwise(0.0).alias("watched")
    zero["cancels"] = (F.col("event_type") == CANCEL).cast("double").alias("cancels")
    kept = events.where((F.col("event_date") >= F.lit(first)) & (F.col("event_date") < F.lit(end)))
    return kept.select("user_key", F.unix_date("event_date").alias("day"), *zero.values(), "session_id")


def days_of(batch: pa.RecordBatch, arms: np.ndarray | None = None) -> MemberDays:
    """A batch of ``member_days`` as arrays; with ``arms`` (members,), decisions by another arm's policy are foreign."""
    days = batch.column("days")
    member, parts = owners(days), days.flatten()
    facts = {name: np.asarray(parts.field(name), dtype=np.float64) for name in FACTS if name != "foreign"}
    facts["foreign"] = np.zeros(len(member))
    if arms is not None:
        served = np.asarray(parts.field("served").flatten(), dtype=np.float64).reshape(len(member), -1)
        arm = arms[member]
        own = np.take_along_axis(served, np.maximum(arm, 0)[:, None], axis=1)[:, 0]
        facts["foreign"] = np.where(arm >= 0, facts["decisions"] - own, 0.0)
    return MemberDays(
        member,
        np.asarray(parts.field("day"), dtype=np.int64),
        np.stack([facts[name] for name in FACTS], axis=1),
        np.asarray(batch.column("titles"), dtype=np.float64),
    )


def add_up(
    members: DataFrame, judge: Callable[[pa.RecordBatch], Iterable[tuple[Key, np.ndarray]]]
) -> dict[Key, np.ndarray]:
    """Sums of the vectors that ``judge`` gives for batches of members, by key."""

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        total: dict[Key, np.ndarray] = {}
        for batch in (batch for batch in batches if batch.num_rows):
            for key, vector in judge(batch):
                total[key] = total[key] + vector if key in total else vector
        for (kind, arm, segment), vector in total.items():
            count = len(vector)
            yield pa.RecordBatch.from_pydict(
                {
                    "kind": pa.repeat(kind, count),
                    "arm": pa.repeat(pa.scalar(arm, pa.int32()), count),
                    "segment": pa.repeat(segment, count),
                    "place": pa.array(np.arange(count), pa.int32()),
                    "total": vector.astype(np.float64),
                }
            )

    rows = (
        members.mapInArrow(work, SUMS)
        .groupBy("kind", "arm", "segment", "place")
        .agg(F.sum("total").alias("total"))
        .toPandas()
        .sort_values("place")
    )
    found: dict[Key, list[float]] = {}
    for kind, arm, segment, total in zip(rows["kind"], rows["arm"], rows["segment"], rows["total"], strict=True):
        found.setdefault((kind, int(arm), segment), []).append(total)  # places are in order
    return {key: np.array(vector) for key, vector in found.items()}
