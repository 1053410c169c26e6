"""A batch of a stream into events, impressions, decisions and artwork_stats: only what its rows can have changed.

A decision depends on what one member did with one title, so what is computed again are the pairs that the batch names
and those whose outcome became final meanwhile; days of artwork_stats follow from the decisions that came out otherwise
than they stood. The tables come out as ingest-events leaves them.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from math import ceil

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keyart.feedback.decisions_spark import (
    PAIR,
    artwork_stats,
    decisions,
    final_by,
    first_open,
    impressions,
    newest_of,
    outcomes_since,
)
from keyart.feedback.spark import running
from keyart.schemas import DECISIONS, EVENTS
from keyart.settings import EventsSettings
from keyart.tables import Tables

__all__ = ["land_batch"]


def land_batch(
    tables: Tables,
    events: DataFrame,
    days: tuple[date, date],
    present: datetime | None,
    options: EventsSettings,
    oldest: date | None,
    landed: Callable[[], None],
) -> date:
    """Write a batch's events (one an event_id), of ``days`` from first to last, and what follows from them; returns the
    first day that decisions were looked at. A batch may come again after a kill at any point.

    ``landed`` is called as soon as the events are there.
    """
    # Side by side: while one is planned, the other keeps the cores busy.
    with ThreadPoolExecutor(1) as pool:
        shown = _write_events(tables, events, days)
        landed()
        exposed = pool.submit(shown)
        since = _settle(tables, events, days, present, options, oldest)
        exposed.result()
    return since


def _write_events(tables: Tables, batch: DataFrame, days: tuple[date, date]) -> Callable[[], None]:
    """Append what is new; returns what writes the batch's impressions.

    Where none of the ids is there, which is nearly always, both are appends: nothing of either table is joined.
    """
    if not tables.exists("events"):
        tables.append("events", batch)
        return lambda: tables.append("impressions", impressions(batch))
    ids = batch.select("event_id")
    there = tables.read("events").where(F.col("event_date").between(*days))
    known = there.join(F.broadcast(ids), on="event_id", how="left_semi")
    known = known.select("event_id", F.struct("event_type", "ts").alias("_was")).persist()
    try:
        if known.isEmpty():
            tables.append("events", batch)
            return lambda: tables.append("impressions", impressions(batch))
        tables.append("events", batch.join(known.select("event_id"), on="event_id", how="left_anti"))
        # An id that stands for something else there is not the table's event.
        told = batch.join(known, on="event_id", how="left")
        told = told.where(F.col("_was").isNull() | (F.col("_was") == F.struct("event_type", "ts"))).select(
            *EVENTS.names
        )
        place = f"t.event_date BETWEEN DATE'{days[0]}' AND DATE'{days[1]}'"
        return lambda: tables.merge("impressions", impressions(told), update=False, within=place)
    finally:
        known.unpersist()


def _settle(
    tables: Tables,
    batch: DataFrame,
    days: tuple[date, date],
    present: datetime | None,
    options: EventsSettings,
    oldest: date | None,
) -> date:
    """Set days of artwork_stats that change, then decisions of the batch's pairs and those that became final.

    In this order: a batch that died between the two finds its decisions as they were, and does both again.
    """
    events, stands = tables.read("events"), tables.read_or_empty("decisions")
    # Whatever is newer than the batch lies on its last day or later.
    now = present or newest_of(events.where(F.col("event_date") >= F.lit(days[1])))
    since = days[0] - timedelta(days=ceil(options.reward_window_hours / 24))
    since = min(since, first_open(stands) or since)
    since = max(since, oldest or since)
    pairs = _pairs(batch).unionByName(stands.where(final_by(now, options)).select(*PAIR)).distinct().persist()
    try:
        found = _decided(tables, events, pairs, since, now, options)
        with _changed(found, stands.where(F.col("epoch") >= F.lit(since)), pairs) as changed:
            moved = changed.groupBy("epoch").agg(F.max(F.col("take").isNotNull()).alias("final")).collect()
            final = [row["epoch"] for row in moved if row["final"]]
            if final or not tables.exists("artwork_stats"):
                others = stands.where(F.col("epoch").isin(final))
                others = others.join(F.broadcast(changed.select("decision_id")), on="decision_id", how="left_anti")
                settled = others.unionByName(changed.where(F.col("epoch").isin(final)))
                tables.put("artwork_stats", artwork_stats(settled), _among("event_date", final))
            if moved or not tables.exists("decisions"):
                tables.merge("decisions", changed, within=_among("t.epoch", [row["epoch"] for row in moved]))
    finally:
        pairs.unpersist()
    return since


def _pairs(batch: DataFrame) -> DataFrame:
    return batch.where(F.col("title_id").isNotNull()).select(*PAIR)


def _decided(
    tables: Tables, events: DataFrame, pairs: DataFrame, since: date, now: datetime, options: EventsSettings
) -> DataFrame:
    """Decisions of some pairs from a day on."""
    theirs = events.join(F.broadcast(pairs), on=list(PAIR), how="left_semi")
    recent, history = theirs.where(F.col("event_date") >= F.lit(since)), theirs.where(outcomes_since(since))
    return decisions(recent, history, F.broadcast(running(tables)), now, options)


@contextmanager
def _changed(found: DataFrame, stands: DataFrame, pairs: DataFrame) -> Iterator[DataFrame]:
    """The decisions, persisted meanwhile, that do not stand as they were found."""
    mark = F.xxhash64(*DECISIONS.names).alias("_mark")
    before = stands.join(F.broadcast(pairs), on=list(PAIR), how="left_semi").select("decision_id", mark)
    changed = found.select("*", mark).join(before, on=["decision_id", "_mark"], how="left_anti")
    changed = changed.select(*DECISIONS.names).persist()
    try:
        yield changed
    finally:
        changed.unpersist()


def _among(column: str, days: Sequence[date]) -> str:
    """SQL condition; of no days false."""
    named = ", ".join(f"DATE'{day}'" for day in sorted(days))
    return f"{column} IN ({named or 'NULL'})"
