"""Sessions from events, and what they say of a day: time to the first play, titles looked at before, return, leaving.

A session is what one member did under one session_id; without ids, until GAP_MINUTES of silence. It belongs to the UTC
day that it began on. Only days whose events have changed are computed again.
"""

from datetime import date, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from keyart.feedback.events import WATCH_ENDS
from keyart.schemas import SESSION_STATS, SESSIONS
from keyart.tables import Tables

__all__ = ["RETURN_DAYS", "changed_days", "session_stats", "sessions", "write_sessions"]

GAP_MINUTES = 30
RETURN_DAYS = (1, 7, 28)
SUMMED = ("events", "plays", "abandons", "rewinds", "searches", "cancels")
WITHIN = ("user_key", "_label", "_number")


def sessions(events: DataFrame) -> DataFrame:
    """One row a session. Events of one session must all be among ``events``."""
    label, at, kind = F.coalesce("session_id", F.lit("")), F.col("ts"), F.col("event_type")
    order = Window.partitionBy("user_key", "_label").orderBy("ts", "event_id")
    silence = F.unix_seconds("ts") - F.lag(F.unix_seconds("ts")).over(order)
    begins = (F.col("_label") == "") & (silence > GAP_MINUTES * 60)
    so_far = order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    numbered = (
        events.withColumn("_label", label)
        .withColumn("_begins", F.coalesce(begins.cast("int"), F.lit(0)))
        .withColumn("_number", F.sum("_begins").over(so_far))
    )
    of_session = Window.partitionBy(*WITHIN).orderBy("ts", "event_id")
    whole = of_session.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    first = {"_play": F.min(F.when(kind == "play", at)).over(whole), "_day": F.min("event_date").over(whole)}
    marked = numbered.withColumns(first)
    before = (kind == "impression") & (at <= F.coalesce("_play", at))
    length = F.unix_micros(F.max("ts")) - F.unix_micros(F.min("ts"))
    values = {
        "session_key": F.md5(F.concat_ws("\x1f", "user_key", "_label", F.min("ts").cast("string"))),
        "user_bucket": F.min("user_bucket"),
        "session_date": F.min("event_date"),
        "started_at": F.min("ts"),
        "seconds": length / 1e6,
        "region": F.coalesce(_first("region"), F.lit("unknown")),
        "device": F.coalesce(_first("device"), F.lit("unknown")),
        "policy_id": F.coalesce(_first("policy_id"), F.lit("unknown")),
        "events": F.count("*"),
        "events_later": F.count_if(F.col("event_date") > F.col("_day")),
        "impressions": _count("impression"),
        "titles_before_play": F.size(F.collect_set(F.when(before, F.col("title_id")))),
        "seconds_to_play": (F.unix_micros(F.min("_play")) - F.unix_micros(F.min("ts"))) / 1e6,
        "play_source": F.min_by(F.when(kind == "play", F.col("source")), F.when(kind == "play", at)),
        "plays": _count("play"),
        "minutes": F.coalesce(F.sum(F.when(kind.isin(*WATCH_ENDS), F.col("watched_seconds"))), F.lit(0.0)) / 60,
        "pauses": _count("pause"),
        "rewinds": _count("rewind", "rewatch"),
        "abandons": _count("abandon"),
        "searches": _count("search"),
        "cancels": _count("cancel"),
    }
    found = marked.groupBy(*WITHIN).agg(*[column.alias(name) for name, column in values.items()])
    return found.select(*SESSIONS.names)


def session_stats(found: DataFrame, last: date) -> DataFrame:
    """Additive cells of sessions by day, region and policy. ``last`` is the newest day with events: whether a member
    came back within k days is known of days k before it, of others it is not counted.

    A member counts on a day in the cell of their first session.
    """
    of_day = Window.partitionBy("user_key", "session_date").orderBy("started_at", "session_key")
    ordered = found.withColumn("_first", F.row_number().over(of_day) == 1)
    days = Window.partitionBy("user_key").orderBy("session_date", "started_at", "session_key")
    firsts = ordered.where("_first").withColumn("_next", F.lead("session_date").over(days))
    gap = F.datediff("_next", "session_date")
    returns = []
    for k in RETURN_DAYS:
        known = F.datediff(F.lit(last), "session_date") >= k
        returns += [F.count_if(known).alias(f"could_return_{k}"), F.count_if(known & (gap <= k)).alias(f"returned_{k}")]
    cell = ("session_date", "region", "policy_id")
    members = firsts.groupBy(*cell).agg(F.count("*").alias("members"), *returns)
    played = F.col("plays") > 0
    sums = found.groupBy(*cell).agg(
        F.count("*").alias("sessions"),
        F.count_if(played).alias("with_play"),
        F.sum("seconds").alias("seconds"),
        F.sum(F.when(played, F.col("seconds_to_play"))).alias("seconds_to_play"),
        F.sum(F.when(played, F.col("titles_before_play"))).cast("long").alias("titles_before_play"),
        *[F.sum(name).cast("long").alias(name) for name in SUMMED],
        F.sum("minutes").alias("minutes"),
    )
    # A cell of later sessions only has no member of its own.
    return sums.join(members, on=list(cell), how="left").na.fill(0).select(*SESSION_STATS.names)


def write_sessions(tables: Tables, oldest: date | None = None) -> tuple[date, date] | None:
    """Set sessions and session_stats of the days whose events have changed; their first and last, None: none has.

    ``oldest`` is the first day that sessions are kept of: what was counted of earlier ones stays. A run that was killed
    between the two tables is made good by the next.
    """
    events, known = tables.read("events"), tables.read_or_empty("sessions")
    settled = _settled(events, known)
    open_from = oldest if settled is None else max(settled + timedelta(days=1), oldest or date.min)
    days = _span(_since(changed_days(events, known), open_from))
    if days is not None:
        first, last = days[0] - timedelta(days=1), days[1]
        first = max(first, open_from or first)
        near = F.col("event_date").between(first - timedelta(days=1), last + timedelta(days=1))
        begun = sessions(events.where(near)).where(F.col("session_date").between(first, last))
        tables.put("sessions", begun, f"session_date BETWEEN DATE'{first}' AND DATE'{last}'")
    known, stats = tables.read_or_empty("sessions"), tables.read_or_empty("session_stats")
    stale = _span(_since(_differing(*[_events(rows, F.col("session_date")) for rows in (known, stats)]), oldest))
    newest = events.agg(F.max("event_date")).first()
    if stale is not None and newest is not None:
        # Who could have returned by then is told anew of the days before the last one that was known.
        told = stats.agg(F.max("session_date")).first()
        from_day = min(stale[0], (told and told[0]) or stale[0]) - timedelta(days=RETURN_DAYS[-1])
        from_day = max(from_day, oldest or from_day)
        recent = known.where(F.col("session_date") >= F.lit(from_day))
        tables.put("session_stats", session_stats(recent, newest[0]), f"session_date >= DATE'{from_day}'")
    return days


def changed_days(events: DataFrame, known: DataFrame) -> DataFrame:
    """Days (day) on which there are more or fewer events than the sessions know of."""
    later = known.select(F.date_add("session_date", 1).alias("session_date"), F.col("events_later").alias("events"))
    own = known.select("session_date", (F.col("events") - F.col("events_later")).alias("events"))
    there = events.groupBy(F.col("event_date").alias("day")).agg(F.count("*").alias("n"))
    return _differing(there, _events(own.unionByName(later.where("events > 0")), F.col("session_date")))


def _settled(events: DataFrame, known: DataFrame) -> date | None:
    """The last day of which sessions stay as they are, None where all can be told anew: where earlier events are gone
    past their retention, it is the first that events are left of, for a session of it may have begun before."""
    left = _span(events.select(F.col("event_date").alias("day")))
    told = _span(known.select(F.col("session_date").alias("day")))
    return left[0] if left and told and told[0] < left[0] else None


def _events(rows: DataFrame, day: Column) -> DataFrame:
    return rows.groupBy(day.alias("day")).agg(F.sum("events").alias("n"))


def _differing(left: DataFrame, right: DataFrame) -> DataFrame:
    """Days (day) of which two counts (day, n) differ or one knows nothing."""
    both = left.join(right.withColumnRenamed("n", "other"), on="day", how="full")
    return both.where(~F.col("n").eqNullSafe(F.col("other"))).select("day")


def _since(days: DataFrame, first: date | None) -> DataFrame:
    return days if first is None else days.where(F.col("day") >= F.lit(first))


def _span(days: DataFrame) -> tuple[date, date] | None:
    row = days.agg(F.min("day"), F.max("day")).first()
    return None if row is None or row[0] is None else (row[0], row[1])


def _first(name: str) -> Column:
    """The first value that is there."""
    return F.min_by(name, F.when(F.col(name).isNotNull(), F.col("ts")))


def _count(*kinds: str) -> Column:
    return F.count_if(F.col("event_type").isin(*kinds))
