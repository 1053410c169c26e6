"""Store every table, with two rows each, as this version of keyart writes it: what later versions must still read.

    make store      # at a release; writes tests/data/tables-<version>.zip, which is committed

Values are made of the column's type alone: they are there to be found again, not to mean anything.
"""

import sys
import tempfile
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql.types import ArrayType, DataType, MapType, StructType

from keyart import __version__
from keyart.config import load
from keyart.schemas import TABLES
from keyart.session import open_session
from keyart.tables import Tables

HERE = Path(__file__).parent
PLAIN = {
    "string": lambda row: f"text {row}",
    "long": lambda row: row,
    "integer": lambda row: row,
    "double": lambda row: row / 2,
    "float": lambda row: row / 2,
    "boolean": lambda row: row == 1,
    "date": lambda row: date(2026, 1, 1 + row),
    "timestamp": lambda row: datetime(2026, 1, 1, row, tzinfo=UTC),
    "binary": lambda row: bytes([row]),
}


def value(kind: DataType, row: int) -> object:
    """Something of the type, another one in each row."""
    if isinstance(kind, ArrayType):
        return [value(kind.elementType, row)]
    if isinstance(kind, MapType):
        return {value(kind.keyType, row): value(kind.valueType, row)}
    if isinstance(kind, StructType):
        return tuple(value(field.dataType, row) for field in kind)
    return PLAIN[kind.typeName()](row)


def rows(table: str) -> list[tuple]:
    """The two rows that are stored of a table; the second has null wherever it may."""
    schema = TABLES[table].schema
    return [
        tuple(None if row == 2 and field.nullable else value(field.dataType, row) for field in schema) for row in (1, 2)
    ]


def store(spark: SparkSession, target: Path) -> None:
    """Write the tables and pack them."""
    with tempfile.TemporaryDirectory() as scratch:
        tables = Tables(spark, scratch)
        for name, spec in TABLES.items():
            tables.append(name, spark.createDataFrame(rows(name), spec.schema).coalesce(1))
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for path in sorted(Path(scratch).rglob("*")):
                if path.is_file() and path.suffix != ".crc":
                    archive.write(path, path.relative_to(scratch))


if __name__ == "__main__":
    session = open_session(load("conf/local.yaml").session)
    try:
        store(session, HERE / f"tables-{__version__}.zip")
    finally:
        session.stop()
    sys.exit(0)
