"""Every job killed once, soon after the first thing that it wrote, and run again: tables as if it had not been."""

import random
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from killing import World, after_first_write, differences, drive, orphans, rows_of, world_of

from keyart.cli import run_job
from keyart.pipeline import STAGES
from keyart.serving.policy_bundle import PolicyBundle, pointed

pytestmark = [pytest.mark.soak, pytest.mark.spark]

AT_ONCE = ["--set=maintain.retain_hours=0", "--set=maintain.shorter=true"]
ANSWERS = {"promote": (0, 1)}
"""Jobs of which a status of 1 is an answer."""


@pytest.fixture(scope="module")
def world(spark, tmp_path_factory) -> World:
    return world_of(spark, tmp_path_factory.mktemp("world"))


def killed_then_again(world: World, root: Path, job: str, *more: str, written: tuple[Path, ...] = ()) -> None:
    command = world.command(job, root, *more)
    dies = after_first_write(root, random.Random(job), *written)
    ended = drive(command, root.parent / "said.txt", dies)
    print(f"{job}: killed after {ended.seconds:.0f} s" if ended.killed else f"{job}: ended first", flush=True)
    assert ended.killed or ended.status in ANSWERS.get(job, (0,)), ended.said[-3000:]
    assert run_job(job, command[2:]) in ANSWERS.get(job, (0,))


@pytest.mark.parametrize("job", [stage.job for stage in STAGES])
def test_a_stage_of_the_pipeline(spark, world, tmp_path, job):
    root = tmp_path / "tables"
    shutil.copytree(world.before(job), tmp_path, dirs_exist_ok=True)
    killed_then_again(world, root, job, written=(tmp_path / "mlflow", world.home / "report"))
    wanted = rows_of(spark, world.after(job) / "tables")
    assert not differences(rows_of(spark, root), wanted)
    assert run_job("maintain", ["--tables", str(root), *AT_ONCE]) == 0
    assert not orphans(spark, root)
    assert not differences(rows_of(spark, root), wanted)


BESIDE = {
    "maintain": lambda world, bundles: AT_ONCE,
    "publish": lambda world, bundles: ["--out", str(bundles)],
    "erase-members": lambda world, bundles: ["--user", member_of(world), "--request", "r"],
}


def member_of(world: World) -> str:
    return pq.read_table(next((world.home / "logs").glob("*.parquet")))["user_id"][0].as_py()


@pytest.mark.parametrize("job", BESIDE)
def test_a_job_beside_the_pipeline(spark, world, tmp_path, monkeypatch, job):
    """On a copy of the tables where it was killed, against one where it was not."""
    monkeypatch.setenv("KEYART_SUPPRESSION_KEY", "only for this test")
    found = []
    for name in ("calm", "killed"):
        home = tmp_path / name
        for folder in ("tables", "mlflow"):
            shutil.copytree(world.home / folder, home / folder)
        root, bundles = home / "tables", home / "bundles"
        more = BESIDE[job](world, bundles)
        if name == "calm":
            assert run_job(job, world.command(job, root, *more)[2:]) == 0
        else:
            killed_then_again(world, root, job, *more, written=(bundles,))
        if job == "publish":
            PolicyBundle.open(pointed(bundles), verify=True)
        found.append(rows_of(spark, root))
    assert not differences(found[1], found[0])
