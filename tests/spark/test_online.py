"""stream-feedback's online half on simulated logs: it equals the batch result, lands once, and reads what it must."""

import importlib
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import functions as F

from keyart.config import load, with_values
from keyart.demo.simulate_spark import simulate
from keyart.feedback.stream_spark import stream
from keyart.policy.levels import ONLINE
from keyart.policy.online_spark import Batch, Online
from keyart.policy.spark import resolver, serving_policy
from keyart.policy.versions import ASSIGNED
from keyart.tables import Tables

pytestmark = pytest.mark.spark

DAYS = 12
WORLD = {"members": 400, "titles": 8, "artworks": 4, "days": DAYS, "deliveries": 4, "format": "json", "drift": 1.0}


def job(name, spark, settings):
    importlib.import_module(f"keyart.jobs.{name}").run(spark, settings)


def rows(tables, table, where="true"):
    return sorted((tuple(row) for row in tables.read(table).where(where).collect()), key=repr)


def newest(tables, policy_id):
    """Each member's newest titles, artworks and gains, without the empty ones."""
    own = tables.read("user_assignments").where(F.col("policy_id") == policy_id)
    last = own.groupBy("user_key").agg(F.max_by(F.struct("title_ids", "artwork_ids", "gains"), "version").alias("own"))
    return {r["user_key"]: r["own"] for r in last.collect() if r["own"]["title_ids"]}


@pytest.fixture(scope="module")
def assigned(spark, tmp_path_factory):
    """Two of four deliveries ingested, models trained and a policy assigned; the other two still to come."""
    root = tmp_path_factory.mktemp("online")
    values = {f"simulate.{name}": value for name, value in WORLD.items()}
    values |= {"tables": str(root / "tables"), "simulate.out": str(root / "log"), "assign.minimum_gain": 0.0}
    values |= {"response.l2": (1.0,)}
    settings = with_values(load(None), values)
    simulate(spark, Tables(spark, settings.tables), settings)
    shutil.copytree(root / "log" / "delivery=0", root / "first")
    shutil.copytree(root / "log" / "delivery=1", root / "first", dirs_exist_ok=True)
    job("ingest_events", spark, with_values(settings, {"events.events": str(root / "first")}))
    for name in ("train_taste", "train_response", "assign_artwork"):
        job(name, spark, settings)
    return root, settings


def test_it_runs(assigned, spark):
    root, settings = assigned
    for part in (2, 3):
        (root / "in").mkdir(exist_ok=True)
        for number, path in enumerate(sorted((root / "log" / f"delivery={part}").glob("*.txt"))):
            shutil.copy(path, root / "in" / f"{part}-{number}.jsonl")
        stream(spark, with_values(settings, {"events.events": str(root / "in")}))
    tables = Tables(spark, settings.tables)
    print(tables.read("taste").groupBy("as_of").count().collect())
    print(tables.read("user_assignments").groupBy("version").count().collect())
    print(tables.read("region_assignments").groupBy("context").count().collect())
    print([(c.version, c.operation) for c in tables.history("user_assignments")])
