"""stream-feedback's online half on simulated logs: it equals the batch result, lands once, touches what it must."""

import importlib
import json
import logging
import shutil
from datetime import timedelta

import numpy as np
import pytest
from planted import plant_likes
from pyspark.sql import functions as F

from keyart.config import load, with_values
from keyart.demo.simulate_spark import simulate
from keyart.errors import InputError
from keyart.feedback.privacy import secret, user_keys
from keyart.feedback.stream_spark import stream
from keyart.learning.members import standardised
from keyart.policy.contexts import ONLINE
from keyart.policy.online_spark import Online, in_buckets
from keyart.policy.spark import newest_policy, resolver, serving_policy
from keyart.policy.versions import ASSIGNED
from keyart.seeding import BUCKETS
from keyart.tables import Tables
from keyart.tracking import Tracking

pytestmark = pytest.mark.spark

WORLD = {"members": 1500, "titles": 8, "artworks": 4, "days": 12, "deliveries": 4, "format": "json", "drift": 1.0}
INGESTED = ("events", "impressions", "decisions", "artwork_stats")
FEW = 3


class Killed(Exception):
    """What a run dies of."""


def job(name, spark, settings, **more):
    importlib.import_module(f"keyart.jobs.{name}").run(spark, with_values(settings, more))


def rows(tables, table, where="true"):
    """Sorted; sums to nine digits, for Spark adds in any order."""
    found = tables.read(table).where(where).collect()
    return sorted((tuple(float(f"{v:.9g}") if isinstance(v, float) else v for v in row) for row in found), key=repr)


def newest(tables):
    """Each member's newest titles, artworks, gains and segment."""
    own = F.max_by(F.struct("title_ids", "artwork_ids", "gains", "segment"), "version").alias("own")
    found = tables.read("user_assignments").groupBy("user_key").agg(own).collect()
    return {row["user_key"]: tuple(row["own"]) for row in found}


def moved(tables):
    where = f"context = '{ONLINE}'"
    names = ("level", "cell", "title_id", "artwork_id")
    return {tuple(row[n] for n in names): row for row in tables.read("region_assignments").where(where).collect()}


@pytest.fixture(scope="module")
def assigned(spark, tmp_path_factory):
    """Two of four deliveries ingested, models trained and a policy assigned; what the others say lies in files:
    all of the third, and of the fourth what a few members did."""
    root = tmp_path_factory.mktemp("online")
    values = {f"simulate.{name}": value for name, value in WORLD.items()}
    values |= {"tables": str(root / "tables"), "simulate.out": str(root / "log"), "assign.minimum_gain": 0.0}
    settings = with_values(load(None), values)
    simulate(spark, Tables(spark, settings.tables), settings)
    lines = {
        part: [line for path in (root / "log" / f"delivery={part}").glob("*.txt") for line in path.open()]
        for part in range(4)
    }
    (root / "first").mkdir()
    (root / "first" / "log.jsonl").write_text("".join(lines[0] + lines[1]))
    said = [json.loads(line) for part in lines.values() for line in part]
    kids = {row["user_id"] for row in said if row.get("kids")}
    few = sorted({json.loads(line)["user_id"] for line in lines[3]} - kids)[:FEW]
    later = {"third": lines[2], "fourth": [line for line in lines[3] if json.loads(line)["user_id"] in few]}
    job("ingest_events", spark, settings, **{"events.events": str(root / "first")})
    job("train_taste", spark, settings)
    job("train_response", spark, settings)
    plant_likes(settings)
    job("assign_artwork", spark, settings)
    shutil.copytree(root / "tables", root / "batch" / "tables")
    (root / "batch" / "mlflow").symlink_to(root / "mlflow")
    (root / "in").mkdir()
    return root, with_values(settings, {"events.events": str(root / "in")}), later, few


@pytest.fixture(scope="module")
def streamed(assigned, spark):
    """Two batches; the first run dies after taste was written, before its members' overrides were."""
    root, settings, later, few = assigned
    tables = Tables(spark, settings.tables)
    before = newest(tables)
    (root / "in" / "third.jsonl").write_text("".join(later["third"]))

    def die(*_):
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Online, "_append", die)
        with pytest.raises(InputError):
            stream(spark, settings)
    halfway = tables.read("user_assignments").where(f"NOT {ASSIGNED}").count(), rows(tables, "taste")
    stream(spark, settings)
    third = newest(tables), rows(tables, "taste")
    (root / "in" / "fourth.jsonl").write_text("".join(later["fourth"]))
    stream(spark, settings)
    return tables, settings, user_keys(secret(settings.privacy), few), before, halfway, third


def updated(online, members, number):
    with online.folded(members) as folded:
        return online.update(folded, number) if folded else None


@pytest.fixture(scope="module")
def batched(assigned, spark):
    """The same deliveries by ingest-events at once, then every member folded in and one update of all of them."""
    root, settings, later, _ = assigned
    (root / "batch" / "log").mkdir()
    for name, lines in later.items():
        (root / "batch" / "log" / f"{name}.jsonl").write_text("".join(lines))
    settings = with_values(settings, {"tables": str(root / "batch" / "tables")})
    job("ingest_events", spark, settings, **{"events.events": str(root / "batch" / "log")})
    tables = Tables(spark, settings.tables)
    as_of = tables.read("events").agg(F.max("event_date")).first()[0] + timedelta(days=1)
    members = tables.read("events").select("user_key", "user_bucket").distinct()
    assert updated(Online(tables, settings, "whole"), members, 0).as_of == as_of
    after = {"taste.fold_in_only": True, "time.t1": as_of, "time.end": as_of + timedelta(days=1)}
    job("train_taste", spark, settings, **after)
    return tables, as_of


def test_ingest_batch_by_batch_leaves_the_tables_of_ingest_as_a_whole(streamed, batched):
    for table in INGESTED:
        assert rows(streamed[0], table) == rows(batched[0], table), table
    assert streamed[0].read("decisions").where("take IS NOT NULL").count() > 1000


def test_taste_is_what_a_batch_fold_in_finds(streamed, batched):
    """Within 1e-5: the same factors against the same titles, sums in another order."""
    tables, as_of = batched
    whole = {row["user_key"]: row for row in tables.read("taste").where(F.col("as_of") == F.lit(as_of)).collect()}
    days = sorted(row[0] for row in streamed[0].read("taste").select("as_of").distinct().collect())
    assert days[-1] == as_of
    found = streamed[0].read("taste").where(F.col("as_of").isin(days[-2:])).collect()
    last = {row["user_key"]: row for row in sorted(found, key=lambda row: row["as_of"])}
    assert len(last) > 300 and {row["user_key"] for row in found if row["as_of"] == as_of} == set(streamed[2])
    for key, row in last.items():
        for name in ("factors", "genre_mix"):
            np.testing.assert_allclose(row[name], whole[key][name], atol=1e-5)
        names = ("user_bucket", "taste_version", "history", "region", "kids")
        assert [row[n] for n in names] == [whole[key][n] for n in names]


def test_levels_and_assignments_are_those_of_one_update_of_all(streamed, batched):
    one, two = moved(streamed[0]), moved(batched[0])
    assert one.keys() == two.keys() and len({key[2] for key in one}) == WORLD["titles"]
    for key, row in one.items():
        for name in ("mean", "sd", "probability"):
            assert row[name] == pytest.approx(two[key][name], abs=1e-9)
        assert [row[n] for n in ("n", "takes", "is_default")] == [two[key][n] for n in ("n", "takes", "is_default")]
    # A segment has rows where its default differs from its region's, which moved too.
    trained = streamed[0].read("region_assignments").where("context = '*' AND level != 'segment'").collect()
    assert any(key[0] == "segment" for key in one)
    names = ("level", "cell", "title_id", "artwork_id")
    shifts = [abs(one[tuple(r[n] for n in names)]["mean"] - r["mean"]) for r in trained]
    assert max(shifts) > 0.01 and all(one[tuple(r[n] for n in names)]["sd"] <= r["sd"] for r in trained)
    few, whole = newest(streamed[0]), newest(batched[0])
    for key in streamed[2]:
        assert few[key][:2] == whole[key][:2]
        np.testing.assert_allclose(few[key][2], whole[key][2], atol=1e-5)
        assert few[key][3] == whole[key][3]


def test_who_is_folded_in_is_in_the_nearest_segment_of_the_policy(streamed):
    """As of the taste that is newest; who has no history is in none."""
    tables, settings, *_ = streamed
    policy = serving_policy(tables)
    rows = tables.read("policy_segments").where(F.col("policy_id") == policy.policy_id).orderBy("segment").collect()
    assert len(rows) > 1 and policy.segments == {row["segment"]: row["description"] for row in rows}
    said = json.loads(newest_policy(tables, policy.policy_id)[1]["models"])["response"]
    model = Tracking(settings.tracking, settings.tables).load_version(said).model.arrays
    folded = tables.read("user_assignments").where(f"NOT {ASSIGNED}").orderBy(F.desc("version")).collect()
    taste = tables.read("taste").orderBy("as_of").collect()
    newest_taste = {row["user_key"]: row for row in taste if row["taste_version"] == policy.taste_version}
    seen = {}
    for row in folded:
        if row["user_key"] in seen:
            continue
        member = newest_taste[row["user_key"]]
        vector = np.array([[*member["factors"], *member["genre_mix"]]])
        own = standardised(model, vector)[0]
        spread = model["features"].std(axis=0)
        gaps = [np.sum((((own - np.array(one["centre"])) @ model["weights"]) * spread) ** 2) for one in rows]
        nearest = rows[int(np.argmin(gaps))]["segment"] if member["history"] else None
        assert (seen.setdefault(row["user_key"], row["segment"])) == nearest
    assert len({name for name in seen.values() if name}) > 1


def test_a_run_that_died_between_two_tables_is_made_good_and_a_batch_counts_once(streamed, spark):
    tables, settings, few, _, (halfway, taste), (_, completed) = streamed
    assert halfway == 0 and taste == completed
    own = tables.read("user_assignments").where(f"NOT {ASSIGNED}")
    versions = own.groupBy("version").agg(F.count("*").alias("n"), F.countDistinct("user_key").alias("members"))
    assert len(counted := versions.collect()) == 2 and all(row["n"] == row["members"] for row in counted)
    days = sorted(row["as_of"] for row in tables.read("taste").select("as_of").distinct().collect())[-2:]
    met = [tables.read("taste").where(~F.col("kids") & (F.col("as_of") == F.lit(day))).count() for day in days]
    assert [row["n"] for row in sorted(counted, key=lambda row: row["version"])] == met and met[1] == FEW
    before = {table: rows(tables, table) for table in ("taste", "user_assignments", "region_assignments")}
    members = tables.read("taste").where(F.col("user_key").isin(few)).select("user_key", "user_bucket").distinct()
    for number in (7, 7):  # a batch of another stream, that comes twice
        updated(Online(tables, settings, "other"), members, number)
        after = {table: rows(tables, table) for table in before}
        assert after["taste"] == before["taste"] and after["region_assignments"] == before["region_assignments"]
        assert len(after["user_assignments"]) == len(before["user_assignments"]) + FEW


def test_a_members_new_taste_is_in_what_they_are_shown(streamed):
    tables, _, _, before, _, (third, _) = streamed
    changed = {key for key, own in third.items() if own[:2] != tuple(before.get(key, ([], [])))[:2]}
    assert len(changed) > 30
    policy = serving_policy(tables)
    own, epoch = resolver(tables), policy.taste_as_of + timedelta(days=30)
    member = next(key for key in sorted(changed) if key not in streamed[2] and third[key][0])
    region = tables.read("taste").where(F.col("user_key") == member).orderBy(F.desc("as_of")).first()["region"]
    for title, artwork in zip(*third[member][:2], strict=True):
        offer = own.offered(member, title, region, epoch=epoch, kids=False)
        assert offer.level == "user"
        assert offer.artwork_ids[int(np.argmax(offer.probabilities))] == artwork


def test_work_is_of_the_members_met(streamed):
    """A batch of a few members writes a few rows, rewrites none, and reads the buckets of these members only."""
    tables, _, few, *_ = streamed
    merge = next(c for c in tables.history("taste") if c.metrics.get("numTargetRowsInserted") == str(FEW))
    assert merge.metrics["numTargetRowsCopied"] == "0"
    members = tables.read("taste").where(F.col("user_key").isin(few)).select("user_key", "user_bucket").distinct()
    apart, buckets = Tables(tables.spark, f"{tables.root}-apart"), {int(key[:8], 16) % BUCKETS for key in few}
    others = [bucket for bucket in range(BUCKETS) if bucket not in buckets][:2]
    for bucket in (*buckets, *others):  # a file a bucket, as clustering makes of many
        apart.append("events", tables.read("events").where(F.col("user_bucket") == bucket).coalesce(1))
    assert len(apart.read("events").inputFiles()) == len(buckets) + 2
    assert len(apart.read("events").where(in_buckets(members)).inputFiles()) == len(buckets)


def test_without_a_policy_one_line_says_so(spark, tmp_path, caplog):
    settings = load(None, [f"tables={tmp_path}/tables"])
    online = Online(Tables(spark, settings.tables), settings, "s")
    nobody = spark.createDataFrame([], "user_key string, user_bucket int")
    with caplog.at_level(logging.INFO, logger="keyart"):
        assert updated(online, nobody, 0) is None and updated(online, nobody, 1) is None
    assert [r.getMessage() for r in caplog.records if "not updated yet" in r.getMessage()] == [
        f"members' artwork is not updated yet: no policy at all under {tmp_path}/tables; run assign-artwork first"
    ]
