"""stream-feedback killed between its tables, batch by batch: every table is as if nobody had been, overrides once."""

import json
import random
import shutil
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from killing import AT_ONCE, CONFIG, after_first_write, commits, differences, drive, forget, orphans, rows_of, world_of
from planted import plant_likes

from keyart.cli import run_job
from keyart.config import load
from keyart.demo.logbook import FIRST_DAY
from keyart.policy.versions import ASSIGNED
from keyart.tables import Tables

pytestmark = [pytest.mark.soak, pytest.mark.spark]

DAYS, SILENCE = 2, 6
"""Days that come by the stream, each so many days after the one before: longer than outcomes take to be final, so that
a batch also settles what stood open."""
AFTER = (1, 2, 4, 5, 6, 7, 9, 11)
"""Commits after which a driver dies."""


def arrive(logs: Path, folder: Path) -> None:
    """Write what the members of two of the log's days do again later, a file a day."""
    rows = pq.read_table(logs / "events-000.parquet").to_pylist()
    folder.mkdir()
    for day in range(DAYS):
        mine = [row for row in rows if row["ts"].date() == FIRST_DAY + timedelta(days=6 + day)]
        with (folder / f"day-{day}.jsonl").open("w", encoding="utf-8") as file:
            away = timedelta(days=SILENCE * (day + 1))
            for row in mine:
                later = {name: f"later-{row[name]}" for name in ("event_id", "session_id")}
                file.write(json.dumps({**row, **later, "ts": (row["ts"] + away).isoformat()}) + "\n")


def test_a_stream_that_is_killed_ever_again(spark, tmp_path):
    world = world_of(spark, tmp_path / "world")
    base, home, arrived = tmp_path / "base", tmp_path / "run", tmp_path / "in"
    shutil.copytree(world.before("assign-artwork"), base)
    assign = world.command("assign-artwork", base / "tables", "--set=assign.minimum_gain=0.0")
    options = [one.removeprefix("--set=") for one in assign if one.startswith("--set=")]
    plant_likes(load(CONFIG, [*options, f"tables={base / 'tables'}"]))
    assert run_job("assign-artwork", assign[2:]) == 0
    arrive(world.home / "logs", arrived)
    root = home / "tables"
    more = ["--events", str(arrived), "--once", "--set=stream.files_per_batch=1", "--set=assign.minimum_gain=0.0"]
    command = world.command("stream-feedback", root, *more)

    # In one place one after the other: a batch is called after its checkpoint.
    shutil.copytree(base, home)
    before = len(commits(root))
    assert run_job("stream-feedback", command[2:]) == 0
    wanted, made = rows_of(spark, root), len(commits(root)) - before
    fresh = Tables(spark, str(root)).read("user_assignments").where(f"NOT {ASSIGNED}").groupBy("version").count()
    assert fresh.count() == DAYS, "each batch writes its members' artwork"
    forget(spark, home)

    shutil.copytree(base, home)
    kills, chance = 0, random.Random(str(FIRST_DAY))
    for number in AFTER:
        dies = after_first_write(root, chance, most=0.4, writes=number)
        ended = drive(command, tmp_path / "said.txt", dies)
        assert ended.killed or ended.status == 0, ended.said[-3000:]
        if not ended.killed:
            break
        kills += 1
        print(f"killed after {number} commits, {ended.seconds:.0f} s", flush=True)
    print(f"{kills} kills; the batches of a calm run make {made} commits", flush=True)
    assert kills > 5
    assert run_job("stream-feedback", command[2:]) == 0
    assert not differences(rows_of(spark, root), wanted)
    assert run_job("maintain", ["--tables", str(root), *AT_ONCE]) == 0
    assert not orphans(spark, root)
    assert not differences(rows_of(spark, root), wanted)
