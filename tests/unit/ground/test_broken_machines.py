"""Locks that go with their holder, errors of the machine in a line, a clock that went back."""

import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from keyart.alone import FOLDER, alone
from keyart.clock import after, instant
from keyart.errors import ModelError, TableError
from keyart.troubles import plainly

HOLDER = """
import sys, time
from keyart.alone import alone
with alone("scan-videos", sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_run_is_refused_until_the_first_is_gone_however_it_ends(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as first:
        try:
            assert first.stdout.readline() == "held\n"
            with pytest.raises(TableError, match=rf"^another scan-videos is at work on .* \(process {first.pid} on "):
                alone("scan-videos", str(tmp_path)).__enter__()
            with alone("ingest-events", str(tmp_path)):
                pass
        finally:
            first.send_signal(signal.SIGKILL)
        first.wait()
    with alone("scan-videos", f"file://{tmp_path}"):
        pass
    assert {path.name for path in (tmp_path / FOLDER).iterdir()} == {"scan-videos", "ingest-events"}


def test_a_root_that_was_mistyped_is_not_made(tmp_path):
    root = tmp_path / "tabels" / "mine"
    with alone("publish", str(root)):
        assert (root / FOLDER / "publish").is_file()
    assert not root.exists()
    with alone("ingest-catalog", str(root)), alone("events", str(root), wait=True):
        (root / "titles").mkdir()
    assert (root / FOLDER / "events").is_file()


TRACKER = """
import sys
from keyart.settings import TrackingSettings
from keyart.tracking import Tracking
Tracking(TrackingSettings(), sys.argv[1])
"""


def test_a_run_killed_while_mlflow_makes_its_database_leaves_none(tmp_path):
    """MLflow finds tables without a version and makes them once more, which fails for ever."""
    command = [sys.executable, "-c", TRACKER, str(tmp_path / "tables")]
    database, fresh = tmp_path / "mlflow" / "mlflow.db", tmp_path / "mlflow" / "mlflow.new"
    with subprocess.Popen(command) as making:
        try:
            while not fresh.exists() or fresh.stat().st_size < 50_000:
                assert making.poll() is None
                time.sleep(0.002)
        finally:
            making.kill()
    assert not database.exists()
    subprocess.run(command, check=True)
    assert [path.name for path in database.parent.iterdir()] == [database.name]


def test_tables_at_a_url_have_no_lock(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for root in ("s3://bucket/tables", "catalog:main.keyart"):
        with alone("promote", root), alone("promote", root):
            pass
    assert not list(tmp_path.iterdir())


SPARK = (
    "Job aborted due to stage failure: org.apache.spark.SparkException: [FAILED_READ_FILE.{kind}] Encountered error "
    "while reading file file:///data/tables/events/part-0.c000.snappy.parquet. SQLSTATE: KD001"
)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OSError(28, "No space left on device"),
            "the disk is full: No space left on device. Make room where the tables",
        ),
        (RuntimeError("java.io.IOException: Disk quota exceeded"), "the disk is full: Disk quota exceeded"),
        (
            RuntimeError(SPARK.format(kind="NO_HINT")),
            "table events: its file /data/tables/events/part-0.c000.snappy.parquet is corrupt. Put the file back",
        ),
        (
            RuntimeError(SPARK.format(kind="FILE_NOT_EXIST")),
            "table events: its file /data/tables/events/part-0.c000.snappy.parquet is missing. Put",
        ),
    ],
    ids=["full", "quota", "corrupt", "missing"],
)
def test_what_the_machine_does_is_one_line(error, line):
    with pytest.raises(TableError) as caught, plainly("/data/tables"):
        try:
            raise error
        except Exception as cause:
            raise ValueError("something that came of it") from cause
    assert str(caught.value).startswith(line) and "\n" not in str(caught.value)


def test_other_errors_stay_what_they_are():
    for error in (ValueError("no"), ModelError("disk is full of models")):
        with pytest.raises(type(error)) as caught, plainly("/t"):
            raise error
        assert caught.value is error


def test_the_newest_is_not_older_than_what_there_was():
    past, future = (datetime.now(UTC) + timedelta(days=days) for days in (-1, 400))
    assert after(future) == future + timedelta(microseconds=1)
    assert past < after(past) < future
    assert abs(after(None) - datetime.now(UTC)) < timedelta(minutes=1)
    assert instant(1) == datetime(1970, 1, 1, 0, 0, 0, 1, UTC) and instant(None) is None
