"""Log rows to events: typed, pseudonymous, checked. Raw member ids live inside one Python function and no further."""

from collections.abc import Callable
from datetime import date, datetime
from functools import reduce
from operator import add, or_

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BooleanType, DataType, FractionalType, IntegerType, StringType

from keyart.feedback.events import DROPPED, EVENT_TYPES, LIST_COLUMNS, LOG_COLUMNS, REASONS, SEGMENT_NAME, TITLE_EVENTS
from keyart.feedback.log_spark import LINE, SOURCE
from keyart.feedback.privacy import user_keys
from keyart.schemas import EVENTS
from keyart.seeding import BUCKETS

__all__ = ["ERASED", "accepted", "checked", "doubled_ids", "having_ids", "keyed", "members_of", "quarantined"]

TOLERANCE = 1e-6
LONGEST_WATCH_SECONDS = 604_800.0
COMPILED_SUM = 24
"""Candidate sets of up to so many artworks have their propensities added by compiled code."""
ERASED = "_erased"
"""Column of a log's rows that says whether their member was erased."""
RAW = "_raw_"
"""Put before a column's name for its value as logged, where that is of another type."""
IDS = ("event_id", "user_id", "title_id", "artwork_id")
PICKED = (*IDS, "segment", "ts")
"""Columns of which a value that is not kept is no malformed value."""


def checked(
    rows: DataFrame, titles: DataFrame, artworks: DataFrame, latest: datetime, key: bytes, first: date | None = None
) -> DataFrame:
    """Rows of a log as events, each with the ``reason`` why it is set aside (null: it is good).

    ``titles`` and ``artworks`` are the catalogue's; ``latest`` is the last moment an event may carry (UTC); ``key``
    hashes the members' ids, in the workers; ``first`` is the first day that events are kept for. Columns: those of
    ``events``, opted_out, and reason, payload (JSON without the member) and source_file, all three null for good rows;
    of rows that are dropped there is a reason and no payload; ``unnamed`` where the log gave no event_id.
    """
    known = titles.select("title_id", F.lit(True).alias("_title_known"))
    shown = artworks.select("artwork_id", F.col("title_id").alias("_artwork_title"))
    given = [name for name in LOG_COLUMNS if name != "user_id"]
    # A segment that is somebody else's is kept nowhere, not even as logged.
    converted = [name for name in given if rows.schema[name].dataType != _wanted(name) and name != "segment"]
    as_logged = {name: F.col(RAW + name if name in converted else name) for name in given}
    raw = rows.select(
        F.coalesce(LINE, F.col("user_id").cast("string"), F.lit("")).alias("_member"),
        (_blank_is_null(F.col("user_id").cast("string")).isNull()).alias("_no_member"),
        F.length(LINE).alias("_unreadable"),
        F.col(SOURCE).alias("source_file"),
        (F.col(ERASED) if ERASED in rows.columns else F.lit(False)).alias(ERASED),
        *(F.col(name).alias(RAW + name) for name in converted),
        *(_typed(rows, name).alias(name) for name in given),
    )
    # Broadcast, so that no raw id is shuffled; hashed last, so that only rows that are asked for are.
    joined = raw.join(F.broadcast(known), on="title_id", how="left")
    joined = joined.join(F.broadcast(shown), on="artwork_id", how="left")
    return (
        joined.withColumn("reason", _reason(as_logged, latest))
        .withColumn("reason", _dropped(first))
        .withColumn("payload", F.when(_is_bad(), _payload(as_logged)))
        .withColumn("user_key", keyed(key)(F.col("_member")))
        .select(
            _event_id(given).alias("event_id"),
            "event_type",
            "user_key",
            _bucket().alias("user_bucket"),
            "title_id",
            "artwork_id",
            "ts",
            F.to_date("ts").alias("event_date"),
            *[name for name in given if name not in ("event_id", "event_type", "title_id", "artwork_id", "ts")],
            "reason",
            "payload",
            F.when(F.col("reason").isNotNull(), F.col("source_file")).alias("source_file"),
            F.col("event_id").isNull().alias("unnamed"),
        )
    )


def members_of(rows: DataFrame, key: bytes) -> DataFrame:
    """The members (user_key, user_bucket) that rows of a log name, good and bad ones; ``key`` as for ``checked``."""
    ids = rows.select(F.col("user_id").cast("string").alias("_member")).where("_member IS NOT NULL").distinct()
    return ids.select(keyed(key)(F.col("_member")).alias("user_key")).select("user_key", _bucket().alias("user_bucket"))


def doubled_ids(rows: DataFrame) -> DataFrame:
    """Hashes of the event_ids that more than one of the rows carries, with their number (id, rows).

    ``rows`` are good ones of ``checked``, or, where the log names all its events, the log itself: one column to read.
    """
    ids = rows.where(F.trim("event_id") != "").groupBy(_id_hash().alias("id")).agg(F.count("*").alias("rows"))
    return ids.where(F.col("rows") > 1).select("id", "rows")


def having_ids(rows: DataFrame, doubled: DataFrame, kept: bool) -> DataFrame:
    """The rows whose ids are (``kept``) among ``doubled_ids``, or are not."""
    ids = doubled.select(F.col("id").alias("_id"))
    found = rows.withColumn("_id", _id_hash()).join(ids, on="_id", how="left_semi" if kept else "left_anti")
    return found.select(*rows.columns)


def accepted(single: DataFrame, several: DataFrame | None) -> DataFrame:
    """The good rows of ``checked`` as events, one an event_id; only ids of ``several`` rows may come more than once.

    Of rows that share an id the earliest stays, ties going to the lowest hash of the row, so that the order of delivery
    does not matter. Only rows with doubled ids are shuffled: in most deliveries they are few.
    """
    good = F.col("reason").isNull()
    events = single.where(good).select(*EVENTS.names)
    if several is None:
        return events
    same = Window.partitionBy("event_id").orderBy("ts", F.xxhash64(*EVENTS.names))
    first = several.where(good).withColumn("_n", F.row_number().over(same)).where(F.col("_n") == 1)
    return events.unionByName(first.select(*EVENTS.names))


def _id_hash() -> Column:
    return F.xxhash64(F.col("event_id").cast("string"))


def quarantined(rows: DataFrame, run_date: Column) -> DataFrame:
    """The bad rows of ``checked`` as quarantine; a row delivered twice has the same row_key."""
    # Where no member could be read, the key is the hash of no id or of the line.
    nobody = F.col("reason").isin(REASONS["unreadable"], REASONS["no_member"])
    bad = rows.where(_is_bad()).select(
        F.sha2(F.concat_ws("\x1f", "user_key", "reason", "payload"), 256).alias("row_key"),
        F.when(~nobody, F.col("user_key")).alias("user_key"),
        F.coalesce("source_file", F.lit("")).alias("source"),
        "reason",
        "payload",
        run_date.alias("run_date"),
    )
    first = Window.partitionBy("row_key").orderBy("source")
    return (
        bad.withColumn("_n", F.row_number().over(first))
        .where(F.col("_n") == 1)
        .select("row_key", "user_key", "source", "reason", "payload", "run_date")
    )


def _bucket() -> Column:
    """The bucket of seeding.bucket, the first 32 bits of the key modulo 64: the low six bits of its digits 7 and 8."""
    assert BUCKETS == 64
    high, low = (
        F.position(F.substring("user_key", F.lit(place), F.lit(1)), F.lit("0123456789abcdef")) - 1 for place in (7, 8)
    )
    return (high % 4 * 16 + low).cast("int")


def _is_bad() -> Column:
    return F.col("reason").isNotNull() & ~F.col("reason").isin(*DROPPED.values())


def _dropped(first: date | None) -> Column:
    """The reason of a row that is kept nowhere, else that of ``reason``."""
    known = F.when(F.col(ERASED), DROPPED["erased"]).when(F.col("opted_out"), DROPPED["opted_out"])
    if first is not None:
        known = known.when(F.col("reason").isNull() & (F.to_date("ts") < F.lit(first)), DROPPED["expired"])
    return known.otherwise(F.col("reason"))


def keyed(key: bytes) -> Callable[[Column], Column]:
    """A function of a column of ids that hashes them under the key, in the workers."""

    # The key travels in the closure: as a literal it would stand in query plans and event logs.
    @F.arrow_udf(StringType())  # type: ignore[call-overload]
    def user_key(ids: pa.Array) -> pa.Array:
        members = ids.dictionary_encode()
        return pa.array(user_keys(key, members.dictionary.to_pylist()), pa.string()).take(members.indices)

    # Spark lets bytes pass that are no text, as those of a line it cannot parse; Python would die of them.
    return lambda ids: user_key(F.make_valid_utf8(ids))


def _sum(name: str) -> Column:
    """The sum of a list of numbers; null where it holds a null."""
    # Additions of single elements are compiled; a higher-order function, and a list's way to Python and back, take
    # a microsecond an element.
    each = [F.when(F.size(name) > index, F.get(name, F.lit(index))).otherwise(0.0) for index in range(COMPILED_SUM)]
    longer = F.aggregate(name, F.lit(0.0), lambda total, share: total + share)
    return F.when(F.size(name) <= COMPILED_SUM, reduce(add, each)).otherwise(longer)


def _typed(rows: DataFrame, name: str) -> Column:
    column, found, wanted = F.col(name), rows.schema[name].dataType, _wanted(name)
    text = isinstance(found, StringType)
    if name in LIST_COLUMNS and text:
        listed = F.from_json(column, ArrayType(StringType()))
        column = F.when(column.startswith("["), listed).otherwise(F.split(column, r"\|"))
    if name == "ts" and text:
        # Spark would read 2026 or 12:30 as times too.
        whole = (F.substring(column, 5, 1) == "-") & F.substring(column, 11, 1).isin("T", " ")
        column = F.when(whole, column)
    if name == "segment":
        kids = F.coalesce(_typed(rows, "kids"), F.lit(False))
        return F.when(~kids & column.cast("string").rlike(SEGMENT_NAME), column.cast("string"))
    if name in IDS:
        return _blank_is_null(F.make_valid_utf8(column.cast("string")))
    if isinstance(wanted, IntegerType) and isinstance(found, StringType | FractionalType):
        # Writers without missing integers write 5.0.
        number = column.try_cast("double")
        return F.when(number == F.floor(number), number.try_cast("int"))
    return column if found == wanted else column.try_cast(wanted)


def _wanted(name: str) -> DataType:
    kind = BooleanType() if name == "opted_out" else EVENTS[name].dataType
    # A log's lists may hold nulls; the checks tell.
    return ArrayType(kind.elementType) if isinstance(kind, ArrayType) else kind


def _blank_is_null(column: Column) -> Column:
    return F.when(F.trim(column) != "", column)


def _reason(as_logged: dict[str, Column], latest: datetime) -> Column:
    served = F.array_position("candidate_set", F.col("artwork_id")).cast("int")
    logged = F.get("candidate_propensities", served - 1)
    both = F.col("candidate_set").isNotNull() & F.col("candidate_propensities").isNotNull()
    tests = {
        "unreadable": F.col("_unreadable").isNotNull(),
        "no_member": F.col("_no_member"),
        "event_type": ~F.coalesce(F.col("event_type").isin(*EVENT_TYPES), F.lit(False)),
        "no_time": as_logged["ts"].isNull(),
        "bad_time": F.col("ts").isNull(),
        "future": F.col("ts") > F.lit(latest),
        "bad_value": _bad_value(as_logged),
        "no_title": F.col("event_type").isin(*TITLE_EVENTS) & F.col("title_id").isNull(),
        "title": F.col("title_id").isNotNull() & F.col("_title_known").isNull(),
        "artwork": F.col("artwork_id").isNotNull() & F.col("_artwork_title").isNull(),
        "other_title": F.col("_artwork_title") != F.col("title_id"),
        "propensity": ~((F.col("propensity") > 0) & (F.col("propensity") <= 1)),
        "lengths": both & (F.size("candidate_set") != F.size("candidate_propensities")),
        "sum": F.col("candidate_propensities").isNotNull() & ~_is_distribution(),
        "not_candidate": both & (served == 0),
        "mismatch": F.abs(logged - F.col("propensity")) > TOLERANCE,
    }
    assert list(tests) == list(REASONS)
    chosen = F.when(tests["unreadable"], REASONS["unreadable"])
    for name in list(REASONS)[1:]:
        chosen = chosen.when(tests[name], REASONS[name])
    return chosen


def _is_distribution() -> Column:
    shares = (F.array_min("candidate_propensities") >= 0) & (F.array_max("candidate_propensities") <= 1)
    total = _sum("candidate_propensities")
    return F.coalesce(shares & (F.abs(total - 1) <= TOLERANCE), F.lit(False))


def _bad_value(as_logged: dict[str, Column]) -> Column:
    """A value that was given but is none of its column's type, or lies outside what the column can mean."""
    lost = [was.isNotNull() & F.col(name).isNull() for name, was in as_logged.items() if name not in PICKED]
    ranges = [
        ~F.col("local_hour").between(0, 23),
        ~F.col("local_weekday").between(0, 6),
        ~F.col("watched_seconds").between(0, LONGEST_WATCH_SECONDS),
    ]
    return reduce(or_, [*lost, *(F.coalesce(test, F.lit(False)) for test in ranges)])


def _payload(as_logged: dict[str, Column]) -> Column:
    # Of a line that cannot be parsed no one can tell where the member's id stands, so none of it is kept.
    unread = F.to_json(F.struct(F.col("_unreadable").alias("unreadable_characters")))
    return F.when(F.col("_unreadable").isNotNull(), unread).otherwise(
        F.to_json(F.struct(*[was.alias(name) for name, was in as_logged.items()]))
    )


def _event_id(given: list[str]) -> Column:
    content = F.to_json(F.struct("user_key", *[name for name in given if name != "event_id"]))
    return F.coalesce("event_id", F.substring(F.sha2(content, 256), 1, 32))
