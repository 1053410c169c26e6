"""The jobs on a cluster write what they write on one machine, also where executors and a worker are killed.

Run by `make cluster-test`: the pipeline of the demo at its smallest, once here and twice on a standalone cluster.
"""

import re
from datetime import date
from pathlib import Path

import pytest
import yaml

from keyart.config import load, with_values
from keyart.demo.audience import simulate_audience
from keyart.demo.run import catalogue, dated, shelves
from keyart.operations.sameness import differences
from keyart.pipeline import STAGES, run_stages
from keyart.schemas import TABLES
from keyart.tables import Tables

pytestmark = [pytest.mark.spark, pytest.mark.cluster]
ROOT = Path(__file__).resolve().parents[2]

# As small as the demo goes, with all that would else be taken from the clock or from a run.
SMALL = {
    "demo": {"titles": 2, "members": 500, "days": 9},
    "taste": {"iterations": 3},
    "assign": {"policy_id": "learned", "day": date(2026, 1, 14)},
    "events": {"now": "2026-02-01T00:00:00Z"},
    "session": {
        "shuffle_partitions": 2,
        "options": {
            "spark.sql.shuffle.partitions": "2",
            "spark.databricks.delta.snapshotPartitions": "2",
            "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
            "spark.sql.session.timeZone": "UTC",
        },
    },
}
OF_THE_RUN = {
    "policies": {"created_at", "models", "data_versions"},
    "promotions": {"at"},
}
"""Columns that tell when a run was, which MLflow run it made, and how many commits its tables took."""
LEFT_OUT = {"stage_runs"}
"""Times and run ids, all of it."""


@pytest.fixture(scope="module")
def world(spark, tmp_path_factory):
    """Films, logs, and the settings and tables of the pipeline run over them on this machine."""
    home = tmp_path_factory.mktemp("world")
    config = home / "small.yaml"
    config.write_text(yaml.safe_dump({"extends": str(ROOT / "conf" / "base.yaml")} | SMALL))
    settings = dated(with_values(load(config), {"tables": str(home / "tables"), "session.master": "local[2]"}))
    settings = catalogue(settings, None, home)
    films = [stage for stage in STAGES if stage.job in ("ingest-catalog", "scan-videos", "select-artwork")]
    tables = Tables(spark, settings.tables)
    assert {result.state for result in run_stages(spark, settings, films)} == {"done"}
    simulate_audience(*shelves(tables), settings.demo, settings.regions).write_logs(home / "logs")
    settings = with_values(settings, {"events.events": str(home / "logs")})
    states = {result.job: result.state for result in run_stages(spark, settings, STAGES)}
    assert set(states.values()) == {"done", "skipped"}, states
    return settings, tables


@pytest.fixture
def submitted(world, cluster, tmp_path):
    """The whole pipeline under way on the cluster over the same films and logs, and the root of its tables."""
    settings, _ = world
    chosen = {
        "tables": tmp_path / "tables",
        "catalog.manifest": settings.catalog.manifest,
        "events.events": settings.events.events,
        **{f"time.{name}": getattr(settings.time, name) for name in ("t0", "t1", "end")},
    }
    config = Path(settings.tables).parent / "small.yaml"
    arguments = ["--config", str(config), *(f"--set={name}={value}" for name, value in chosen.items())]
    return cluster.submit("jobs/run_pipeline.py", *arguments), str(tmp_path / "tables")


def unlike(expected: Tables, found: Tables) -> dict[str, list[str]]:
    """What differs, by table. The rows fit this process: the demo at its smallest.

    Floats too are the same to the last bit: sums go by the order of partitions, which are as many here as there, not by
    which came first or where it was made.
    """
    told = {}
    for name, spec in TABLES.items():
        if name in LEFT_OUT:
            continue
        assert expected.exists(name) == found.exists(name), name
        if expected.exists(name):
            rows = [[row.asDict(recursive=True) for row in side.read(name).collect()] for side in (expected, found)]
            if lines := differences(*rows, spec.key, ignored=OF_THE_RUN.get(name, ())):
                told[name] = lines
    return told


def test_a_cluster_writes_what_one_machine_writes(world, submitted, spark):
    job, root = submitted
    said = job.ended()
    assert "Lost executor" not in said
    _, here = world
    assert not unlike(here, Tables(spark, root))


def test_killed_executors_and_a_killed_worker_change_nothing(world, submitted, cluster, spark):
    """Each is killed while it has a task of the stage under way."""
    job, root = submitted
    cluster.kill_executor(job, at="scan-videos")
    cluster.kill_worker(job, at="ingest-events")
    cluster.kill_executor(job, at="train-taste")
    said = job.ended()
    assert len(set(re.findall(r"Lost executor (\d+)", said))) == 3, said[-6000:]
    _, here = world
    assert not unlike(here, Tables(spark, root))
