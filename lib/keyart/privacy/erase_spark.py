"""erase-members: members leave every table, the files behind them, and the report; then it is proven.

The order is such that a run that was killed is made good by running it again: first they are kept out, then cells are
counted without them, then they are removed, then what is left on disk goes, then the proof is written down.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from keyart.errors import ConfigError, InputError
from keyart.feedback.decisions_spark import artwork_stats
from keyart.feedback.events import theirs
from keyart.feedback.moments_spark import write_moments
from keyart.feedback.privacy import secret, suppression_secret
from keyart.feedback.sessions_spark import write_sessions
from keyart.privacy.needles import Needles
from keyart.privacy.proof_spark import Proof, prove
from keyart.privacy.report import is_shown
from keyart.privacy.requests import MOST, Request, ids_of, request_of
from keyart.privacy.rules import conditions, kept_from
from keyart.report.spark import report_folder
from keyart.schemas import ERASURES, TABLES
from keyart.serving.policy_bundle import bundles_folder
from keyart.settings import Settings
from keyart.tables import Tables
from keyart.tracking import local_home

__all__ = [
    "CODED",
    "MEMBER_TABLES",
    "Erased",
    "erase",
    "expire",
    "members_of",
    "proven",
    "report_of",
    "requested",
    "too_old",
]

log = logging.getLogger(__name__)

MEMBER_TABLES = tuple(name for name, spec in TABLES.items() if "user_key" in spec.schema.names)
"""Tables with a row of a member: found by their column user_key."""
CODED = ("evaluation_blocks",)
"""Tables that hold members as codes and are made again when they are needed: emptied."""
CELLS = ("artwork_stats", "session_stats", "moments")
"""Tables of counts, which are counted again."""
BUCKETS_NAMED = 32
LANES = 4
SLICE = 1_000
"""Members hashed by a task."""
Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class Erased:
    """What a request came to: rows removed by table, days whose cells were counted again, pages made again."""

    rows: dict[str, int]
    days: tuple[date, ...]
    report: bool


def requested(spark: SparkSession, settings: Settings) -> Request:
    """The members that ``erase.members`` or ``erase.user`` names. InputError where neither or both do."""
    wanted = settings.erase
    if bool(wanted.members) == bool(wanted.user):
        raise InputError("name the members: --members FILE (an id a line, or a CSV), or --user ID")
    key, suppression_key = secret(settings.privacy), suppression_secret(settings.privacy)
    ids = [wanted.user] if wanted.user else _read(spark, wanted.members, theirs(settings.events.columns)["user_id"])
    return request_of(ids, key, suppression_key, wanted.request_id)


def _read(spark: SparkSession, path: str, column: str) -> list[str]:
    try:
        rows = spark.read.text(path).limit(2 * MOST).collect()
    except PySparkException as error:
        raise InputError(f"{path} cannot be read; give --members a file of ids, one a line") from error
    return ids_of((row["value"] for row in rows), column, path)


def members_of(spark: SparkSession, request: Request, column: str = "user_key") -> DataFrame:
    """The request's keys as rows. They are made inside the workers, so that they stand in no plan."""
    values = request.keys if column == "user_key" else request.suppressions

    def write(batches: Batches) -> Batches:
        for batch in batches:
            for start in batch.column("id").to_pylist():
                yield pa.RecordBatch.from_pydict({column: list(values[start : start + SLICE])})

    parts = spark.range(0, len(values), SLICE)
    return parts.mapInArrow(write, f"{column} string")


def erase(tables: Tables, request: Request, settings: Settings, rebuild: Callable[[], object]) -> Erased:
    """Keep the members out, remove them everywhere, count the cells of their days again, leave nothing on disk.

    ``rebuild`` makes the report again, which is done where it shows one of them.
    """
    report = report_of(settings)
    members = members_of(tables.spark, request).persist()
    try:
        _suppress(tables, request)
        days = _days(tables, members)
        # Before their decisions go: after that no run could tell any more which days those were of.
        _count_without(tables, days, members)
        # Side by side: while one merge is planned, others keep the cores busy.
        with ThreadPoolExecutor(LANES) as lanes:
            counts = lanes.map(lambda table: _remove(tables, table, members, request), MEMBER_TABLES)
            rows = dict(zip(MEMBER_TABLES, counts, strict=True))
        rows["quarantine"] += _remove_texts(tables, request)
        log.info("rows removed: %s", rows)
        _count_again(tables, settings)
        for table in CODED:
            tables.delete(table, "true")
        shown = report is not None and is_shown(report, request.keys)
        if shown:
            rebuild()
        before = _row_of(tables, request)
        if any(rows.values()) or before is None or before["proven_at"] is None:
            # Also where no row was left: older versions may have held them. Not twice: the proof tells.
            tables.purge([*MEMBER_TABLES, *CODED, *CELLS])
    finally:
        members.unpersist()
    done = Erased({table: n for table, n in rows.items() if n}, tuple(days), shown)
    _record(tables, request, done)
    return done


def roots_of(tables: Tables, settings: Settings) -> tuple[list[str], list[str]]:
    """Where a trace can lie: the tables and what ``erase.roots`` names; and MLflow's local folder, the report and
    the policy bundles, which need not be there."""
    mine = [tables.root]
    if tables.root.startswith("catalog:"):
        mine = [tables.location(table) for table in TABLES if tables.exists(table)]
    beside = [local_home(settings.tracking, settings.tables), report_of(settings), bundles_of(settings)]
    return [*mine, *settings.erase.roots], [str(folder) for folder in beside if folder is not None]


def bundles_of(settings: Settings) -> Path | None:
    """The folder of policy bundles, None where the settings name none."""
    try:
        return bundles_folder(settings)
    except ConfigError:
        return None


def report_of(settings: Settings) -> Path | None:
    """The site's folder, None where the settings name none."""
    try:
        return report_folder(settings)
    except ConfigError:
        return None


def proven(tables: Tables, settings: Settings, request: Request) -> Proof:
    """Look through every file under the roots and write the result to ``erasures``."""
    roots, beside = roots_of(tables, settings)
    proof = prove(tables.spark, [*roots, *beside], request, may_lack=beside)
    before = _row_of(tables, request)
    if before is not None:
        _write(
            tables,
            before
            | {
                "roots": list(proof.roots),
                "files": proof.files,
                "found": proof.found,
                "proven_at": None if proof.found else datetime.now(UTC),
            },
        )
    return proof


def too_old(settings: Settings) -> dict[str, str]:
    """Of each table the SQL condition for rows that are older than ``privacy.retention`` allows, or made from such."""
    first = kept_from(settings)
    found = conditions(first)
    if set(first) & {"decisions", "taste", "user_assignments"}:
        found |= dict.fromkeys(CODED, "true")
    return found


def expire(tables: Tables, settings: Settings) -> dict[str, date]:
    """Remove rows that are older than ``privacy.retention`` allows, and their files; returns each table's first day."""
    first = kept_from(settings)
    if not first:
        raise InputError("privacy.retention names no table; write for instance privacy: {retention: {events: 400}}")
    for table, condition in too_old(settings).items():
        tables.delete(table, condition)
    tables.purge([*first, *CODED])
    return first


def _suppress(tables: Tables, request: Request) -> None:
    rows = members_of(tables.spark, request, "suppression_key").select(
        "suppression_key", F.lit(request.request_id).alias("request_id"), F.current_timestamp().alias("since")
    )
    tables.merge("suppressions", rows, update=False)


def _days(tables: Tables, members: DataFrame) -> list[date]:
    """The days on which the members had decisions."""
    mine = tables.read_or_empty("decisions").join(members, on="user_key", how="left_semi")
    return sorted(row["epoch"] for row in mine.groupBy("epoch").count().collect())


def _remove(tables: Tables, table: str, members: DataFrame, request: Request) -> int:
    within = ""
    if "user_bucket" in TABLES[table].schema.names and len(request.buckets) <= BUCKETS_NAMED:
        within = f"t.user_bucket IN ({', '.join(map(str, request.buckets))})"
    return tables.remove(table, members, "user_key", within)


def _remove_texts(tables: Tables, request: Request) -> int:
    """Rows of quarantine in whose text an id stands, whoever's rows they are: a log's columns may have been shifted."""
    if not tables.exists("quarantine"):
        return 0
    ids, keys = request.ids, request.keys

    def look(batches: Batches) -> Batches:
        needles = Needles(ids, keys)
        for batch in batches:
            texts = zip(batch.column("row_key").to_pylist(), batch.column("payload").to_pylist(), strict=True)
            yield pa.RecordBatch.from_pydict(
                {"row_key": pa.array([key for key, text in texts if needles.found(text.encode())], pa.string())}
            )

    held = tables.read("quarantine").select("row_key", "payload").mapInArrow(look, "row_key string").persist()
    try:
        return 0 if held.isEmpty() else tables.remove("quarantine", held, "row_key")
    finally:
        held.unpersist()


def _count_without(tables: Tables, days: Sequence[date], members: DataFrame) -> None:
    """Set the cells of these days to what all others did."""
    if days:
        listed = ", ".join(f"DATE'{day}'" for day in days)
        others = tables.read("decisions").where(f"epoch IN ({listed})").join(members, on="user_key", how="left_anti")
        tables.replace("artwork_stats", artwork_stats(others), f"event_date IN ({listed})")


def _count_again(tables: Tables, settings: Settings) -> None:
    """What compares events with what was counted of them, and so is made good whenever it comes."""
    if tables.exists("sessions"):
        write_sessions(tables, kept_from(settings).get("sessions"))
    if tables.exists("moments"):
        write_moments(tables, settings.privacy.smallest_cell)


def _row_of(tables: Tables, request: Request) -> dict | None:
    row = tables.read_or_empty("erasures").where(F.col("request_id") == request.request_id).first()
    return None if row is None else row.asDict()


def _record(tables: Tables, request: Request, done: Erased) -> None:
    """The request's row; carried out again, it keeps its date and adds what more was removed."""
    before = _row_of(tables, request) or {"requested_at": datetime.now(UTC), "tables": [], "rows": 0}
    _write(
        tables,
        before
        | {
            "request_id": request.request_id,
            "members": len(request.ids),
            "tables": sorted({*before["tables"], *done.rows}),
            "rows": before["rows"] + sum(done.rows.values()),
            "roots": [],
            "files": None,
            "found": None,
            "proven_at": None,
        },
    )


def _write(tables: Tables, row: dict) -> None:
    frame = tables.spark.createDataFrame([tuple(row[name] for name in ERASURES.names)], ERASURES)
    tables.merge("erasures", frame)
