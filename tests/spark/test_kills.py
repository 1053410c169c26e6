"""run-pipeline, killed in one stage after the other by kill -9: the tables are those of a run that nobody disturbed."""

import random

import pytest
from killing import AT_ONCE, after_first_write, differences, drive, entered, orphans, rows_of, world_of

from keyart.cli import run_job
from keyart.pipeline import STAGES

pytestmark = pytest.mark.spark

ELSEWHERE = ("scan-videos", "ingest-events", "measure-sessions")
"""Stages that are killed in test_scan, test_ingest_events and test_faults."""


def test_a_pipeline_that_was_killed_in_its_stages_comes_through(spark, tmp_path):
    """Each driver goes on where the one before was killed, and dies of the first thing that a later stage writes."""
    world = world_of(spark, tmp_path / "world")
    home = tmp_path / "killed"
    root, said = home / "tables", home / "said.txt"
    home.mkdir()
    command, chance = world.command("run-pipeline", root), random.Random(1)
    for job in [stage.job for stage in STAGES if stage.job not in ELSEWHERE]:
        folders = (home / "mlflow", home / "report")
        dies = after_first_write(root, chance, *folders, most=0.3, begun=entered(said, job))
        ended = drive(command, said, dies)
        assert ended.killed, f"{job}: {ended.said[-3000:]}"
        print(f"killed in {job} after {ended.seconds:.0f} s", flush=True)
    assert run_job("run-pipeline", command[2:]) == 0
    wanted = rows_of(spark, world.clean)
    assert not differences(rows_of(spark, root), wanted)
    assert run_job("maintain", ["--tables", str(root), *AT_ONCE]) == 0
    assert not orphans(spark, root)
    assert not differences(rows_of(spark, root), wanted)
