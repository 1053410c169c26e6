"""Tables of older versions: read as if they had been brought on, brought on by a write or by maintain, never halved."""

import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import IntegerType, StructField, StructType

from keyart.cli import run_job
from keyart.errors import SchemaError, TableError
from keyart.migrations import PROPERTY, Added, Removed, Renamed
from keyart.policy.resolve import segment_of
from keyart.policy.spark import override_lookup
from keyart.schemas import TABLES, check_schema
from keyart.tables import Tables

pytestmark = pytest.mark.spark

DATA = Path(__file__).resolve().parents[1] / "data"
STORED = sorted(DATA.glob("tables-*.zip"))


def unpacked(archive: Path, folder: Path) -> Path:
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder


def version_of(spark, tables, table):
    return spark.sql(f"DESCRIBE DETAIL {tables.name(table)}").first()["properties"].get(PROPERTY)


@pytest.mark.parametrize("archive", STORED, ids=lambda path: path.stem)
def test_stored_tables_of_every_version_are_read_and_brought_on(spark, tmp_path, archive):
    """Whoever changes a schema without a step for it fails here."""
    root = unpacked(archive, tmp_path / "tables")
    tables = Tables(spark, str(root))
    stored = [name for name in TABLES if (root / name).is_dir()]
    assert stored
    for name in stored:
        frame = tables.read(name)
        check_schema(name, frame.schema)
        found = sorted(map(repr, frame.collect()))
        assert len(found) == 2, name
        if tables.migrate(name):
            assert sorted(map(repr, tables.read(name).collect())) == found, name
            assert not tables.migrate(name)
            assert set(spark.read.table(tables.name(name)).columns) == set(TABLES[name].schema.names)
        assert version_of(spark, tables, name) in (str(TABLES[name].version), None)


def test_policy_weights_from_before_they_had_deviations(spark, tmp_path):
    """The report read them before anything was written, and assign-artwork writes beside them."""
    tables = Tables(spark, str(unpacked(DATA / "tables-0.0.zip", tmp_path / "tables")))
    before = {row["feature"]: row["sd"] for row in tables.read("policy_weights").collect()}
    assert before == {"warmth": None, "faces": None}
    assert "sd" not in spark.read.table(tables.name("policy_weights")).columns, "reading writes nothing"
    data = tables.data_version("policy_weights")
    new = spark.createDataFrame([("p2", "global", "*", "warmth", 0.5, 0.25)], TABLES["policy_weights"].schema)
    tables.replace("policy_weights", new, "policy_id = 'p2'")
    assert {(row["policy_id"], row["feature"], row["sd"]) for row in tables.read("policy_weights").collect()} == {
        ("p1", "warmth", None), ("p1", "faces", None), ("p2", "warmth", 0.25)
    }  # fmt: skip
    assert version_of(spark, tables, "policy_weights") == "2"
    assert tables.data_version("policy_weights") > data


def test_user_assignments_from_before_there_were_segments(spark, tmp_path):
    """Members of old policies are in none: they get their region's default, as they did."""
    tables = Tables(spark, str(unpacked(DATA / "tables-0.1.0.zip", tmp_path / "tables")))
    old = tables.read("user_assignments").collect()
    assert len(old) == 2 and all(row["segment"] is None for row in old)
    assert "segment" not in spark.read.table(tables.name("user_assignments")).columns, "reading writes nothing"
    policy, user = old[0]["policy_id"], old[0]["user_key"]
    known = override_lookup(tables, policy)(user)
    assert segment_of(known) == "" and dict(known)
    new = [("new", "f" * 32, 1, 20_000, "SE", [], [], [], [], "taste-2")]
    tables.replace(
        "user_assignments", spark.createDataFrame(new, TABLES["user_assignments"].schema), "policy_id = 'new'"
    )
    found = {row["user_key"]: row["segment"] for row in tables.read("user_assignments").collect()}
    assert found == {**{row["user_key"]: None for row in old}, "f" * 32: "taste-2"}
    assert version_of(spark, tables, "user_assignments") == "2"


LATER = (Added("note"), Added("rank", "7"), Renamed("rank", "place"), Renamed("name", "label"), Removed("language"))


@pytest.fixture
def later(monkeypatch):
    """title_names as a later keyart might have it."""
    spec = TABLES["title_names"]
    old = {field.name: field for field in spec.schema}
    comment = {"comment": ""}
    fields = [old["title_id"], StructField("label", old["name"].dataType, False, comment)]
    fields += [StructField("note", old["name"].dataType, True, comment)]
    fields += [StructField("place", IntegerType(), False, comment)]
    new = replace(spec, schema=StructType(fields), key=("title_id",), cluster=(), steps=LATER)
    return lambda: monkeypatch.setitem(TABLES, "title_names", new)


def test_columns_that_came_went_and_were_renamed_by_writers_that_die(spark, tables, later, monkeypatch, capsys):
    old = TABLES["title_names"]
    rows = [("a", "ja", "x"), ("b", "ja", "y")]
    tables.append("title_names", spark.createDataFrame(rows, old.schema))
    assert version_of(spark, tables, "title_names") == "1"
    later()
    wanted = [("a", "x", None, 7), ("b", "y", None, 7)]

    def found():
        return sorted(map(tuple, Tables(spark, tables.root).read("title_names").collect()))

    assert found() == wanted

    # A driver dies after every second statement: rows are the same all along, and the next one goes on.
    sql, said, kills = SparkSession.sql, [], 0

    def dying(self, statement, *given, **named):
        if statement.startswith(("ALTER", "UPDATE")):
            if len(said) == 2:  # one more than the first would come no further
                raise KeyboardInterrupt
            said.append(statement)
        return sql(self, statement, *given, **named)

    while True:
        said.clear()
        monkeypatch.setattr(SparkSession, "sql", dying)
        try:
            Tables(spark, tables.root).migrate("title_names")
            break
        except KeyboardInterrupt:
            kills += 1
        finally:
            monkeypatch.setattr(SparkSession, "sql", sql)
        assert found() == wanted, said
    assert kills >= len(LATER)
    assert found() == wanted
    assert version_of(spark, tables, "title_names") == str(1 + len(LATER))
    assert not Tables(spark, tables.root).migrate("title_names")
    raw = spark.read.table(tables.name("title_names"))
    assert set(raw.columns) == {"title_id", "label", "note", "place"}
    assert raw.where("place = 7").count() == 2, "filled in, not only read so"

    # What was written by the later keyart is refused by the earlier one, in one line, and maintain says it too.
    monkeypatch.setitem(TABLES, "title_names", old)
    for use in (Tables.read, Tables.migrate):
        with pytest.raises(TableError, match=r"^table title_names is of version 6, keyart .* knows 1: a newer one"):
            use(Tables(spark, tables.root), "title_names")
    with pytest.raises(TableError, match="update keyart"):
        Tables(spark, tables.root).append("title_names", spark.createDataFrame(rows, old.schema))
    assert run_job("maintain", ["--tables", tables.root, "--set", "maintain.tables=[title_names]"]) == 1
    assert "upkeep of title_names failed: table title_names is of version 6" in capsys.readouterr().err


def test_two_that_bring_a_table_on_at_once_and_a_foreign_table(spark, tables, later):
    rows = spark.createDataFrame([("a", "ja", "x")], TABLES["title_names"].schema)
    tables.append("title_names", rows)
    later()
    errors = []

    def write(title):
        try:
            frame = spark.createDataFrame([(title, title, None, 1)], TABLES["title_names"].schema)
            Tables(spark, tables.root).append("title_names", frame)
        except Exception as error:  # a thread's failure must reach the test
            errors.append(error)

    threads = [threading.Thread(target=write, args=(title,)) for title in ("b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    found = sorted(map(tuple, Tables(spark, tables.root).read("title_names").collect()))
    assert found == [("a", "x", None, 7), ("b", "b", None, 1), ("c", "c", None, 1)]

    rows.withColumnRenamed("name", "nom").write.format("delta").save(f"{tables.root}/titles")
    with pytest.raises(SchemaError, match=r"genres is missing.*another version of keyart wrote it; remove it"):
        tables.read("titles")
