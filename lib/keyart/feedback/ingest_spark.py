"""ingest-events: a delivery of logs into events, quarantine, impressions, decisions, artwork_stats and data_quality.

One ingest runs at a time. Whatever was delivered before, in whichever order and however often, the tables come out the
same; a run that was killed is made good by running it again.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from math import ceil

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from keyart.errors import ConfigError, InputError, LimitError
from keyart.feedback.decisions_spark import artwork_stats, decisions, impressions, running_times
from keyart.feedback.events import DROPPED, REPEATS, WATCH_ENDS, parse_now
from keyart.feedback.events_spark import accepted, checked, doubled_ids, having_ids, quarantined
from keyart.feedback.log_spark import READ_ERRORS, Log, open_log, unreadable
from keyart.feedback.privacy import secret
from keyart.feedback.quality import beyond, limit_of
from keyart.feedback.quality_spark import decision_measures, delivery_measures, take_drift, tally
from keyart.paths import Bounds
from keyart.privacy.consent_spark import land_opt_outs, without_erased
from keyart.privacy.rules import check_traits, kept_from
from keyart.schemas import DATA_QUALITY
from keyart.settings import EventsSettings, Settings
from keyart.tables import Tables

__all__ = ["Ingested", "ingest", "ingest_delivery"]

log = logging.getLogger(__name__)

Check = Callable[[DataFrame], DataFrame]
"""From a log's rows to events with reasons."""


@dataclass(frozen=True)
class Ingested:
    """What a run did; ``measures`` are the rows of data_quality."""

    rows: int
    events: int
    quarantined: int
    dropped: int
    measures: dict[str, float]


def ingest(spark: SparkSession, tables: Tables, settings: Settings) -> Ingested:
    """Read the delivery at ``events.events``. InputError where there is none, LimitError past ``events.limits``."""
    bounds = Bounds(settings.sources.roots, settings.sources.schemes)
    return ingest_delivery(tables, open_log(spark, settings.events, bounds), settings)


def ingest_delivery(tables: Tables, delivery: Log, settings: Settings, members: DataFrame | None = None) -> Ingested:
    """Take a delivery that is open already, as a stream's batch is.

    ``members`` (user_key, user_bucket) are the delivery's, where they are few: then only their decisions, and those of
    others that became final, are computed again and merged. The tables come out the same.
    """
    spark, options = tables.spark, settings.events
    if options.take_window_hours > options.reward_window_hours:
        raise ConfigError(
            "events.take_window_hours must not be more than events.reward_window_hours: outcomes mature then"
        )
    check_traits(options.columns, settings.privacy.demographics)
    present = parse_now(options.now)
    first = kept_from(settings).get("events")
    # Days are UTC days, also where the cluster's clock is not.
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    key = secret(settings.privacy)
    latest = (present or _today(tables)) + timedelta(days=1)
    titles, artworks = tables.read("titles"), tables.read_or_empty("artworks")
    delivery = replace(delivery, rows=delivery.rows.transform(without_erased, tables, settings.privacy))

    def check(logged: DataFrame) -> DataFrame:
        return checked(logged, titles, artworks, latest, key, first)

    rows = check(delivery.rows)
    # Columns are read again faster than kept: rows with lists fill the heap. Text is parsed once.
    rows = rows if delivery.columnar else rows.persist(StorageLevel.DISK_ONLY)
    try:
        return _land(tables, delivery, rows, check, present, options, first, members)
    finally:
        rows.unpersist()


def _land(
    tables: Tables,
    delivery: Log,
    rows: DataFrame,
    check: Check,
    present: datetime | None,
    options: EventsSettings,
    oldest: date | None,
    members: DataFrame | None,
) -> Ingested:
    try:
        counts = tally(rows)
    except READ_ERRORS as error:
        raise unreadable(delivery.path, error) from error
    if not counts:
        raise InputError(f"log {delivery.path} has no rows; give --events a file or folder with rows")
    good = [row for row in counts if row["reason"] is None]
    dropped = sum(row["rows"] for row in counts if row["reason"] in DROPPED.values())
    total, kept = sum(row["rows"] for row in counts) - dropped, sum(row["rows"] for row in good)
    newest = max((row["newest"] for row in good), default=None)
    run_date = (present or newest or datetime.now(UTC)).date()
    if kept < total:
        tables.merge("quarantine", quarantined(rows, F.lit(run_date)), update=False)
    measures = delivery_measures(counts, options.late_hours)
    wrong = beyond(measures, options.limits)
    if wrong or (total and (total - kept) / total > options.max_quarantine_share):
        _write_measures(tables, delivery.run_key, measures, run_date, options)
        raise LimitError(
            f"{delivery.path}: {'; '.join(wrong)} (events.limits); no event was written"
            if wrong
            else _too_bad(delivery.path, counts, total, kept, options)
        )
    if any(row["consents"] for row in counts):
        land_opt_outs(tables, rows)
    if kept:
        span = min(row["first_date"] for row in good), max(row["last_date"] for row in good)
        # Where the log names all its events, repeated ones are found in one column, and before rows are checked.
        named = delivery.columnar and not any(row["unnamed"] for row in good)
        doubled = _write_once(tables, delivery.rows if named else rows, check if named else None, span)
        measures["doubled_rows"] = float(doubled)
        rows.unpersist()
        since = _recompute(tables, span[0], present, options, oldest, members)
        log.info("decisions from %s on were computed again", since)
        touched = tables.read("decisions").where(F.col("epoch").between(*span))
        measures |= decision_measures(touched) | take_drift(tables.read("artwork_stats"), _on_time(span, options))
    _write_measures(tables, delivery.run_key, measures, run_date, options)
    wrong = beyond(measures, options.limits)
    if wrong:
        raise LimitError(
            f"{delivery.path}: {'; '.join(wrong)} (events.limits; see table data_quality). Its events are in the "
            "tables: nothing should be learned from them before the log is understood"
        )
    return Ingested(total + dropped, kept, total - kept, dropped, measures)


def _write_once(tables: Tables, rows: DataFrame, check: Check | None, span: tuple[date, date]) -> int:
    """Write the good rows, one an event_id; returns how many rows came with an id that another row has (by its hash: at
    worst a few too many). ``rows`` still have to be checked where ``check`` says how."""
    ids = doubled_ids(rows if check else rows.where(F.col("reason").isNull())).persist()
    try:
        found = ids.agg(F.sum(F.col("rows") - 1).alias("doubled")).first()
        doubled = int(found["doubled"] or 0) if found else 0
        parts = [having_ids(rows, ids, kept=False), having_ids(rows, ids, kept=True)] if doubled else [rows]
        single, *several = map(check, parts) if check else parts
        _write_events(tables, accepted(single, several[0] if several else None), span)
    finally:
        ids.unpersist()
    return doubled


def _write_events(tables: Tables, events: DataFrame, span: tuple[date, date]) -> None:
    """Insert what is new. Deliveries mostly bring new days, which are appended without looking for equal ids."""
    days = f"event_date BETWEEN DATE'{span[0]}' AND DATE'{span[1]}'"
    if tables.exists("events") and not tables.read("events").where(days).isEmpty():
        tables.merge("events", events, update=False, within=f"t.{days}")
    else:
        tables.append("events", events)


def _recompute(
    tables: Tables,
    first: date,
    present: datetime | None,
    options: EventsSettings,
    oldest: date | None,
    members: DataFrame | None,
) -> date:
    """Set impressions, decisions and artwork_stats from the first day on that this delivery can have changed.

    What lies before the ``oldest`` day that events are kept for stays as it was settled: its events may be gone.
    """
    events = tables.read("events")
    since = settled_before = first - timedelta(days=ceil(options.reward_window_hours / 24))
    if tables.exists("decisions"):
        open_ones = tables.read("decisions").where(F.col("matured_at").isNull())
        earliest = open_ones.agg(F.min("epoch").alias("epoch")).first()
        since = min(since, (earliest and earliest["epoch"]) or since)
    since = max(since, oldest or since)
    newest = events.agg(F.max("ts").alias("ts")).first()
    now = present or (newest["ts"].replace(tzinfo=UTC) if newest else datetime.now(UTC))
    concerned: DataFrame | None = None
    if members is not None and tables.exists("decisions"):
        concerned = _concerned(tables, members, now, options)
        events = events.join(F.broadcast(concerned), on="user_key", how="left_semi")
    recent = F.col("event_date") >= F.lit(since)
    outcomes = F.col("event_type").isin("take", *WATCH_ENDS, *REPEATS)
    history = events.where((F.col("event_type") == "play") | (outcomes & recent))
    found = decisions(events.where(recent), history, _running(tables), now, options)
    if since < settled_before:
        # Days that only their open decisions tell of: once these are settled, a run that was killed before it had
        # counted them would leave no sign. So they are counted first, at the price of working them out twice.
        _count_first(tables, found, concerned, since)
    # Side by side: while one is planned, the other keeps the cores busy.
    with ThreadPoolExecutor(2) as pool:
        shown = impressions(events.where(recent))
        if members is None:
            exposed = pool.submit(tables.put, "impressions", shown, f"event_date >= DATE'{since}'")
            tables.put("decisions", found, f"epoch >= DATE'{since}'")
        else:
            place = f"t.event_date >= DATE'{since}'"
            exposed = pool.submit(tables.merge, "impressions", shown, update=False, within=place)
            tables.merge("decisions", found, within=f"t.epoch >= DATE'{since}'")
        exposed.result()
    settled = tables.read("decisions").where(F.col("epoch") >= F.lit(since))
    tables.put("artwork_stats", artwork_stats(settled), f"event_date >= DATE'{since}'")
    return since


def _count_first(tables: Tables, found: DataFrame, concerned: DataFrame | None, since: date) -> None:
    """Set the cells from a day on to what they will be once the decisions are ``found``; of others than the members
    ``concerned`` these stay as they are."""
    if concerned is not None:
        others = tables.read("decisions").where(F.col("epoch") >= F.lit(since))
        found = found.unionByName(others.join(F.broadcast(concerned), on="user_key", how="left_anti"))
    tables.put("artwork_stats", artwork_stats(found), f"event_date >= DATE'{since}'")


def _today(tables: Tables) -> datetime:
    """Now; where the clock went back, when events were written last: what came since is not of the future for that."""
    written = tables.state("events")
    return max(datetime.now(UTC), written[1]) if written else datetime.now(UTC)


def _concerned(tables: Tables, members: DataFrame, now: datetime, options: EventsSettings) -> DataFrame:
    """The members (user_key) of a delivery, and others who have decisions whose outcome is final by now."""
    final = F.col("first_ts") <= F.lit(now - timedelta(hours=options.reward_window_hours))
    due = tables.read("decisions").where(F.col("matured_at").isNull() & final)
    return members.select("user_key").unionByName(due.select("user_key")).distinct()


def _on_time(span: tuple[date, date], options: EventsSettings) -> tuple[date, date]:
    """The days of a span that are not late: a single late row must not stretch what is compared."""
    return max(span[0], span[1] - timedelta(hours=options.late_hours)), span[1]


def _running(tables: Tables) -> DataFrame:
    videos = tables.read_or_empty("videos")
    untimed = videos.where(F.col("duration_seconds").isNull() & F.col("current_scan_id").isNotNull())
    needs_frames = tables.exists("videos") and not untimed.isEmpty()
    return running_times(videos, tables.read_or_empty("frames") if needs_frames else None)


def _too_bad(path: str, counts: Sequence[Row], total: int, kept: int, options: EventsSettings) -> str:
    bad = sorted((row for row in counts if row["reason"] is not None), key=lambda row: -row["rows"])
    why = ", ".join(f"{row['reason']} {row['rows']}" for row in bad[:3])
    return (
        f"{total - kept} of {total} rows of {path} are bad ({why}; see table quarantine), which is more than "
        f"events.max_quarantine_share = {options.max_quarantine_share:g}; no event was written"
    )


def _write_measures(
    tables: Tables, run_key: str, measures: dict[str, float], run_date: date, options: EventsSettings
) -> None:
    limits = options.limits | {"bad_share": str(options.max_quarantine_share)}
    found = [(run_key, name, value, limit_of(name, limits), run_date) for name, value in sorted(measures.items())]
    tables.put("data_quality", tables.spark.createDataFrame(found, DATA_QUALITY), f"run_key = '{run_key}'")
