"""Every job killed once, soon after the first thing that it wrote, and run again: tables as if it had not been."""

import shutil
from collections import Counter

import pyarrow.parquet as pq
import pytest
from killing import AT_ONCE, JOBS_BESIDE, World, differences, killed_then_again, orphans, rows_of, world_of

from keyart.cli import run_job
from keyart.pipeline import STAGES
from keyart.serving.policy_bundle import PolicyBundle, pointed

pytestmark = [pytest.mark.soak, pytest.mark.spark]

NEEDS = {"analyze-experiment": "experiment"}


@pytest.fixture(scope="module")
def world(spark, tmp_path_factory) -> World:
    return world_of(spark, tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("job", [stage.job for stage in STAGES])
def test_a_stage_of_the_pipeline(spark, world, tmp_path, job):
    root = tmp_path / "tables"
    shutil.copytree(world.before(job), tmp_path, dirs_exist_ok=True)
    killed_then_again(world, root, job)
    if job == "publish":
        PolicyBundle.open(pointed(tmp_path / "bundles"), verify=True)
    wanted = rows_of(spark, world.after(job) / "tables")
    assert not differences(rows_of(spark, root), wanted)
    assert run_job("maintain", ["--tables", str(root), *AT_ONCE]) == 0
    assert not orphans(spark, root)
    assert not differences(rows_of(spark, root), wanted)


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
            killed_then_again(world, root, job, *more)
        found.append(rows_of(spark, root))
        if job == "simulate":
            found[-1]["log"] = Counter(map(repr, pq.read_table(home / "log").to_pylist()))
    assert not differences(found[1], found[0])
