"""Measures of a delivery: counts, shares of missing values, take fraction, servings against logged propensities."""

from collections.abc import Iterable
from datetime import date, timedelta

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from keyart.feedback.events import DROPPED
from keyart.feedback.quality import SMALLEST_EXPECTED, misfit, proven_drift, served_p_value

__all__ = ["decision_measures", "delivery_measures", "take_drift", "tally"]

DRIFT_DAYS = 28
SOURCES = ("row", "search", "continue", "elsewhere")
"""Where a take may come from; a breakdown, of all takes, those of started titles too."""

WATCHED_NULLS = ("title_id", "artwork_id", "session_id", "region", "device", "local_hour", "policy_id", "propensity")


def tally(checked: DataFrame) -> list[Row]:
    """One pass over the rows of a delivery: counts, missing values and newest time by event type, reason and day."""
    missing = [F.count_if(F.col(name).isNull()).alias(f"null_{name}") for name in WATCHED_NULLS]
    kind = F.when(F.col("reason").isNull(), F.col("event_type")).alias("event_type")
    return (
        # Of bad rows the day may be anything.
        checked.groupBy(kind, "reason", F.when(F.col("reason").isNull(), F.col("event_date")).alias("day"))
        .agg(
            F.count("*").alias("rows"),
            F.count("opted_out").alias("consents"),
            F.min("event_date").alias("first_date"),
            F.max("event_date").alias("last_date"),
            F.max("ts").alias("newest"),
            F.count_if("unnamed").alias("unnamed"),
            *missing,
        )
        .collect()
    )


def delivery_measures(counts: Iterable[Row], late_hours: float) -> dict[str, float]:
    """The measures of a tally; rows of days that ended ``late_hours`` before the newest day began are late."""
    good = [row for row in counts if row["reason"] is None]
    dropped = [row for row in counts if row["reason"] in DROPPED.values()]
    bad = [row for row in counts if row["reason"] is not None and row["reason"] not in DROPPED.values()]
    accepted = sum(row["rows"] for row in good)
    judged = accepted + sum(row["rows"] for row in bad)
    measures = {"rows": float(judged + sum(row["rows"] for row in dropped))}
    measures["bad_share"] = sum(row["rows"] for row in bad) / judged if judged else 0.0
    named = [(f"dropped: {row['reason']}", row) for row in dropped]
    named += [(f"rows: {row['event_type']}", row) for row in good] + [
        (f"set aside: {row['reason']}", row) for row in bad
    ]
    for name, row in named:
        measures[name] = measures.get(name, 0.0) + row["rows"]
    if good:
        settled = max(row["day"] for row in good) - timedelta(hours=late_hours)
        measures["late_rows"] = float(sum(row["rows"] for row in good if row["day"] < settled))
    for name in WATCHED_NULLS:
        measures[f"missing: {name}"] = sum(row[f"null_{name}"] for row in good) / accepted if accepted else 0.0
    shown = [row for row in good if row["event_type"] == "impression"]
    if shown:
        unlogged = sum(row["null_propensity"] for row in shown)
        measures["missing: propensity of impressions"] = unlogged / sum(row["rows"] for row in shown)
    return measures


def decision_measures(decisions: DataFrame) -> dict[str, float]:
    """Decisions, take fraction, where takes came from and, a policy, the p-value of what was served against the logged
    propensities."""
    measures = {"decisions": 0.0, "matured": 0.0} | {f"takes from: {source}": 0.0 for source in SOURCES}
    takes = 0
    for row in _by_policy(decisions).collect():
        measures["decisions"] += row["decisions"]
        measures["matured"] += row["matured"]
        takes += row["takes"]
        for source in SOURCES:
            measures[f"takes from: {source}"] += row[f"from_{source}"]
        p = served_p_value(row["statistic"], row["degrees"])
        if p is not None:
            measures[f"served p-value: {row['policy_id']}"] = p
            measures[f"served misfit: {row['policy_id']}"] = misfit(p)
    if measures["matured"]:
        measures["take_fraction"] = takes / measures["matured"]
    return measures


def take_drift(stats: DataFrame, span: tuple[date, date]) -> dict[str, float]:
    """How far the take fraction of the days of ``span`` lies from that of the DRIFT_DAYS before, as far as proven.

    ``stats`` are artwork_stats. Nothing where there were no decisions before.
    """
    since = span[0] - timedelta(days=DRIFT_DAYS)
    now = F.col("event_date") >= F.lit(span[0])
    row = (
        stats.where(F.col("event_date").between(since, span[1]))
        .agg(*[F.sum(F.when(when, F.col(name))) for when in (now, ~now) for name in ("takes", "n")])
        .first()
    )
    if row is None or not (row[1] and row[3]):
        return {}
    return {"take_fraction drift": proven_drift(*row)}


def _by_policy(decisions: DataFrame) -> DataFrame:
    fresh = F.col("take").isNotNull() & ~F.col("already_started")
    source = F.when(F.col("take_source").isin(*SOURCES), F.col("take_source")).otherwise(SOURCES[-1])
    counted = ("n", "matured", "takes", *(f"from_{name}" for name in SOURCES))
    # Few distributions serve many decisions: count first, unfold after.
    distributions = decisions.groupBy(
        "policy_id", "title_id", "artwork_id", "candidate_set", "candidate_propensities"
    ).agg(
        F.count("*").alias("n"),
        F.count_if(fresh).alias("matured"),
        F.sum(F.when(fresh, F.col("take")).otherwise(0)).alias("takes"),
        *[F.count_if((F.col("take") == 1) & (source == name)).alias(f"from_{name}") for name in SOURCES],
    )
    pairs = F.explode(
        F.arrays_zip(F.col("candidate_set").alias("candidate"), F.col("candidate_propensities").alias("p"))
    )
    is_served = F.col("pair.candidate") == F.col("artwork_id")
    cells = (
        distributions.select("*", pairs.alias("pair"))
        .groupBy("policy_id", "title_id", F.col("pair.candidate").alias("candidate"))
        .agg(
            F.sum(F.col("n") * F.col("pair.p")).alias("expected"),
            *[F.sum(F.when(is_served, F.col(name)).otherwise(0)).alias(name) for name in counted],
        )
    )
    enough = F.when(F.col("expected") >= SMALLEST_EXPECTED, F.col("candidate"))
    names = ("expected", *counted)
    pooled = cells.groupBy("policy_id", "title_id", enough.alias("candidate")).agg(*[F.sum(n).alias(n) for n in names])
    counts_in = F.col("expected") >= SMALLEST_EXPECTED
    by_title = pooled.groupBy("policy_id", "title_id").agg(
        F.sum(F.when(counts_in, F.pow(F.col("n") - F.col("expected"), F.lit(2)) / F.col("expected"))).alias(
            "statistic"
        ),
        F.count_if(counts_in).alias("cells"),
        *[F.sum(name).alias(name) for name in counted],
    )
    tested = F.col("cells") > 1
    return by_title.groupBy("policy_id").agg(
        F.sum(F.when(tested, F.col("statistic")).otherwise(0.0)).alias("statistic"),
        F.sum(F.when(tested, F.col("cells") - 1).otherwise(0)).alias("degrees"),
        F.sum("n").alias("decisions"),
        *[F.sum(name).alias(name) for name in counted[1:]],
    )
