"""What breaks under a job: a full disk, a second run, a corrupt file, MLflow down, a clock that goes back.

Each is really done to a small world. The job answers in one line where it cannot go on, and once the trouble is over it
leaves the tables of a run that nobody disturbed.
"""

import importlib
import os
import re
import shutil
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from killing import KEYART, ROOT, commits, differences, drive, rows_of

from keyart.cli import run_job
from keyart.config import load, with_values
from keyart.operations.graph import Stage
from keyart.operations.ledger_spark import Ledger, known
from keyart.pipeline import run_stages
from keyart.settings import SessionSettings
from keyart.tables import Tables

pytestmark = pytest.mark.spark
BASE = ["--config", str(ROOT / "conf" / "local.yaml"), "--set", "session.shuffle_partitions=2"]


@pytest.fixture(scope="module")
def world(spark, tmp_path_factory):
    """A made-up catalogue, a log, and the tables that ingest-events and measure-sessions leave of it."""
    home = tmp_path_factory.mktemp("world")
    size = {"members": 60, "titles": 8, "artworks": 3, "days": 3, "duplicates": 0.05, "out": str(home / "log")}
    values = {f"simulate.{name}": value for name, value in size.items()}
    settings = with_values(load(None), {**values, "tables": str(home / "blank")})
    importlib.import_module("keyart.jobs.simulate").run(spark, settings)
    shutil.copytree(home / "blank", home / "clean")
    for job in ("ingest-events", "measure-sessions"):
        assert run_job(job, arguments(job, home, home / "clean")) == 0
    return home


def arguments(job: str, home: Path, root: Path) -> list[str]:
    log = ["--events", str(home / "log")] if job == "ingest-events" else []
    return [*BASE, "--tables", str(root), "--set", f"events.events={home / 'log'}", *log]


def lines_of(said: str) -> list[str]:
    """What keyart itself said on stderr, and traces of a failure that it did not catch."""
    return [line for line in said.splitlines() if line.startswith(("keyart: ", "Traceback"))]


def copied(world: Path, of: str, to: Path) -> Path:
    return Path(shutil.copytree(world / of, to))


def test_a_full_disk_is_one_line_and_costs_nothing(spark, world, tmp_path):
    """The tables lie on a disk of their own, where root may make one."""
    disk, blank = tmp_path / "disk", world / "blank"
    disk.mkdir()
    used = sum(path.stat().st_size + 4096 for path in blank.rglob("*"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={used + (160 << 10)}", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        root = copied(world, "blank", disk / "tables")
        ended = drive([str(KEYART), "ingest-events", *arguments("ingest-events", world, root)], tmp_path / "said.txt")
        assert ended.status == 1, ended.said[-2000:]
        (line,) = lines_of(ended.said)
        assert line.startswith("keyart: the disk is full: No space left on device. Make room")
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        for job in ("ingest-events", "measure-sessions"):
            assert run_job(job, arguments(job, world, root)) == 0
        assert not differences(rows_of(spark, root), rows_of(spark, world / "clean"))
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_two_runs_of_a_job_at_once(spark, world, tmp_path):
    """The second is refused while the first is at work; both would append the same events."""
    root = copied(world, "blank", tmp_path / "tables")
    command = [str(KEYART), "ingest-events", *arguments("ingest-events", world, root)]
    running = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
        for _ in range(2)
    ]
    said = [one.communicate(timeout=600)[1] for one in running]
    status = sorted(one.returncode for one in running)
    assert status == [0, 1], said
    refused = next(text for one, text in zip(running, said, strict=True) if one.returncode)
    (line,) = lines_of(refused)
    # Before the first has written who it is, it is told of as "just begun".
    begins = rf"keyart: another ingest-events is at work on {re.escape(str(root))} \((process |just begun)"
    assert re.match(begins, line)
    for job in ("ingest-events", "measure-sessions"):
        assert run_job(job, arguments(job, world, root)) == 0
    assert not differences(rows_of(spark, root), rows_of(spark, world / "clean"))


def test_a_corrupt_file_is_named_with_its_table(spark, world, tmp_path, capsys):
    root = copied(world, "clean", tmp_path / "tables")
    (broken,) = sorted((root / "events").glob("part-*.parquet"), key=lambda path: path.stat().st_size)[-1:]
    whole = broken.read_bytes()
    beside = broken.with_name(f".{broken.name}.crc")
    beside.unlink(missing_ok=True)
    broken.write_bytes(whole[: len(whole) // 2])
    capsys.readouterr()
    assert run_job("ingest-events", arguments("ingest-events", world, root)) == 1
    (line,) = lines_of(capsys.readouterr().err)
    assert line.startswith(f"keyart: table events: its file {broken} is corrupt. Put the file back from a copy")
    reader = Stage("measure-sessions", ("events",), ())
    settings = with_values(load(None), {"tables": str(root)})
    (result,) = run_stages(spark, settings, [reader], progress=False, force=True)
    assert (result.state, result.error[:30]) == ("failed", f"table events: its file {broken}"[:30])
    broken.write_bytes(whole)
    assert run_job("ingest-events", arguments("ingest-events", world, root)) == 0
    assert run_job("measure-sessions", arguments("measure-sessions", world, root)) == 0
    assert not differences(rows_of(spark, root), rows_of(spark, world / "clean"))


def test_mlflow_that_is_down_is_said_before_anything_is_learned(world, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    root = copied(world, "clean", tmp_path / "tables")
    with socket.socket() as taken:  # bound and not listening: nothing answers there
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setenv("MLFLOW_LOGIN", "anna:anna-s-own")
        server = ["--set", f"tracking.uri=http://{{{{env/MLFLOW_LOGIN}}}}@127.0.0.1:{port}"]
        before = commits(root)
        for job in ("train-taste", "train-response"):
            capsys.readouterr()
            assert run_job(job, [*arguments(job, world, root), *server]) == 1
            (line,) = lines_of(capsys.readouterr().err)
            assert line.startswith(f"keyart: MLflow at http://[hidden]@127.0.0.1:{port} does not do what it is asked")
            assert "anna" not in line
    assert commits(root) == before
    assert run_job("train-taste", arguments("train-taste", world, root)) == 0


class _Clock:
    """What code calls datetime, with a clock that went back more than a hundred years."""

    fromtimestamp = datetime.fromtimestamp

    @staticmethod
    def now(tz=None):
        return datetime.now(tz) - timedelta(days=40_000)


def test_a_clock_that_goes_back(spark, tables, world, tmp_path, monkeypatch):
    """The newest row of a stage stays the newest, and no event is of the future for a clock's sake."""
    first = Ledger(tables, "r1", SessionSettings(), 60)
    first.done("train-taste", datetime.now(UTC), 1.0, "old", {})
    monkeypatch.setattr("keyart.clock.datetime", _Clock)
    second = Ledger(tables, "r2", SessionSettings(), 60, known(tables).newest)
    second.done("train-taste", _Clock.now(UTC), 1.0, "new", {})
    assert known(tables).done["train-taste"]["input_key"] == "new"
    assert known(tables).last["train-taste"]["run_id"] == "r2"

    root = copied(world, "clean", tmp_path / "again")
    monkeypatch.setattr("keyart.feedback.ingest_spark.datetime", _Clock)
    assert run_job("ingest-events", arguments("ingest-events", world, root)) == 0
    assert not Tables(spark, str(root)).exists("quarantine")
    assert not differences(rows_of(spark, root), rows_of(spark, world / "clean"))
