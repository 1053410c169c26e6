"""kill -9 of a driver in every job, over a small world: the tables are those of a run that nobody disturbed."""

import random
import shutil

import pytest
from killing import (
    AT_ONCE,
    FILES,
    World,
    after_first_write,
    differences,
    drive,
    entered,
    killed_then_again,
    orphans,
    rows_of,
    world_of,
)

from keyart.cli import run_job
from keyart.pipeline import STAGES
from keyart.serving.policy_bundle import PolicyBundle, pointed

pytestmark = pytest.mark.spark

ELSEWHERE = ("scan-videos", "ingest-events")
"""Stages that are killed in test_scan and test_ingest_events."""
BESIDE = ("maintain", "experiment", "analyze-experiment", "erase-members")
"""stream-feedback is killed in test_feedback_streams; tests/soak has simulate as well, and stages one by one."""


@pytest.fixture(scope="module")
def world(spark, tmp_path_factory) -> World:
    return world_of(spark, tmp_path_factory.mktemp("world"))


def test_a_pipeline_that_was_killed_in_its_stages_comes_through(spark, world, tmp_path):
    """Each driver goes on where the one before was killed, and dies of the first thing that a later stage writes."""
    root, said = tmp_path / "tables", tmp_path / "said.txt"
    command, chance = world.command("run-pipeline", root), random.Random(1)
    for job in [stage.job for stage in STAGES if stage.job not in ELSEWHERE]:
        folders = [tmp_path / FILES[job]] if job in FILES else []
        ended = drive(command, said, after_first_write(root, chance, *folders, most=0.3, begun=entered(said, job)))
        assert ended.killed, f"{job}: {ended.said[-3000:]}"
        print(f"killed in {job} after {ended.seconds:.0f} s", flush=True)
    assert run_job("run-pipeline", command[2:]) == 0
    wanted = rows_of(spark, world.clean)
    assert not differences(rows_of(spark, root), wanted)
    PolicyBundle.open(pointed(tmp_path / "bundles"), verify=True)
    assert run_job("maintain", ["--tables", str(root), *AT_ONCE]) == 0
    assert not orphans(spark, root)
    assert not differences(rows_of(spark, root), wanted)


def test_jobs_beside_it_that_were_killed_are_made_good(spark, world, tmp_path, monkeypatch):
    """One after the other on one copy of the tables, each killed at its first write; on another nobody is killed."""
    monkeypatch.setenv("KEYART_SUPPRESSION_KEY", "only for this test")
    found = []
    for name in ("calm", "killed"):
        home = tmp_path / name
        for folder in ("tables", "mlflow"):
            shutil.copytree(world.home / folder, home / folder)
        for job in BESIDE:
            more = world.more(job, home)
            if name == "killed":
                killed_then_again(world, home / "tables", job, *more, most=0.3)
            else:
                assert run_job(job, world.command(job, home / "tables", *more)[2:]) == 0
        found.append(rows_of(spark, home / "tables"))
    assert not differences(*reversed(found))
