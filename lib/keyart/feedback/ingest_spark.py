"""ingest-events: a delivery of logs into events, quarantine, impressions, decisions, artwork_stats and data_quality.

One ingest writes at a time, a delivery's or that of a stream's batch. Whatever was delivered before, in whichever order
and however often, the tables come out the same; a run that was killed is made good by running it again.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from math import ceil

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from keyart.alone import alone
from keyart.errors import ConfigError, InputError, LimitError
from keyart.feedback.batch_spark import land_batch
from keyart.feedback.decisions_spark import (
    artwork_stats,
    decisions,
    first_open,
    first_unsettled,
    impressions,
    newest_of,
    outcomes_since,
)
from keyart.feedback.events import DROPPED, parse_now
from keyart.feedback.events_spark import accepted, checked, doubled_ids, having_ids, quarantined
from keyart.feedback.log_spark import READ_ERRORS, Log, open_log, unreadable
from keyart.feedback.privacy import secret
from keyart.feedback.quality import beyond, limit_of
from keyart.feedback.quality_spark import decision_measures, delivery_measures, take_drift, tally
from keyart.feedback.spark import running
from keyart.paths import Bounds
from keyart.privacy.consent_spark import land_opt_outs, without_erased
from keyart.privacy.rules import check_traits, kept_from
from keyart.schemas import DATA_QUALITY
from keyart.settings import EventsSettings, Settings
from keyart.tables import Tables

__all__ = ["Ingested", "ingest", "ingest_delivery"]

log = logging.getLogger(__name__)

WRITING = "events"
"""The lock of who writes them: ingest-events and stream-feedback, which may both run."""

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


@dataclass(frozen=True)
class Batch:
    """How a stream's batch is taken otherwise than a delivery; the tables come out the same."""

    landed: Callable[[], None]
    """Called as soon as its events are in the table, where it has any."""
    measured: bool
    """Whether its decisions are measured and its figures kept, which takes as long as writing them."""


def ingest_delivery(tables: Tables, delivery: Log, settings: Settings, batch: Batch | None = None) -> Ingested:
    """Take a delivery that is open already; a ``batch`` by what its rows can have changed alone."""
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
        # What a batch of a stream finds missing, a delivery beside it must not add meanwhile, and the other way round.
        with alone(WRITING, tables.root, wait=True):
            return _land(tables, delivery, rows, check, present, options, first, batch)
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
    batch: Batch | None,
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
        with _one_each(delivery.rows if named else rows, check if named else None) as (events, doubled):
            if batch:
                since = land_batch(tables, events, span, present, options, oldest, batch.landed)
            else:
                _write_events(tables, events, span)
        if not batch:
            rows.unpersist()
            since = _recompute(tables, span[0], present, options, oldest)
        measures["doubled_rows"] = float(doubled)
        log.info("decisions from %s on were computed again", since)
        if batch is None or batch.measured:
            touched = tables.read("decisions").where(F.col("epoch").between(*span))
            measures |= decision_measures(touched) | take_drift(tables.read("artwork_stats"), _on_time(span, options))
    if batch is None or batch.measured or not kept:
        _write_measures(tables, delivery.run_key, measures, run_date, options)
    wrong = beyond(measures, options.limits)
    if wrong:
        raise LimitError(
            f"{delivery.path}: {'; '.join(wrong)} (events.limits; see table data_quality). Its events are in the "
            "tables: nothing should be learned from them before the log is understood"
        )
    return Ingested(total + dropped, kept, total - kept, dropped, measures)


@contextmanager
def _one_each(rows: DataFrame, check: Check | None) -> Iterator[tuple[DataFrame, int]]:
    """The good rows as events, one an event_id, and how many rows came with an id that another row has (by its hash: at
    worst a few too many). ``rows`` still have to be checked where ``check`` says how."""
    ids = doubled_ids(rows if check else rows.where(F.col("reason").isNull())).persist()
    try:
        found = ids.agg(F.sum(F.col("rows") - 1).alias("doubled")).first()
        doubled = int(found["doubled"] or 0) if found else 0
        parts = [having_ids(rows, ids, kept=False), having_ids(rows, ids, kept=True)] if doubled else [rows]
        single, *several = map(check, parts) if check else parts
        yield accepted(single, several[0] if several else None), doubled
    finally:
        ids.unpersist()


def _write_events(tables: Tables, events: DataFrame, span: tuple[date, date]) -> None:
    """Insert what is new. Deliveries mostly bring new days, which are appended without looking for equal ids."""
    days = f"event_date BETWEEN DATE'{span[0]}' AND DATE'{span[1]}'"
    if tables.exists("events") and not tables.read("events").where(days).isEmpty():
        tables.merge("events", events, update=False, within=f"t.{days}")
    else:
        tables.append("events", events)


def _recompute(
    tables: Tables, first: date, present: datetime | None, options: EventsSettings, oldest: date | None
) -> date:
    """Set impressions, decisions and artwork_stats from the first day on that this delivery can have changed.

    What lies before the ``oldest`` day that events are kept for stays as it was settled: its events may be gone.
    """
    events, stands = tables.read("events"), tables.read_or_empty("decisions")
    window = ceil(options.reward_window_hours / 24)
    since = first - timedelta(days=window)
    since = min(since, first_open(stands) or since)
    since = max(since, oldest or since)
    counted = first_unsettled(stands, tables.read_or_empty("artwork_stats"), since, window) or since
    now = present or newest_of(events)
    recent = F.col("event_date") >= F.lit(since)
    found = decisions(events.where(recent), events.where(outcomes_since(since)), running(tables), now, options)
    # Side by side: while one is planned, the other keeps the cores busy.
    with ThreadPoolExecutor(1) as pool:
        shown = impressions(events.where(recent))
        exposed = pool.submit(tables.put, "impressions", shown, f"event_date >= DATE'{since}'")
        tables.put("decisions", found, f"epoch >= DATE'{since}'")
        exposed.result()
    settled = tables.read("decisions").where(F.col("epoch") >= F.lit(counted))
    tables.put("artwork_stats", artwork_stats(settled), f"event_date >= DATE'{counted}'")
    return since


def _today(tables: Tables) -> datetime:
    """Now; where the clock went back, when events were written last: what came since is not of the future for that."""
    written = tables.state("events")
    return max(datetime.now(UTC), written[1]) if written else datetime.now(UTC)


def _on_time(span: tuple[date, date], options: EventsSettings) -> tuple[date, date]:
    """The days of a span that are not late: a single late row must not stretch what is compared."""
    return max(span[0], span[1] - timedelta(hours=options.late_hours)), span[1]


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
