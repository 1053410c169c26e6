"""Every job killed once, soon after the first thing that it wrote, and run again: tables as if it had not been."""

import random
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from killing import World, after_first_write, differences, drive, make_world, orphans, rows_of

from keyart.cli import run_job
from keyart.pipeline import STAGES
from keyart.serving.policy_bundle import PolicyBundle, pointed

pytestmark = [pytest.mark.soak, pytest.mark.spark]

AT_ONCE = ["--set=maintain.retain_hours=0", "--set=maintain.shorter=true"]
ANSWERS = {"promote": (0, 1)}
"""Jobs of which a status of 1 is an answer."""


@pytest.fixture(scope="module")
def world(spark, tmp_path_factory):
    return make_world(spark, tmp_path_factory.mktemp("world"))


def killed_then_again(world: World, root: Path, job: str, *more: str, written: tuple[Path, ...] = ()) -> None:
    command = world.command(job, root, *more)
    dies = after_first_write(root, random.Random(job), *written)
    ended = drive(command, root.parent / "said.txt", dies)
    print(f"{job}: killed after {ended.seconds:.0f} s" if ended.killed else f"{job}: ended first", flush=True)
    assert ended.killed or ended.status in ANSWERS.get(job, (0,)), ended.said[-3000:]
    assert run_job(job, command[2:]) in ANSWERS.get(job, (0,))


def test_every_stage_of_the_pipeline(spark, world, tmp_path):
    root = tmp_path / "killed" / "tables"
    root.parent.mkdir()
    for stage in STAGES:
        killed_then_again(world, root, stage.job, written=(root.parent / "mlflow", world.home / "report"))
    wanted = rows_of(spark, world.clean)
    assert not differences(rows_of(spark, root), wanted)
    killed_then_again(world, root, "maintain", *AT_ONCE)
    assert not orphans(spark, root)
    assert not differences(rows_of(spark, root), wanted)


def test_jobs_beside_the_pipeline(spark, world, tmp_path):
    """A copy of the tables on which each was killed against one on which none was."""
    member = pq.read_table(next((world.home / "logs").glob("*.parquet")))["user_id"][0].as_py()
    copies = []
    for name in ("calm", "killed"):
        home = tmp_path / name
        shutil.copytree(world.clean, home / "tables")
        shutil.copytree(world.clean.parent / "mlflow", home / "mlflow")
        bundles, root = home / "bundles", home / "tables"
        jobs = [
            ("publish", ["--out", str(bundles)], (bundles,)),
            ("erase-members", ["--user", member, "--request", "r"], ()),
        ]
        for job, more, written in jobs:
            if name == "calm":
                assert run_job(job, world.command(job, root, *more)[2:]) == 0
            else:
                killed_then_again(world, root, job, *more, written=written)
        PolicyBundle.open(pointed(bundles), verify=True)
        copies.append(root)
    assert not differences(*(rows_of(spark, root) for root in copies))
