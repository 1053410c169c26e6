"""A small world that the whole pipeline runs over, drivers that are killed in it, and tables that are compared."""

import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pyarrow as pa
import pyarrow.parquet as pq

from keyart.config import load
from keyart.demo import run as demo
from keyart.demo.logbook import FIRST_DAY
from keyart.pipeline import STAGES, run_stages
from keyart.schemas import TABLES
from keyart.tables import Tables

ROOT = Path(__file__).resolve().parents[1]
KEYART = Path(sys.executable).with_name("keyart")
CONFIG = ROOT / "conf" / "demo.yaml"
BY_RUN: Mapping[str, tuple[str, ...]] = {
    "policies": ("created_at", "data_versions", "models"),  # MLflow's run and version; versions count killed writes
    "promotions": ("promotion_id", "at"),  # a hash of data versions
    "evaluations": ("evaluation_id",),
    "evaluation_blocks": ("source",),
    "erasures": ("requested_at", "proven_at", "files", "roots", "tables", "rows"),  # rows that a killed one had removed
    "suppressions": ("since",),
}
"""Columns that say which run wrote a row, when, or what versions it read: the clean run has others."""
OPERATIONS = ("stage_runs",)
"""Tables that tell of runs, not of members and films."""
DIGITS = 6
"""Significant digits of numbers that are compared: Spark adds parts in the order in which they come."""


@dataclass(frozen=True)
class World:
    """Films and logs of a small audience, and the settings that every run over them has."""

    home: Path
    values: Mapping[str, str]
    seconds: float
    """How long a run takes that nobody disturbs, in a session that is open."""

    @property
    def clean(self) -> Path:
        """Tables that such a run left."""
        return self.home / "tables"

    def before(self, job: str) -> Path:
        """A folder with tables and MLflow as the run had them when the job began."""
        return self.home / "before" / job

    def after(self, job: str) -> Path:
        """The same when the job had ended."""
        jobs = [stage.job for stage in STAGES]
        return self.before(jobs[jobs.index(job) + 1]) if job != jobs[-1] else self.home

    def command(self, job: str, root: Path, *more: str) -> list[str]:
        """A run of the job with its tables in ``root``; MLflow lies beside them."""
        options = [f"--set={key}={value}" for key, value in self.values.items()]
        return [str(KEYART), job, "--config", str(CONFIG), "--tables", str(root), *options, *more]


def world_of(spark: Any, home: Path) -> World:
    """The world in the folder that KEYART_SOAK_WORLD names, so that a soak can be had in pieces, or in ``home``."""
    home = Path(os.environ.get("KEYART_SOAK_WORLD") or home)
    kept = home / "world.json"
    if not kept.exists():  # one that was not finished goes on where it was, as the pipeline does
        values, seconds = _make(spark, home)
        kept.write_text(json.dumps([values, seconds]))
    return World(home, *json.loads(kept.read_text()))


def _make(spark: Any, home: Path) -> tuple[dict[str, str], float]:
    """Films, their artworks, an audience before them, and a run over all of it."""
    days = 9
    times = {"t0": FIRST_DAY, "t1": FIRST_DAY + timedelta(days=days * 2 // 3), "end": FIRST_DAY + timedelta(days=days)}
    values: dict[str, str] = {
        "assign.policy_id": "small",
        "assign.day": str(times["end"]),
        "report.folder": str(home / "report"),
        "taste.checkpoints": str(home / "checkpoints"),
        "taste.iterations": "3",
        "events.events": str(home / "logs"),
        **{f"time.{name}": str(day) for name, day in times.items()},
    }
    small = {"demo.titles": 2, "demo.members": 1500, "demo.days": days, "tables": home / "tables"}
    settings = load(CONFIG, [f"{name}={value}" for name, value in (values | small).items()])
    settings = demo._films(settings, None, home)
    values["catalog.manifest"] = settings.catalog.manifest
    tables, seconds = Tables(spark, settings.tables), 0.0
    for stage in STAGES:
        if stage.job == "ingest-events":
            demo._audience(settings, tables, home)
            _without_positions(home / "logs")
        if not (home / "before" / stage.job).exists():
            shutil.rmtree(home / "copying", ignore_errors=True)
            (home / "copying").mkdir(parents=True)
            for name in ("tables", "mlflow"):
                if (home / name).exists():
                    shutil.copytree(home / name, home / "copying" / name)
            (home / "before").mkdir(exist_ok=True)
            (home / "copying").rename(home / "before" / stage.job)
        began = time.monotonic()
        (result,) = run_stages(spark, settings, [stage], progress=False)
        assert result.state in ("done", "skipped"), result
        seconds += time.monotonic() - began
    return values, seconds


def _without_positions(logs: Path) -> None:
    """Take out of a log what moments are told from: those would choose other artworks, which nobody here ever saw."""
    for path in logs.glob("*.parquet"):
        log = pq.read_table(path)
        place = log.column_names.index("position_seconds")
        if log.column(place).null_count < log.num_rows:
            none = pa.nulls(log.num_rows, log.schema.field(place).type)
            pq.write_table(log.set_column(place, log.schema.field(place), none), path)


def rows_of(spark: Any, root: Path) -> dict[str, Counter[str]]:
    """All rows of all tables, each as text, without what depends on the run."""
    tables, found = Tables(spark, str(root)), {}
    for name in TABLES:
        if name not in OPERATIONS and tables.exists(name):
            left = [column for column in TABLES[name].schema.names if column not in BY_RUN.get(name, ())]
            found[name] = Counter(repr(_plain(row.asDict(True))) for row in tables.read(name).select(*left).collect())
    return found


def differences(found: Mapping[str, Counter[str]], wanted: Mapping[str, Counter[str]]) -> list[str]:
    """One line a table that differs: rows lost, rows too many, and one of them."""
    lines = []
    for name in sorted({*found, *wanted}):
        here, there = found.get(name, Counter()), wanted.get(name, Counter())
        lost, more = there - here, here - there
        if lost or more:
            lines.append(f"{name}: {lost.total()} rows lost {[*lost][:1]}, {more.total()} too many {[*more][:1]}")
    return lines


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, bytes | bytearray):
        return hash(bytes(value))
    return value


def commits(root: Path) -> set[Path]:
    """The commits of the tables that are there, but for those of runs."""
    return {path for path in root.glob("*/_delta_log/*.json") if path.parts[-3] not in OPERATIONS}


@dataclass(frozen=True)
class Ended:
    """How a driver ended, what it said, and seconds from its start."""

    status: int
    said: str
    seconds: float

    @property
    def killed(self) -> bool:
        return self.status == -signal.SIGKILL


def drive(command: Sequence[str], log: Path, dies: Callable[[float], bool] = lambda seconds: False) -> Ended:
    """Run the command; SIGKILL to it, its JVM and its workers as soon as ``dies`` of the seconds since its start."""
    began = time.monotonic()
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    with log.open("wb") as said:
        driver = subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, start_new_session=True, cwd=log.parent, env=environment
        )
        try:
            while driver.poll() is None:
                if dies(time.monotonic() - began):
                    break
                time.sleep(0.02)
        finally:
            if driver.poll() is None:
                os.killpg(driver.pid, signal.SIGKILL)
            driver.wait()
    return Ended(driver.returncode, log.read_text(errors="replace"), time.monotonic() - began)


def after_first_write(root: Path, chance: random.Random, *folders: Path, most: float = 1.5) -> Callable[[float], bool]:
    """Dies up to ``most`` seconds after it has committed to a table, or written a file under ``folders``."""

    def written() -> set[object]:
        files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
        return {*commits(root), *((path, path.stat().st_mtime_ns) for path in files if path.exists())}

    before, wait, due = written(), chance.uniform(0, most), [math.inf]

    def dies(seconds: float) -> bool:
        if due[0] == math.inf and written() - before:
            due[0] = seconds + wait
        return seconds >= due[0]

    return dies


def orphans(spark: Any, root: Path) -> list[str]:
    """Files of data under the tables that no version in reach of the log names: of the newest, and of none before."""
    tables, left = Tables(spark, str(root)), []
    for name in TABLES:
        if tables.exists(name):
            there = {path for path in (root / name).rglob("*") if path.is_file() and "_delta_log" not in path.parts}
            named = {Path(unquote(urlparse(one).path)) for one in spark.read.table(tables.name(name)).inputFiles()}
            sums = {path for path in there if path.suffix == ".crc" and path.with_name(path.name[1:-4]) in named}
            left += sorted(str(path.relative_to(root)) for path in there - named - sums)
    return left


def forget(root: Path) -> None:
    """Remove tables and the MLflow beside them."""
    shutil.rmtree(root.parent, ignore_errors=True)
