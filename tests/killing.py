"""A small world that the whole pipeline runs over, drivers that are killed in it, and tables that are compared."""

import csv
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

import cv2
import pyarrow as pa
import pyarrow.parquet as pq

from keyart.cli import run_job
from keyart.config import load
from keyart.demo import run as demo
from keyart.demo.backcatalogue import back_catalogue
from keyart.demo.logbook import FIRST_DAY
from keyart.demo.studio import tiny_film
from keyart.pipeline import STAGES, run_stages
from keyart.schemas import TABLES
from keyart.seeding import rng
from keyart.session import INTERPRETED
from keyart.tables import Tables

ROOT = Path(__file__).resolve().parents[1]
KEYART = Path(sys.executable).with_name("keyart")
CONFIG = ROOT / "conf" / "demo.yaml"
SEED = 7
UNKNOWN = 20
"""Rows of a log that name a film that nobody knows."""
BESIDE = {"report.folder": "report", "taste.checkpoints": "checkpoints", "publish.folder": "bundles"}
"""Folders that each run has beside its tables: none may go on from what another kept."""
AT_ONCE = ("--set=maintain.retain_hours=0", "--set=maintain.shorter=true")
"""What lets maintain remove files that nothing needs, however young they are."""
EXPERIMENT = (
    "--id=one", "--set=experiment.variants=[editors-and-uniform, another]", "--set=experiment.minimum_effect=0.5",
    f"--set=experiment.from_day={FIRST_DAY + timedelta(days=2)}", "--set=experiment.artworks=true",
)  # fmt: skip
JOBS_BESIDE = ("maintain", "experiment", "analyze-experiment", "erase-members", "simulate")
"""Jobs that write and are no stage of the pipeline; stream-feedback has tests of its own."""
FILES = {"train-response": "mlflow", "build-report": "report", "publish": "bundles", "simulate": "log"}
"""Jobs whose first write is no table's: the folder beside the tables. MLflow's is touched by whoever reads a model."""
ANSWERS = {"promote": (0, 1)}
"""Jobs of which a status of 1 is an answer."""
FIRST_COUNTED = {"erase-members": ("decisions",)}
"""Tables whose commit counts as the first write, where that of another says little."""
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
        """A run of the job with its tables in ``root``; MLflow, checkpoints and report lie beside them."""
        beside = {key: str(root.parent / name) for key, name in BESIDE.items()}
        options = [f"--set={key}={value}" for key, value in {**self.values, **beside}.items()]
        return [str(KEYART), job, "--config", str(CONFIG), "--tables", str(root), *options, *more]

    def more(self, job: str, home: Path) -> list[str]:
        """What such a job beside the pipeline is told besides, with tables in ``home``."""
        # Who is in the tables: the first of the log opts out.
        member = pq.read_table(self.home / "logs" / "events-000.parquet")["user_id"][-1].as_py()
        told: dict[str, Sequence[str]] = {
            "maintain": AT_ONCE,
            "experiment": ("register", *EXPERIMENT),
            "analyze-experiment": EXPERIMENT,
            "erase-members": ("--user", member, "--request", "r"),
            "simulate": ("--out", str(home / "log"), "--set=simulate.members=200", "--set=simulate.days=4"),
        }
        return [*told[job]]


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
        **{key: str(home / name) for key, name in BESIDE.items()},
        "taste.iterations": "2",
        "taste.rank": "4",
        "response.artwork_dimensions": "4",
        "assign.draws": "16",
        "evaluate.folds": "2",
        "evaluate.replicates": "20",
        "select.text": "strokes",  # neither reading nor telling faces apart is what is killed here
        "select.cast": "none",
        "session.shuffle_partitions": "2",  # as the session of the tests has it
        "session.driver_memory": "1g",
        # A driver that lives for seconds: compiling what runs a few times would be most of its work.
        "session.options": json.dumps(
            {"spark.driver.extraJavaOptions": "-XX:+UseSerialGC -Xss4m -XX:TieredStopAtLevel=1"} | INTERPRETED
        ),
        "events.events": str(home / "logs"),
        **{f"time.{name}": str(day) for name, day in times.items()},
    }
    values |= _films(home)
    small = {"demo.members": 600, "demo.days": days, "tables": home / "tables"}
    settings = load(CONFIG, [f"{name}={value}" for name, value in (values | small).items()])
    tables, seconds = Tables(spark, settings.tables), 0.0
    for stage in STAGES:
        if stage.job == "ingest-events":
            demo._audience(settings, tables, home)
            _edited(home / "logs")
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


def _films(home: Path) -> dict[str, str]:
    """Three films of seconds, one that cannot be read, titles without films, and an editor's upload: the settings that
    name them."""
    films, editors = home / "films", home / "editors"
    for folder in (films, editors):
        folder.mkdir(parents=True, exist_ok=True)
    genres = {"comedy": "", "drama": "sv:Film ett|ja:\u6620\u753b", "thriller": ""}
    with (films / "catalogue.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("title_id", "name", "uri", "genres", "names"))
        for seed, (genre, names) in enumerate(genres.items()):
            tiny_film(films / f"film-{seed}.mp4", seed, size=(320, 180))
            rows.writerow((f"film-{seed}", f"Film {seed}", films / f"film-{seed}.mp4", genre, names))
        (films / "broken.mp4").write_bytes(b"no film")
        rows.writerow(("broken", "Broken", films / "broken.mp4", "drama", ""))
        rows.writerows((one.title_id, one.name, "", "|".join(one.genres), "") for one in back_catalogue(SEED))
    cv2.imwrite(
        str(editors / "upload.png"),
        rng(SEED, "upload").integers(0, 255, (18, 32, 3), "uint8").repeat(10, 0).repeat(10, 1),
    )
    (editors / "overrides.csv").write_text("title_id,action,artwork\nfilm-0,upload,upload.png\n")
    return {
        "catalog.manifest": str(films / "catalogue.csv"),
        "catalog.overrides": str(editors / "overrides.csv"),
    }


def _edited(logs: Path) -> None:
    """What this audience does not do: one opts out, and some rows name a film that nobody knows.

    Positions go, which moments are told from: those would choose other artworks, which nobody here ever saw.
    """
    for path in sorted(logs.glob("*.parquet")):
        log = pq.read_table(path)
        if "opted_out" in log.column_names:
            continue
        users, titles = log["user_id"].to_pylist(), log["title_id"].to_pylist()
        first = users[0] if path.name == "events-000.parquet" else None
        values = {
            "position_seconds": pa.nulls(log.num_rows, pa.float64()),
            "title_id": pa.array(["unknown" if n < UNKNOWN else title for n, title in enumerate(titles)], pa.string()),
            "opted_out": pa.array([True if user == first else None for user in users], pa.bool_()),
        }
        for name, column in values.items():
            if name in log.column_names:
                log = log.set_column(log.column_names.index(name), name, column)
            else:
                log = log.append_column(name, column)
        pq.write_table(log, path)


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


def after_first_write(
    root: Path,
    chance: random.Random,
    *folders: Path,
    most: float = 1.5,
    of: Sequence[str] = ("*",),
    writes: int = 1,
    begun: Callable[[], bool] = lambda: True,
) -> Callable[[float], bool]:
    """Dies up to ``most`` seconds after it has committed to a table ``of`` these, or written a file under ``folders``.

    What is written before it has ``begun`` does not count, nor do all but the last of that many ``writes``.
    """

    def written() -> set[object]:
        files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
        made = {path for path in commits(root) if any(path.match(f"{name}/_delta_log/*") for name in of)}
        return {*made, *((path, path.stat().st_mtime_ns) for path in files if path.exists())}

    before: set[object] | None = None
    wait, due = chance.uniform(0, most), math.inf

    def dies(seconds: float) -> bool:
        nonlocal before, due
        if before is None and begun():
            before = written()
        if before is not None and due == math.inf and len(written() - before) >= writes:
            due = seconds + wait
        return seconds >= due

    return dies


def entered(log: Path, job: str) -> Callable[[], bool]:
    """Whether the pipeline that writes ``log`` has come to the stage: its progress bar names it."""
    return lambda: f", {job}]" in log.read_text(errors="replace")


def killed_then_again(world: World, root: Path, job: str, *more: str, most: float = 1.5) -> None:
    """Kill a driver of the job at the first thing that it writes, and let the session of the tests do it again."""
    command, home = world.command(job, root, *more), root.parent
    folders = [home / FILES[job]] if job in FILES else []
    of = FIRST_COUNTED.get(job, ("*",))
    ended = drive(command, home / "said.txt", after_first_write(root, random.Random(job), *folders, most=most, of=of))
    print(f"{job}: killed after {ended.seconds:.0f} s" if ended.killed else f"{job}: ended first", flush=True)
    assert ended.killed or ended.status in ANSWERS.get(job, (0,)), ended.said[-3000:]
    assert run_job(job, command[2:]) in ANSWERS.get(job, (0,))


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


def forget(spark: Any, home: Path) -> None:
    """Remove a folder of tables, MLflow and checkpoints; also from what Delta remembers of tables in that place."""
    shutil.rmtree(home, ignore_errors=True)
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
