"""Open a log as it was delivered: JSON lines, CSV, Parquet or Delta, under our names for its columns."""

import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StringType, StructField, StructType

from keyart.errors import InputError
from keyart.feedback.events import LIST_COLUMNS, LOG_COLUMNS, REQUIRED, theirs
from keyart.paths import NEARBY, Bounds, bare_path
from keyart.settings import EventsSettings
from keyart.tables import open_delta

__all__ = ["LINE", "READ_ERRORS", "SOURCE", "Log", "json_fields", "named", "open_log", "unreadable"]

log = logging.getLogger(__name__)

LINE = "_line"
"""Column that holds a line no reader could parse, else null."""
READ_ERRORS = (PySparkException, Py4JJavaError)
"""What a log that cannot be read ends in: a task's failure reaches a classic session as Py4J's own error."""
SOURCE = "_source"
"""Column that holds the file a row came from."""

ENDINGS = {"json": "json", "jsonl": "json", "ndjson": "json", "csv": "csv", "parquet": "parquet"}
PACKED = ("gz", "bz2", "zst", "snappy", "lz4", "deflate")
TEXT = StringType()


@dataclass(frozen=True)
class Log:
    """A delivery: its rows (LOG_COLUMNS, LINE and SOURCE, types as found) and a hash of what was read."""

    path: str
    rows: DataFrame
    run_key: str
    columnar: bool
    """Whether single columns can be read by themselves, fast enough to do so more than once."""


def open_log(spark: SparkSession, settings: EventsSettings, bounds: Bounds = NEARBY) -> Log:
    """The log at ``events.events``; InputError, in one line, where there is none that can be read.

    Links in its folder that lead out of it and of ``bounds`` are named and left out.
    """
    path = settings.events.rstrip("/")
    if not path:
        raise InputError("no log was named; give --events PATH, a file or folder of JSON lines, CSV, Parquet or Delta")
    names = theirs(settings.columns)
    delta = open_delta(spark, path) if settings.format in ("auto", "delta") else None
    if delta is not None:
        found, version = delta
        return Log(path, named(found, settings, path), _hash([path, version]), True)
    if settings.format == "delta":
        raise InputError(f"{path} is no Delta table; name its folder, or set events.format")
    every = _files(spark, path)
    stray = stray_links(path, bounds)
    files = [file for file in every if not bare_path(file[0]).startswith(stray)] if stray else every
    if not files or not any(length for _, length in files):
        raise InputError(f"log {path} is empty; give --events a file or folder with rows")
    kind = settings.format if settings.format != "auto" else _kind([name for name, _ in files], path)
    try:
        found = READERS[kind](spark, path if files == every else [name for name, _ in files], names)
    except READ_ERRORS as error:
        raise unreadable(path, error) from error
    return Log(path, named(found, settings, path), _hash([path, *files]), kind == "parquet")


def stray_links(path: str, bounds: Bounds) -> tuple[str, ...]:
    """Links in a folder of logs that may not be followed, those to folders with a slash; each is named in a line."""
    found = bounds.stray(path)
    for name, refusal in sorted(found.items()):
        log.warning("log %s %s; it is left out", name, refusal)
    return tuple(f"{name}/" if Path(name).is_dir() else name for name in sorted(found))


def unreadable(path: str, error: Exception) -> InputError:
    """What to tell when Spark cannot read the log."""
    said = re.search(r"\[[A-Z_.]+\].*", str(error))
    why = said[0][:300] if said else type(error).__name__
    return InputError(f"log {path} cannot be read; mend it or set events.format to what it is: {why}")


def _files(spark: SparkSession, path: str) -> list[tuple[str, int]]:
    try:
        listed = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(path)
        rows = listed.select("path", "length").collect()
    except READ_ERRORS as error:
        if "PATH_NOT_FOUND" in str(error):
            raise InputError(f"there is no log at {path}; give --events a file or folder") from error
        raise unreadable(path, error) from error
    return sorted((str(row["path"]), int(row["length"])) for row in rows)


def _kind(names: list[str], path: str) -> str:
    kinds = set()
    for name in names:
        parts = name.lower().rsplit("/", 1)[-1].split(".")[1:]
        while parts and parts[-1] in PACKED:
            parts.pop()
        kinds.add(ENDINGS.get(parts[-1] if parts else "", "json"))
    if len(kinds) > 1:
        raise InputError(f"{path} holds {' and '.join(sorted(kinds))} files; name a folder of one kind")
    return kinds.pop()


def json_fields(names: dict[str, str]) -> StructType:
    """What a JSON log is read as: scalars as text, converted later, so that a wrong value is told from an unreadable
    line, which stands in ``LINE``."""
    fields = [StructField(names[name], ArrayType(TEXT) if name in LIST_COLUMNS else TEXT) for name in LOG_COLUMNS]
    return StructType([*fields, StructField(LINE, TEXT)])


def _read_json(spark: SparkSession, path: str | list[str], names: dict[str, str]) -> DataFrame:
    reader = spark.read.schema(json_fields(names))
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": LINE, "recursiveFileLookup": "true"}
    return reader.options(**options).json(path)


def _read_csv(spark: SparkSession, path: str | list[str], names: dict[str, str]) -> DataFrame:
    options = {"header": "true", "quote": '"', "escape": '"', "recursiveFileLookup": "true"}
    header = spark.read.options(**options).csv(path).columns
    reader = spark.read.schema(StructType([StructField(name, TEXT) for name in [*header, LINE]])).options(**options)
    # Columns go by the header of each file: one whose order differs is refused rather than misread.
    return reader.options(mode="PERMISSIVE", columnNameOfCorruptRecord=LINE, enforceSchema="false").csv(path)


def _read_parquet(spark: SparkSession, path: str | list[str], names: dict[str, str]) -> DataFrame:
    return spark.read.option("mergeSchema", "true").parquet(*([path] if isinstance(path, str) else path))


READERS = {"json": _read_json, "csv": _read_csv, "parquet": _read_parquet}


def named(found: DataFrame, settings: EventsSettings, path: str, source: Column | None = None) -> DataFrame:
    """Rows as read under our names: LOG_COLUMNS, LINE and SOURCE (``source``, else the file). InputError where a
    column that makes a log one is missing."""
    names, types = theirs(settings.columns), settings.types
    missing = [names[name] for name in REQUIRED if names[name] not in found.columns]
    if missing:
        raise InputError(
            f"log {path} has no column {missing[0]}; it has {', '.join(found.columns)[:300]}: "
            f"map names with events.columns (our name: theirs)"
        )

    def column(name: str) -> Column:
        return F.col(f"`{name}`") if name in found.columns else F.lit(None).cast("string")

    kind = column(names["event_type"]).cast("string")
    if types:
        spoken = F.create_map(*[F.lit(word) for pair in types.items() for word in pair])
        kind = F.coalesce(spoken[kind], kind)
    return found.select(
        *((kind if name == "event_type" else column(names[name])).alias(name) for name in LOG_COLUMNS),
        column(LINE).alias(LINE),
        (F.col("_metadata.file_path") if source is None else source).alias(SOURCE),
    )


def _hash(parts: list) -> str:
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:32]
