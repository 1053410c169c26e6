"""From events to decisions: who was shown what first, whether they took it, and what they then watched.

A member's takes and watches of one title are few, so they travel as one small sorted array to that member's decisions
on the title, and each decision picks its own from it: one shuffle of impressions, one sort, no join by time range.
"""

from datetime import UTC, date, datetime, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from keyart.feedback.events import DAY_PARTS, HOURS_PER_PART, REPEATS, WATCH_ENDS
from keyart.schemas import DECISIONS, IMPRESSIONS
from keyart.settings import EventsSettings

__all__ = [
    "PAIR",
    "artwork_stats",
    "decisions",
    "final_by",
    "first_open",
    "first_unsettled",
    "impressions",
    "newest_of",
    "outcomes_since",
    "running_times",
]

HOUR = 3_600_000_000
"""Microseconds."""
NEVER = 2**62
PAIR = ("user_key", "title_id")
ABANDON_SHARE = 0.1
UNKNOWN = "unknown"
STATS_CELL = ("epoch", "region", "device", "day_part", "segment", "title_id", "artwork_id")


def impressions(events: DataFrame) -> DataFrame:
    """The exposures that belong to a decision: those whose log says how the artwork was chosen.

    Without propensity, candidate set or its distribution nothing can be learned from an exposure; it stays an event.
    """
    values = {"impression_id": F.col("event_id"), "decision_id": _decision_id()}
    return _exposures(events).select(*[values.get(name, F.col(name)).alias(name) for name in IMPRESSIONS.names])


def decisions(
    events: DataFrame, history: DataFrame, running: DataFrame, now: datetime, settings: EventsSettings
) -> DataFrame:
    """One row a member x title x day of the impressions among ``events``, with its outcome where it is final by now.

    A take belongs to the latest decision that began before it, at most take_window_hours; what is watched after it,
    until reward_window_hours after the decision began or the title is taken again from a later decision, is its
    quality; a take nothing is known of after is worth 0. Where the log has no take, a play from a row is one.
    ``history`` holds takes, plays and watches since the first of ``events``, and all earlier plays (for already_started
    where the log does not say). ``running`` is title_id, running_seconds.
    """
    outcomes = _outcomes(history).join(running, on="title_id", how="left")
    picked = (
        _first_exposures(_exposures(events))
        .join(outcomes, on=list(PAIR), how="left")
        .withColumn("_final", F.col("_first") + int(settings.reward_window_hours * HOUR))
        .withColumn("_take", F.get(_takes(settings), F.lit(0)))
        .withColumn("_until", _until())
        .withColumn("_seen", F.filter("_stops", lambda stop: _of_take(stop["at"])))
    )
    return _with_outcome(picked, now, settings)


def running_times(videos: DataFrame, frames: DataFrame | None) -> DataFrame:
    """title_id and running_seconds of its longest film: by its container, else by its last of ``frames``."""
    timed = videos.withColumn("_seconds", F.col("duration_seconds"))
    if frames is not None:
        last = frames.groupBy("scan_id", "video_id").agg(F.max("seconds").alias("_last"))
        seen = last.withColumnRenamed("scan_id", "current_scan_id")
        timed = timed.join(seen, on=["current_scan_id", "video_id"], how="left")
        timed = timed.withColumn("_seconds", F.coalesce("_seconds", "_last"))
    return (
        timed.groupBy("title_id")
        .agg(F.max("_seconds").alias("running_seconds"))
        .where(F.col("running_seconds") > 0)
        .select("title_id", "running_seconds")
    )


def outcomes_since(day: date) -> Column:
    """Of events, the history that decisions from this day on need."""
    kinds = F.col("event_type").isin("take", *WATCH_ENDS, *REPEATS)
    return (F.col("event_type") == "play") | (kinds & (F.col("event_date") >= F.lit(day)))


def final_by(now: datetime, settings: EventsSettings) -> Column:
    """Of decisions that stand open, those whose outcome is final by now."""
    last = now - timedelta(hours=settings.reward_window_hours)
    return F.col("matured_at").isNull() & (F.col("first_ts") <= F.lit(last))


def first_open(decisions: DataFrame) -> date | None:
    """The first day with a decision whose outcome is not final yet."""
    row = decisions.where(F.col("matured_at").isNull()).agg(F.min("epoch")).first()
    return row[0] if row is not None else None


def newest_of(events: DataFrame) -> datetime:
    """When the newest of these events happened; where there is none, now."""
    row = events.agg(F.unix_micros(F.max("ts"))).first()
    if row is None or row[0] is None:
        return datetime.now(UTC)
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=row[0])


def first_unsettled(decisions: DataFrame, stats: DataFrame, before: date, days: int) -> date | None:
    """Of the last ``days`` + 1 days with decisions before a day, the first whose artwork_stats do not add up to them.

    A run that dies between the two tables leaves it so. Decisions that it found final are no longer open then, and the
    only ones on days before its own are those that were open when the log paused.
    """
    earlier = decisions.where(F.col("epoch") < F.lit(before))
    last = earlier.agg(F.max("epoch")).first()
    if last is None or last[0] is None:
        return None
    since = F.lit(last[0] - timedelta(days=days))
    counted = earlier.where((F.col("epoch") >= since) & _counts()).groupBy(F.col("epoch").alias("event_date"))
    wanted = counted.agg(F.count("*").alias("n"), F.sum(F.col("take").cast("long")).alias("takes"), _total())
    of_days = stats.where((F.col("event_date") >= since) & (F.col("event_date") < F.lit(before))).groupBy("event_date")
    found = of_days.agg(F.sum("n").alias("n"), F.sum("takes").alias("takes"), _total())
    row = wanted.join(found, on=["event_date", "n", "takes", "total"], how="left_anti").agg(F.min("event_date")).first()
    return row[0] if row is not None else None


def artwork_stats(decisions: DataFrame) -> DataFrame:
    """Additive cells of matured decisions on titles the member had not started."""
    weight = 1 / F.col("propensity")
    is_told = F.col("segment").isNotNull() & (F.col("policy_id") != UNKNOWN)
    of_policy = F.when(is_told, F.concat_ws("/", "policy_id", "segment"))
    return (
        decisions.where(_counts())
        .withColumn("segment", of_policy)
        .groupBy(*STATS_CELL)
        .agg(
            F.count("*").alias("n"),
            F.sum(F.col("take").cast("long")).alias("takes"),
            F.sum(weight).alias("w"),
            F.sum(weight * weight).alias("w2"),
            F.sum(weight * F.col("reward")).alias("wr"),
            F.sum(F.pow(weight * F.col("reward"), F.lit(2))).alias("w2r2"),
            F.sum("reward").alias("reward"),
        )
        .select(
            F.col("epoch").alias("event_date"),
            F.concat_ws("|", "region", "device", "day_part", "segment", "artwork_id").alias("cell"),
            *STATS_CELL[1:], "n", "takes", "w", "w2", "wr", "w2r2", "reward",
        )
    )  # fmt: skip


def _counts() -> Column:
    return F.col("take").isNotNull() & ~F.col("already_started")


def _total() -> Column:
    """Of rewards; sums of floats differ in their last digits."""
    return F.round(F.sum("reward"), 6).alias("total")


def _exposures(events: DataFrame) -> DataFrame:
    said = ["title_id", "artwork_id", "propensity", "candidate_set", "candidate_propensities"]
    return events.where(F.col("event_type") == "impression").dropna(subset=said)


def _first_exposures(exposures: DataFrame) -> DataFrame:
    """Each decision's first impression; times of all of them (_at), of it (_first), of the next decision (_next)."""
    at = F.unix_micros("ts")
    of_day = Window.partitionBy(*PAIR, "event_date").orderBy("ts", "event_id")
    whole_day = of_day.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    # Partitioned by the pair alone and sorted once: both windows and the join that follows use the same order.
    of_pair = Window.partitionBy(*PAIR).orderBy("event_date", "ts", "event_id")
    return (
        exposures.repartition(*PAIR)
        .withColumns({"_at": F.collect_list(at).over(whole_day), "_id": F.first("event_id").over(whole_day)})
        .where(F.col("event_id") == F.col("_id"))
        .withColumn("_first", at)
        .withColumn("_next", F.lead("_first").over(of_pair))
    )


def _outcomes(events: DataFrame) -> DataFrame:
    """Per member and title: takes in order of time, takes before plays from a row; stops; the first play."""
    at, kind = F.unix_micros("ts"), F.col("event_type")
    is_take = kind == "take"
    take = F.struct(at.alias("at"), F.when(is_take, 0).otherwise(1).alias("rank"), F.col("source").alias("source"))
    stop = F.struct(
        at.alias("at"),
        F.coalesce("watched_seconds", F.lit(0.0)).alias("watched"),
        (kind == "complete").alias("complete"),
    )
    relevant = events.where(kind.isin("take", "play", *WATCH_ENDS, *REPEATS) & F.col("title_id").isNotNull())
    return relevant.groupBy(*PAIR).agg(
        F.sort_array(F.collect_list(F.when(is_take | ((kind == "play") & (F.col("source") == "row")), take))).alias(
            "_takes"
        ),
        F.sort_array(F.collect_list(F.when(kind.isin(*WATCH_ENDS), stop))).alias("_stops"),
        F.collect_list(F.when(kind.isin(*REPEATS), at)).alias("_repeats"),
        F.min(F.when(kind == "play", at)).alias("_first_play"),
    )


def _takes(settings: EventsSettings) -> Column:
    """The takes of the decision, first one first."""
    last = F.col("_first") + int(settings.take_window_hours * HOUR)
    before_next = F.coalesce(F.col("_next"), F.lit(NEVER))
    return F.filter("_takes", lambda t: (t["at"] >= F.col("_first")) & (t["at"] <= last) & (t["at"] < before_next))


def _until() -> Column:
    """Up to when what is watched is the decision's."""
    again = F.get(F.filter("_takes", lambda t: t["at"] >= F.col("_next")), F.lit(0))["at"]
    return F.least(F.col("_final"), F.coalesce(again, F.lit(NEVER)) - 1)


def _of_take(at: Column) -> Column:
    """Whether a time belongs to what was watched after the decision's take."""
    return at.between(F.col("_take.at"), F.col("_until"))


def _with_outcome(picked: DataFrame, now: datetime, settings: EventsSettings) -> DataFrame:
    is_final = F.timestamp_micros("_final") <= F.lit(now)
    taken = is_final & F.col("_take").isNotNull()
    watched = F.aggregate("_seen", F.lit(0.0), lambda total, s: total + s["watched"])
    completed = F.exists("_seen", lambda s: s["complete"])
    running = F.coalesce("running_seconds", F.lit(settings.default_duration_seconds))
    quality = F.when(completed, 1.0).otherwise(F.least(F.lit(1.0), watched / running))
    early = F.least(F.lit(settings.abandon_seconds), ABANDON_SHARE * running)
    hour = F.coalesce("local_hour", F.hour("ts"))
    part = F.get(F.array(*map(F.lit, DAY_PARTS)), F.floor(hour / HOURS_PER_PART).cast("int"))
    until_take = F.size(F.filter("_at", lambda at: at <= F.col("_take.at")))
    started = F.coalesce("already_started", F.col("_first_play") < F.col("_first"), F.lit(False))
    values = {
        "decision_id": _decision_id(),
        "epoch": F.col("event_date"),
        "policy_id": F.coalesce("policy_id", F.lit(UNKNOWN)),
        "region": F.coalesce("region", F.lit(UNKNOWN)),
        "device": F.coalesce("device", F.lit(UNKNOWN)),
        "day_part": part,
        "kids": F.coalesce("kids", F.lit(False)),
        "already_started": started,
        "impressions": F.when(F.col("_take").isNull(), F.size("_at")).otherwise(until_take),
        "first_ts": F.col("ts"),
        "take": F.when(is_final, F.col("_take").isNotNull().cast("int")),
        "quality": F.when(taken, quality),
        "minutes": F.when(taken, watched / 60),
        "abandoned": F.when(taken, ~completed & (watched < early)),
        "rewatched": F.when(taken, F.exists("_repeats", _of_take)),
        "take_source": F.when(taken, F.col("_take.source")),
        "reward": F.when(is_final, F.when(F.col("_take").isNotNull(), quality).otherwise(0.0)),
        "matured_at": F.when(is_final, F.timestamp_micros("_final")),
    }
    return picked.select(*[values.get(name, F.col(name)).alias(name) for name in DECISIONS.names])


def _decision_id() -> Column:
    return F.md5(F.concat_ws("\x1f", "user_key", "title_id", F.col("event_date").cast("string")))
