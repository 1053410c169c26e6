"""The only place that touches Delta: open, check, append, merge, replace.

A root is a folder or URL (tables lie at ROOT/<table>) or, written ``catalog:main.keyart``, a schema of a catalogue such
as Unity Catalog. Writes go through the DataFrame API and SQL alone, so that they run on Spark Connect and serverless.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession, functions

from keyart import __version__
from keyart.alone import alone
from keyart.commits import Commit
from keyart.errors import SchemaError, TableError
from keyart.migrations import PROPERTY, as_read, defaults, last_name
from keyart.schemas import TABLES, TableSpec, check_schema
from keyart.session import unprinted, with_options

__all__ = ["Tables", "open_delta", "quoted"]

log = logging.getLogger(__name__)

ATTEMPTS = 6
CONFLICTS = (
    "ConcurrentModification", "DELTA_CONCURRENT", "ConcurrentAppend", "ConcurrentDelete", "ProtocolChanged",
    "MetadataChanged", "DELTA_METADATA_CHANGED", "DELTA_PROTOCOL_CHANGED",
)  # fmt: skip
PRIVATE = (
    "user_key", "suppression_key", "event_id", "impression_id", "decision_id", "row_key", "block", "content", "query",
)  # fmt: skip
"""Columns whose minimum and maximum must not stand in the transaction log: keys of members, ids that logs and hashes
make of them (whose order helps no reader), searches, pictures."""
LOGGING = "spark.databricks.delta.vacuum.logging.enabled"
VACUUM_OPTIONS = {
    "spark.databricks.delta.retentionDurationCheck.enabled": "false",  # else it keeps a week of older files
    LOGGING: "false",  # else two commits a table
}


class Tables:
    """The tables under one root. ``spark`` is handed in, never looked up; any SparkSession, classic or Connect."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.spark = spark
        # SQL knows delta.`path` by absolute paths and URLs only.
        self.root = (root if ":" in root else str(Path(root).absolute())).rstrip("/")
        self._there: dict[str, set[str]] = {}
        """Columns, by table, of those that were seen."""

    def name(self, table: str) -> str:
        """How SQL calls the table: delta.`ROOT/table`, or catalog.schema.table."""
        self._spec(table)
        if self.root.startswith("catalog:"):
            return f"{self.root.removeprefix('catalog:')}.{table}"
        return f"delta.`{self.root}/{table}`"

    def exists(self, table: str) -> bool:
        """Whether the table was ever written; what was seen once is not asked for again."""
        if table not in self._there:
            try:
                # Analysis alone: no job, no history.
                self._there[table] = set(self.spark.read.table(self.name(table)).columns)
            except PySparkException as error:
                if _is_missing(error):
                    return False
                raise
        return True

    def version(self, table: str) -> int | None:
        """The newest Delta version, or None where there is no table."""
        state = self.state(table)
        return None if state is None else state[0]

    def state(self, table: str) -> tuple[int, datetime] | None:
        """The newest Delta version and when it was written (UTC), or None where there is no table."""
        newest = self.history(table, 1)
        return (newest[0].version, newest[0].at) if newest else None

    def history(self, table: str, most: int | None = None) -> list[Commit]:
        """What was done to the table, newest first, ``most`` entries at most; empty where there is no table."""
        limit = "" if most is None else f" LIMIT {most}"
        try:
            rows = (
                self.spark.sql(f"DESCRIBE HISTORY {self.name(table)}{limit}")
                .select("version", functions.unix_seconds("timestamp").alias("at"), "operation", "operationMetrics")
                .collect()
            )
        except PySparkException as error:
            if _is_missing(error):
                return []
            raise
        return [
            Commit(int(row["version"]), datetime.fromtimestamp(row["at"], UTC), row["operation"], row[3] or {})
            for row in rows
        ]

    def data_version(self, table: str) -> int | None:
        """The newest version that changed rows, so that OPTIMIZE, VACUUM and writes of nothing leave it as it is.

        None where no row was ever written. Where the log of the last change was cleaned away, the oldest version that
        is told of: it moves, so that readers compute once more rather than miss a change.
        """
        for most in (1, 30, None):  # most often the newest entry answers, and an entry is a file to read
            commits = self.history(table, most)
            changed = next((commit.version for commit in commits if commit.changes_data), None)
            if changed is not None or most is None or len(commits) < most:
                break
        if changed is None and commits and commits[-1].version > 0:
            return commits[-1].version
        return changed

    def read(self, table: str) -> DataFrame:
        """The table's rows in the schema's columns; TableError where there is none or a newer keyart wrote it,
        SchemaError on any other mismatch.

        A table of an older version is read as if it had been brought on: what it lacks has its default.
        """
        try:
            frame = self.spark.read.table(self.name(table))
            if set(frame.columns) != set(TABLES[table].schema.names):
                frame = self._as_of_now(table, frame)
            check_schema(table, frame.schema)
        except PySparkException as error:
            if _is_missing(error):
                raise TableError(f"table {table} is not there under {self.root}; run the job that writes it") from error
            raise
        except SchemaError as error:
            mend = f"remove it or name another root than {self.root} with --tables, and run the jobs again"
            raise SchemaError(f"{error}: another version of keyart wrote it; {mend}") from error
        # Null where the driver that brings the table on has not come to fill it in.
        filled = {
            name: functions.coalesce(name, functions.expr(sql).cast(TABLES[table].schema[name].dataType))
            for name, sql in defaults(TABLES[table].steps).items()
        }
        return frame.select(*TABLES[table].schema.names).withColumns(filled)

    def migrate(self, table: str) -> bool:
        """Bring a table of an older version on to this one's columns; returns whether there was something to do.

        Killed in between, it goes on where it was; readers see the same rows before and after. TableError for a table
        that a newer keyart wrote.
        """
        last = self._spec(table).version
        if (first := self._version_of(table)) == last:
            return False
        with alone(f"migration of {table}", self.root, wait=True):
            while (number := self._version_of(table)) < last:
                columns = set(self.spark.read.table(self.name(table)).columns)
                for statement in self._statements(table, number, columns):
                    self._retry(table, partial(self.spark.sql, statement))
        log.info("table %s brought on from version %d to %d", table, first, last)
        self._there[table] = set(self._spec(table).schema.names)
        return True

    def _statements(self, table: str, number: int, columns: set[str]) -> list[str]:
        """What brings a table of version ``number`` with these columns on to the next one."""
        spec = self._spec(table)
        step, later = spec.steps[number - 1], spec.steps[number:]
        kinds = {field.name: field.dataType.simpleString() for field in spec.schema}
        then = {column: last_name(later, column) for column in step.read({})}
        known = {column: kinds[name] for column, name in then.items() if name is not None}
        done = f"ALTER TABLE {{table}} SET TBLPROPERTIES ('{PROPERTY}' = '{number + 1}')"
        return [said.replace("{table}", self.name(table)) for said in (*step.statements(columns, known), done)]

    def read_or_empty(self, table: str) -> DataFrame:
        """As ``read``, but a table nobody wrote yet has no rows."""
        if self.exists(table):
            return self.read(table)
        return self.spark.createDataFrame([], TABLES[table].schema)

    def append(self, table: str, frame: DataFrame, once: tuple[str, int] | None = None) -> None:
        """Add rows. Not idempotent by itself: for tables whose key holds the run (a scan in waves).

        ``once`` is who writes and a number that grows with what they write: what has a number that is in the table
        already, or a smaller one, is not added again.
        """
        options = {} if once is None else {"txnAppId": once[0], "txnVersion": str(once[1])}
        self._write(table, frame, lambda rows: rows.write.format("delta").mode("append").options(**options))

    def overwrite(self, table: str, frame: DataFrame) -> None:
        """Replace all rows."""
        self._write(table, frame, lambda rows: rows.write.format("delta").mode("overwrite"))

    def replace(self, table: str, frame: DataFrame, where: str) -> None:
        """Replace the rows for which the SQL condition ``where`` holds; new rows for which it does not are refused."""
        self._write(
            table, frame, lambda rows: rows.write.format("delta").mode("overwrite").option("replaceWhere", where)
        )

    def settle(self, table: str, frame: DataFrame) -> bool:
        """As ``overwrite``, but where the rows are what they were nothing is written; returns whether it was.

        So what reads the table stays up to date. Rows are compared by count and sum of 64-bit hashes.
        """
        rows = frame.select(*self._spec(table).schema.names).persist()
        try:
            if self.exists(table) and _digest(rows) == _digest(self.read(table)):
                return False
            self.overwrite(table, rows)
        finally:
            rows.unpersist()
        return True

    def put(self, table: str, frame: DataFrame, where: str) -> None:
        """As ``replace``, but a table nobody wrote yet is made of the rows: there are none to look for."""
        if self.exists(table):
            self.replace(table, frame, where)
        else:
            self.append(table, frame)

    def merge(
        self,
        table: str,
        frame: DataFrame,
        update: bool = True,
        columns: Sequence[str] | None = None,
        within: str = "",
    ) -> None:
        """Insert rows whose key is new and, with ``update``, set the others: all of a row, or only ``columns``.

        ``frame`` has one row a key (a doubled key would make the merge ambiguous and fails). Run twice, it changes
        nothing the second time. ``within``, a SQL condition on ``t``, says where in the table equal keys can lie, so
        that only those files are read; an equal key outside it is not seen.
        """
        spec = self._spec(table)
        check_schema(table, frame.schema)
        same = " AND ".join(f"t.{column} = s.{column}" for column in spec.key)
        same += f" AND ({within})" if within else ""
        change = "UPDATE SET " + (", ".join(f"t.{c} = s.{c}" for c in columns) if columns else "*")
        matched = f"WHEN MATCHED THEN {change}" if update else ""
        statement = (
            f"MERGE INTO {self.name(table)} AS t USING {{source}} AS s ON {same} "
            f"{matched} WHEN NOT MATCHED THEN INSERT *"
        )
        self._create(table)
        self._retry(table, lambda: self.spark.sql(statement, source=frame.select(*spec.schema.names)))

    def change_by_row(self, table: str) -> None:
        """From now on a merge writes the rows that it changes beside the table's files (deletion vectors), not their
        whole files again: for tables of which little changes often. A table nobody wrote stays as it is."""
        if self.exists(table) and not self._has_vectors(table):
            change = "SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')"
            self._retry(table, lambda: self.spark.sql(f"ALTER TABLE {self.name(table)} {change}"))

    def delete(self, table: str, where: str) -> None:
        """Remove the rows for which the SQL condition holds; a table nobody wrote has none."""
        if self.exists(table):
            self._bring_on(table)
            self._retry(table, lambda: self.spark.sql(f"DELETE FROM {self.name(table)} WHERE {where}"))

    def remove(self, table: str, rows: DataFrame, on: str, within: str = "") -> int:
        """Remove the rows whose column ``on`` has a value of ``rows``; returns how many. A table nobody wrote has none.

        A merge: the values stand in no statement and no predicate of the log. ``within`` as for ``merge``.
        """
        if not self.exists(table):
            return 0
        self._bring_on(table)
        same = f"t.{on} = s.{on}" + (f" AND ({within})" if within else "")
        statement = f"MERGE INTO {self.name(table)} AS t USING {{source}} AS s ON {same} WHEN MATCHED THEN DELETE"
        removed = 0

        def write() -> None:
            nonlocal removed
            row = self.spark.sql(statement, source=rows.select(on)).first()
            removed = int(row["num_deleted_rows"] or 0) if row is not None else 0

        self._retry(table, write)
        return removed

    def purge(self, names: Sequence[str]) -> None:
        """Leave nothing on disk of what the tables no longer hold: rows behind deletion vectors, files of older
        versions, change data. Older versions can't be read afterwards, and writers at work would lose their files."""
        with self._set(VACUUM_OPTIONS), ThreadPoolExecutor(4) as pool:
            list(pool.map(self._purge, [table for table in names if self.exists(table)]))

    def compact(self, table: str) -> None:
        """Bring small files together, by the columns that the table is clustered by; rows stay what they are."""
        if self._has_vectors(table):
            self._retry(table, lambda: self.spark.sql(f"REORG TABLE {self.name(table)} APPLY (PURGE)").collect())
        self._retry(table, lambda: self.spark.sql(f"OPTIMIZE {self.name(table)}").collect())

    def vacuum(self, table: str, hours: int, shorter: bool = False) -> None:
        """Remove files that no version of the last ``hours`` needs, and what killed writers left that is as old.

        Fewer hours than Delta's week are refused by Delta unless ``shorter``: then a reader or writer that takes longer
        loses files under its hands.
        """
        options = VACUUM_OPTIONS if shorter else {LOGGING: "false"}
        with self._set(options, needed=shorter):
            self._vacuum(table, hours)

    def size(self, table: str) -> tuple[int, int]:
        """Files and bytes of the table's newest version."""
        row = self.spark.sql(f"DESCRIBE DETAIL {self.name(table)}").select("numFiles", "sizeInBytes").collect()[0]
        return int(row[0]), int(row[1])

    def location(self, table: str) -> str:
        """The folder or URL where the table's files lie."""
        if not self.root.startswith("catalog:"):
            return f"{self.root}/{table}"
        row = self.spark.sql(f"DESCRIBE DETAIL {self.name(table)}").select("location").first()
        if row is None or not row["location"]:
            raise TableError(f"table {table} does not say where its files lie")
        return str(row["location"])

    def _purge(self, table: str) -> None:
        if self._has_vectors(table):
            self._retry(table, lambda: self.spark.sql(f"REORG TABLE {self.name(table)} APPLY (PURGE)").collect())
        self._vacuum(table, 0)

    def _has_vectors(self, table: str) -> bool:
        detail = self.spark.sql(f"DESCRIBE DETAIL {self.name(table)}").select("tableFeatures").first()
        return detail is not None and "deletionVectors" in (detail["tableFeatures"] or ())

    def _vacuum(self, table: str, hours: int) -> None:
        with unprinted(self.spark):
            self.spark.sql(f"VACUUM {self.name(table)} RETAIN {hours} HOURS").collect()

    @contextmanager
    def _set(self, options: Mapping[str, str], needed: bool = True) -> Iterator[None]:
        """While the body runs the session has these options; TableError where it does not let them be set and they are
        ``needed``."""
        with with_options(self.spark, options) as refused:
            if refused and needed:
                raise TableError(
                    f"this session may not set {refused[0]}, so that old files stay: run the job on a cluster that "
                    "lets it"
                )
            yield

    def _write(self, table: str, frame: DataFrame, writer: Callable) -> None:
        spec = self._spec(table)
        check_schema(table, frame.schema)
        self._create(table)
        rows = frame.select(*spec.schema.names)
        if self.root.startswith("catalog:"):
            self._retry(table, lambda: writer(rows).saveAsTable(self.name(table)))
        else:
            self._retry(table, lambda: writer(rows).save(f"{self.root}/{table}"))

    def _bring_on(self, table: str) -> None:
        """Before a write: a table that has other columns than ours is of an older version, or refused."""
        if self._there[table] != set(TABLES[table].schema.names):
            self.read(table)
            self.migrate(table)

    def _as_of_now(self, table: str, frame: DataFrame) -> DataFrame:
        """The frame of a table whose columns are not ours, with those that the steps since its version make of them."""
        spec = TABLES[table]
        kinds = {field.name: field.dataType for field in spec.schema}

        def column(name: str, sql: str) -> Column:
            stored = sql.startswith("`") or name not in kinds
            return functions.expr(sql) if stored else functions.expr(sql).cast(kinds[name])

        found = as_read(spec.steps[self._version_of(table) - 1 :], frame.columns)
        return frame.select(*(column(name, sql).alias(name) for name, sql in found.items()))

    def _version_of(self, table: str) -> int:
        """The version that stands in the table's properties, 1 where none does; TableError for one we don't know."""
        row = self.spark.sql(f"DESCRIBE DETAIL {self.name(table)}").select("properties").first()
        found = int((row["properties"] if row else {}).get(PROPERTY, 1))
        if found > TABLES[table].version:
            raise TableError(
                f"table {table} is of version {found}, keyart {__version__} knows {TABLES[table].version}: a newer one "
                f"wrote it; update keyart, or name another root than {self.root} with --tables"
            )
        return found

    def _create(self, table: str) -> None:
        if self.exists(table):
            self._bring_on(table)
            return
        spec = self._spec(table)
        columns = ", ".join(
            f"`{field.name}` {field.dataType.simpleString()}{'' if field.nullable else ' NOT NULL'}"
            f" COMMENT {quoted(field.metadata['comment'])}"
            for field in spec.schema
        )
        # Minimum and maximum of a column take time at every write: kept where a reader skips files by them.
        sought = {*spec.cluster, *spec.key} - set(PRIVATE)
        flat = [field.name for field in spec.schema if field.name in sought or _is_time(field)]
        cluster = f"CLUSTER BY ({', '.join(spec.cluster)})" if spec.cluster else ""
        self._retry(
            table,
            lambda: self.spark.sql(
                f"CREATE TABLE IF NOT EXISTS {self.name(table)} ({columns}) USING delta {cluster}"
                f" COMMENT {quoted(spec.about)}"
                f" TBLPROPERTIES ('{PROPERTY}' = '{spec.version}',"
                f" 'delta.dataSkippingStatsColumns' = '{','.join(flat)}')"
            ),
        )

    def _retry(self, table: str, write: Callable[[], object]) -> None:
        for attempt in range(ATTEMPTS):
            try:
                write()
                return
            # Delta's conflicts reach us as a PySparkException over Connect and as a Py4JJavaError otherwise.
            except Exception as error:
                if not any(word in str(error) for word in CONFLICTS):
                    raise
                if attempt == ATTEMPTS - 1:
                    raise TableError(
                        f"table {table}: another writer won {ATTEMPTS} times in a row; run the job again"
                    ) from error
                log.info("table %s changed while it was written; trying again", table)
                time.sleep(0.2 * 2**attempt)

    def _spec(self, table: str) -> TableSpec:
        if table not in TABLES:
            raise TableError(f"there is no table {table}; known are {', '.join(TABLES)}")
        return TABLES[table]


def open_delta(spark: SparkSession, path: str) -> tuple[DataFrame, int] | None:
    """A Delta table that is not one of ours, such as a delivered log, and its version; None where ``path`` is none."""
    try:
        row = spark.sql(f"DESCRIBE HISTORY delta.`{path}` LIMIT 1").select("version").first()
    except PySparkException:
        return None  # whatever else lies there, it is no Delta table
    if row is None:
        return None
    version = int(row["version"])
    # Of this version for good: the log is read more than once, and may grow meanwhile.
    return spark.read.format("delta").option("versionAsOf", version).load(path), version


def _digest(rows: DataFrame) -> tuple[int, int]:
    hashes = functions.sum(functions.xxhash64(*rows.columns).cast("decimal(38,0)"))
    row = rows.agg(functions.count("*"), hashes).collect()[0]
    return int(row[0]), int(row[1] or 0)


def quoted(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _is_time(field) -> bool:
    return field.dataType.typeName() in {"date", "timestamp"}


def _is_missing(error: PySparkException) -> bool:
    text = str(error)
    return any(
        word in text
        for word in (
            "PATH_NOT_FOUND",
            "TABLE_OR_VIEW_NOT_FOUND",
            "DELTA_MISSING_DELTA_TABLE",
            "DELTA_TABLE_NOT_FOUND",
            "is not a Delta table",
            "DELTA_PATH_DOES_NOT_EXIST",
        )
    )
