"""run-pipeline, killed at random points until it has come through: no row is lost or doubled, and no file is left over.

A round is a chain of drivers over one root of tables, each killed at a random moment, and a run that is left to finish.
KEYART_KILLS says how many are killed in all (50), KEYART_KILL_SEED which moments.
"""

import os
import random
import time

import pytest
from killing import AT_ONCE, differences, drive, forget, orphans, rows_of, world_of

from keyart.cli import run_job

pytestmark = [pytest.mark.soak, pytest.mark.spark]

KILLS = int(os.environ.get("KEYART_KILLS", "50"))
SEED = int(os.environ.get("KEYART_KILL_SEED", "1"))
STARTS = 5.0
"""Seconds that a driver lives at least: sooner it has not begun."""
PART = 4
"""A driver lives up to that part of a clean run: so a round's kills spread over all of it."""
CHAIN = 15
"""Drivers killed in a round at most: one that dies ever again in the same stage is let go on."""


def test_kills_at_random_points(spark, tmp_path):
    world = world_of(spark, tmp_path / "world")
    wanted = rows_of(spark, world.clean)
    chance = random.Random(SEED)
    kills, rounds, began = 0, 0, time.monotonic()
    while kills < KILLS:
        rounds, chain = rounds + 1, 0
        # A place of its own: SQLite does not write where a database that it has open was replaced.
        root = tmp_path / f"round-{rounds}" / "tables"
        root.parent.mkdir()
        command = world.command("run-pipeline", root)
        while kills < KILLS and chain < CHAIN:
            alive = STARTS + chance.random() * world.seconds / PART
            ended = drive(command, root.parent / "said.txt", lambda seconds, end=alive: seconds > end)
            if not ended.killed:
                assert ended.status == 0, ended.said[-3000:]
                break
            kills, chain = kills + 1, chain + 1
            print(f"round {rounds}: killed after {ended.seconds:.0f} s ({kills} in all)", flush=True)
        assert run_job("run-pipeline", command[2:]) == 0
        assert not differences(rows_of(spark, root), wanted)
        print(f"round {rounds}: {chain} kills, equal", flush=True)
        assert run_job("maintain", ["--tables", str(root), *AT_ONCE]) == 0
        assert not orphans(spark, root)
        assert not differences(rows_of(spark, root), wanted)
        forget(spark, root.parent)
    print(f"{kills} kills in {rounds} rounds, {time.monotonic() - began:.0f} s; a clean run took {world.seconds:.0f} s")
