"""Logs delivered one to five times each, in any order, by drivers that are killed: the tables are those of a clean run.

A driver is a process that takes deliveries one after the other and says when each is done. KEYART_SOAK_ROUNDS chooses
which rounds run, as in 0-19, so that a long soak can be had in pieces.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from keyart.config import load, with_values
from keyart.seeding import rng
from keyart.tables import Tables

pytestmark = [pytest.mark.soak, pytest.mark.spark]

ROOT = Path(__file__).resolve().parents[2]
COMPARED = ("events", "impressions", "decisions", "artwork_stats", "quarantine")
DELIVERIES = 3
NOW = "2026-01-15T00:00:00"
FIRST, LAST = (int(end) for end in os.environ.get("KEYART_SOAK_ROUNDS", "0-19").split("-"))
DRIVER = """
import sys
from keyart.config import load, with_values
from keyart.feedback.ingest_spark import ingest
from keyart.session import open_session
from keyart.tables import Tables
config, root, now, *logs = sys.argv[1:]
settings = with_values(load(config), {"tables": root, "events.now": now})
spark = open_session(settings.session)
print("open", flush=True)
for log in logs:
    ingest(spark, Tables(spark, root), with_values(settings, {"events.events": log}))
    print("done", flush=True)
"""


def settings_for(root: Path, **more):
    return with_values(load(ROOT / "conf" / "local.yaml"), {"tables": str(root), "events.now": NOW} | more)


def rows_of(spark, root: Path) -> dict[str, list]:
    tables = Tables(spark, str(root))
    return {name: sorted(map(repr, tables.read(name).collect())) for name in COMPARED}


@pytest.fixture(scope="module")
def delivered(spark, tmp_path_factory) -> tuple[Path, list[str]]:
    """Tables after each delivery came once, in order, and the deliveries."""
    from keyart.demo.simulate_spark import simulate
    from keyart.feedback.ingest_spark import ingest

    root = tmp_path_factory.mktemp("clean")
    size = {"members": 120, "titles": 16, "artworks": 4, "days": 6, "deliveries": DELIVERIES, "bots": 0.02}
    faults = {"late": 0.1, "disordered": 0.1, "duplicates": 0.05, "future": 0.01, "malformed": 0.02, "unknown": 0.02}
    values = {f"simulate.{name}": value for name, value in (size | faults).items()}
    settings = settings_for(root / "tables", **values, **{"simulate.out": str(root / "log")})
    simulate(spark, Tables(spark, settings.tables), settings)
    logs = [str(root / "log" / f"delivery={number}") for number in range(DELIVERIES)]
    shutil.copytree(root / "tables", root / "blank")
    for log in logs:
        ingest(spark, Tables(spark, settings.tables), with_values(settings, {"events.events": log}))
    return root, logs


@pytest.mark.parametrize("number", range(FIRST, LAST + 1))
def test_whatever_was_delivered_and_whoever_was_killed(spark, delivered, tmp_path, number):
    clean, logs = delivered
    random = rng(11, "redelivery", number)
    tables = tmp_path / "tables"
    shutil.copytree(clean / "blank", tables)
    due = [log for log in logs for _ in range(int(random.integers(1, 6)))]
    due = [due[place] for place in random.permutation(len(due))]
    asked, kills = len(due), 0
    while due:
        # The first drivers die at any moment from their first log on; the last one is left to finish.
        alive = float(random.uniform(1.0, 40.0)) if kills < 2 else None
        done, killed = drive(tables, due, alive)
        kills += killed
        due = due[done:]
    print(f"round {number}: {asked} deliveries, {kills} drivers killed")
    found, wanted = rows_of(spark, tables), rows_of(spark, clean / "tables")
    for name in COMPARED:
        assert found[name] == wanted[name], name
    assert len(wanted["events"]) > 1_000 and len(wanted["quarantine"]) > 20


def drive(tables: Path, logs: list[str], alive: float | None) -> tuple[int, bool]:
    """Let a driver work ``alive`` seconds from when its session is open; how many logs it finished, was it killed."""
    command = [sys.executable, "-c", DRIVER, str(ROOT / "conf" / "local.yaml"), str(tables), NOW, *logs]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert driver.stdout is not None
    done, clock = 0, None
    for line in driver.stdout:
        if line == "open\n" and alive is not None:
            clock = threading.Timer(alive, lambda: os.killpg(driver.pid, signal.SIGKILL))
            clock.start()
        done += line == "done\n"
    status = driver.wait()
    if clock is not None:
        clock.cancel()
    assert status in (0, -signal.SIGKILL), "the driver failed"
    return done, status != 0
