"""Every job killed once, soon after the first thing that it wrote, and run again: tables as if it had not been."""

import random
import shutil
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from killing import (
    AT_ONCE,
    FIRST_COUNTED,
    JOBS_BESIDE,
    World,
    after_first_write,
    differences,
    drive,
    orphans,
    rows_of,
    world_of,
)

from keyart.cli import run_job
from keyart.pipeline import STAGES
from keyart.serving.policy_bundle import PolicyBundle, pointed

pytestmark = [pytest.mark.soak, pytest.mark.spark]

ANSWERS = {"promote": (0, 1)}
"""Jobs of which a status of 1 is an answer."""


@pytest.fixture(scope="module")
def world(spark, tmp_path_factory) -> World:
    return world_of(spark, tmp_path_factory.mktemp("world"))


def killed_then_again(world: World, root: Path, job: str, *more: str, of=("*",), written: tuple[Path, ...] = ()):
    command = world.command(job, root, *more)
    ended = drive(command, root.parent / "said.txt", after_first_write(root, random.Random(job), *written, of=of))
    print(f"{job}: killed after {ended.seconds:.0f} s" if ended.killed else f"{job}: ended first", flush=True)
    assert ended.killed or ended.status in ANSWERS.get(job, (0,)), ended.said[-3000:]
    assert run_job(job, command[2:]) in ANSWERS.get(job, (0,))


@pytest.mark.parametrize("job", [stage.job for stage in STAGES])
def test_a_stage_of_the_pipeline(spark, world, tmp_path, job):
    root = tmp_path / "tables"
    shutil.copytree(world.before(job), tmp_path, dirs_exist_ok=True)
    killed_then_again(world, root, job, written=(tmp_path / "mlflow", tmp_path / "report"))
    wanted = rows_of(spark, world.after(job) / "tables")
    assert not differences(rows_of(spark, root), wanted)
    assert run_job("maintain", ["--tables", str(root), *AT_ONCE]) == 0
    assert not orphans(spark, root)
    assert not differences(rows_of(spark, root), wanted)


NEEDS = {"analyze-experiment": "experiment"}


@pytest.mark.parametrize("job", JOBS_BESIDE)
def test_a_job_beside_the_pipeline(spark, world, tmp_path, monkeypatch, job):
    """On a copy of the tables where it was killed, against one where it was not."""
    monkeypatch.setenv("KEYART_SUPPRESSION_KEY", "only for this test")
    found = []
    for name in ("calm", "killed"):
        home = tmp_path / name
        home.mkdir()
        if job != "simulate":  # which makes its own catalogue
            for folder in ("tables", "mlflow"):
                shutil.copytree(world.home / folder, home / folder)
        root, more = home / "tables", world.more(job, home)
        if before := NEEDS.get(job):
            assert run_job(before, world.command(before, root, *world.more(before, home))[2:]) == 0
        if name == "calm":
            assert run_job(job, world.command(job, root, *more)[2:]) == 0
        else:
            written = (home / "bundles", home / "log")
            killed_then_again(world, root, job, *more, of=FIRST_COUNTED.get(job, ("*",)), written=written)
        if job == "publish":
            PolicyBundle.open(pointed(home / "bundles"), verify=True)
        found.append(rows_of(spark, root))
        if job == "simulate":
            found[-1]["log"] = Counter(map(repr, pq.read_table(home / "log").to_pylist()))
    assert not differences(found[1], found[0])
