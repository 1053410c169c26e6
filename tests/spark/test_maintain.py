"""maintain on real tables: fewer files, the same rows, no leftovers, nothing that makes a stage run again."""

import os
import sys
import threading
import time
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType

import pytest

from keyart.cli import run_job
from keyart.config import load, with_values
from keyart.operations.graph import Stage
from keyart.pipeline import run_stages
from keyart.schemas import TABLES
from keyart.session import unprinted

pytestmark = pytest.mark.spark
DAY = 86_400


def shots(spark, *ids):
    rows = [("s", f"v{i}", i, 0, 9, 0.0, 1.0, 0, 9, "cut", 0.5, 0.5, 0.5) for i in ids]
    return spark.createDataFrame(rows, TABLES["shots"].schema).coalesce(1)


def parquet(tables, table):
    return {path.name for path in Path(tables.root, table).glob("*.parquet")}


def leave(folder, name, days):
    """A file that no commit names, as a killed writer leaves it."""
    path = Path(folder, name)
    path.write_bytes(b"half")
    then = time.time() - days * DAY
    os.utime(path, (then, then))
    return path


def test_many_small_files_become_few_and_leftovers_go(spark, tables, monkeypatch, capsys):
    for i in range(6):
        tables.append("shots", shots(spark, i))
    old = leave(f"{tables.root}/shots", "part-00000-killed.parquet", 8)
    new = leave(f"{tables.root}/shots", "part-00000-at-work.parquet", 0)
    reader = ModuleType("keyart.jobs.reader")
    reader.run = lambda spark, settings: None
    monkeypatch.setitem(sys.modules, reader.__name__, reader)
    settings = with_values(load(None), {"tables": tables.root})

    def state():
        return run_stages(spark, settings, [Stage("reader", ("shots",), ())], progress=False)[0].state

    assert state() == "done"
    rows = sorted(tables.read("shots").collect())
    files, version, data = tables.size("shots")[0], tables.version("shots"), tables.data_version("shots")

    # A writer at work meanwhile: its rows arrive, and maintain does not fail.
    failures = []

    def write():
        try:
            for i in (90, 91):
                tables.merge("shots", shots(spark, i))
        except Exception as error:  # a thread's failure must reach the test
            failures.append(error)

    writer = threading.Thread(target=write)
    assert run_job("maintain", ["--tables", tables.root]) == 0
    said = capsys.readouterr().out
    assert "shots: 6 files -> 1" in said
    assert files == 6
    assert tables.size("shots")[0] == 1
    assert sorted(tables.read("shots").collect()) == rows
    assert not old.exists()
    assert new.exists(), "a writer at work keeps its file"
    assert len(parquet(tables, "shots")) == 8, "older versions can be read for a week"
    assert tables.version("shots") > version
    assert tables.data_version("shots") == data
    assert state() == "skipped"

    writer.start()
    assert run_job("maintain", ["--tables", tables.root, "--set", "maintain.tables=[shots]"]) == 0
    writer.join()
    assert not failures
    assert tables.read("shots").count() == 8
    assert state() == "done", "what was written meanwhile is seen"


def test_a_week_is_kept_unless_asked(spark, tables, capsys):
    tables.overwrite("shots", shots(spark, 1))
    tables.overwrite("shots", shots(spark, 2))
    hasty = ["--tables", tables.root, "--set", "maintain.retain_hours=0"]
    assert run_job("maintain", hasty) == 2
    assert "maintain.shorter" in capsys.readouterr().err
    assert len(parquet(tables, "shots")) == 2
    assert run_job("maintain", [*hasty, "--set", "maintain.shorter=true"]) == 0
    assert len(parquet(tables, "shots")) == 1
    assert spark.conf.get("spark.databricks.delta.retentionDurationCheck.enabled", "true") == "true"
    assert run_job("maintain", ["--tables", tables.root, "--set", "maintain.tables=[films]"]) == 2
    assert "there is no films" in capsys.readouterr().err


def test_rows_older_than_retention_go_and_files_wait(spark, tables):
    today = date.today()
    rows = [(f"r{days}", "rows", 1.0, None, today - timedelta(days=days)) for days in (1, 40)]
    schema = TABLES["data_quality"].schema
    tables.append("data_quality", spark.createDataFrame(rows, schema).coalesce(1))
    kept = ["--set", "privacy.retention={data_quality: 30}"]
    assert run_job("maintain", ["--tables", tables.root, *kept]) == 0
    assert [row["run_key"] for row in tables.read("data_quality").collect()] == ["r1"]
    assert len(parquet(tables, "data_quality")) == 2


def test_a_damaged_table_keeps_no_other_from_its_upkeep(spark, tables, capsys):
    for i in range(2):
        tables.append("shots", shots(spark, i))
        tables.append("titles", spark.createDataFrame([], TABLES["titles"].schema))
    for path in Path(tables.root, "titles", "_delta_log").glob("*.json"):
        path.write_text("no log")
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    assert run_job("maintain", ["--tables", tables.root, "--set", "privacy.retention={data_quality: 30}"]) == 1
    said = capsys.readouterr()
    assert "shots: 2 files -> 1" in said.out
    (line,) = said.err.splitlines()
    assert line.startswith("keyart: upkeep of titles failed: ")


def test_vacuum_prints_nothing(spark, tables):
    tables.append("shots", shots(spark, 1))
    jvm = spark.sparkContext._jvm
    console = getattr(getattr(jvm.scala, "Console$"), "MODULE$")
    before, heard = console.out(), jvm.java.io.ByteArrayOutputStream()
    console.setOutDirect(jvm.java.io.PrintStream(heard))
    try:
        spark.sql(f"VACUUM {tables.name('shots')}").collect()
        spoken = heard.toString()
        assert "Deleted" in spoken, "else there is nothing to silence any more"
        with unprinted(spark):
            spark.sql(f"VACUUM {tables.name('shots')}").collect()
        assert heard.toString() == spoken
        console.println("after")
        assert heard.toString() == f"{spoken}after\n"
    finally:
        console.setOutDirect(before)
