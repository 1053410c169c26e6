"""ingest-events on logs small enough to reckon by hand: what lands, what is set aside, and what comes of it."""

import csv
import gzip
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feeding import add

from keyart.config import load, with_values
from keyart.errors import ConfigError, InputError, LimitError, ModelError, SetupError
from keyart.feedback.events import LOG_COLUMNS, REASONS
from keyart.feedback.ingest_spark import Batch, ingest_delivery
from keyart.feedback.log_spark import open_log
from keyart.feedback.privacy import user_keys
from keyart.schemas import EVENTS
from keyart.seeding import bucket, rng
from keyart.tables import Tables

pytestmark = pytest.mark.spark

ROOT = Path(__file__).resolve().parents[2]
SECRET = "a-secret-that-must-not-be-seen"
WRITTEN = ("events", "quarantine", "impressions", "decisions", "artwork_stats", "data_quality")
ARTWORKS = {"a1": "film1", "a2": "film1", "b1": "film2", "b2": "film2"}
RUNNING = {"film1": 1000.0}


class Killed(Exception):
    """What a run dies of."""


def row(event, member, when, **more):
    return {"event_type": event, "user_id": f"member-{member}", "ts": f"2026-01-{when}", **more}


def shown(member, when, artwork, p=0.5, **more):
    title = ARTWORKS[artwork]
    others = [other for other, its in ARTWORKS.items() if its == title]
    logged = {
        "title_id": title, "artwork_id": artwork, "propensity": p, "candidate_set": others, "policy_id": "uniform-1",
        "candidate_propensities": [p if other == artwork else 1 - p for other in others],
        "region": "SE", "device": "tv",
    }  # fmt: skip
    return row("impression", member, when, **(logged | more))


def numbered(rows):
    return [{"event_id": f"e{number}", **one} for number, one in enumerate(rows)]


GOOD = numbered(
    [
        # ann takes on her second exposure of the day; the third no longer counts. 600 of 1000 seconds watched.
        shown("ann", "01T20:00:00", "a1", local_hour=21, row=2, position=3, ranker_score=0.25, segment="taste-2"),
        shown("ann", "01T21:00:00", "a1", local_hour=22, row=0.0, position=0, segment="taste-1"),
        row("take", "ann", "01T21:30:00", title_id="film1", source="row"),
        row("play", "ann", "01T21:30:05", title_id="film1", source="row"),
        row("stop", "ann", "01T21:45:00", title_id="film1", watched_seconds=600.0),
        shown("ann", "01T22:00:00", "a1"),
        # ben takes after midnight, leaves early, and has started the title when it is shown again.
        shown("ben", "02T23:30:00", "a2", segment=""),
        row("take", "ben", "03T00:20:00", title_id="film1", source="search"),
        row("play", "ben", "03T00:20:05", title_id="film1", source="search"),
        row("abandon", "ben", "03T00:30:00", title_id="film1", watched_seconds=50.0),
        shown("ben", "03T09:00:00", "a1", p=0.25),
        # cat's decision is half a day old.
        shown("cat", "09T12:00:00", "b1"),
        row("take", "cat", "09T12:05:00", title_id="film2", source="row"),
        # dan found the title by search days before.
        row("play", "dan", "01T08:00:00", title_id="film2", source="search"),
        shown("dan", "05T10:00:00", "b1", local_hour=3),
        # eve's log has no take, only a play from a row; what she watched after two days comes too late. Her other take
        # comes a second too late.
        shown("eve", "05T10:00:00", "b2", p=0.8, segment="gold customers"),
        row("play", "eve", "05T10:10:00", title_id="film2", source="row"),
        row("stop", "eve", "05T11:00:00", title_id="film2", watched_seconds=3000.0),
        row("complete", "eve", "06T20:00:00", title_id="film2", watched_seconds=600.0),
        row("stop", "eve", "08T10:00:00", title_id="film2", watched_seconds=60.0),
        shown("eve", "05T10:00:00", "a1"),
        row("take", "eve", "06T10:00:01", title_id="film1", source="row"),
        # Nothing is learned from fay's exposure; gus's log knows more than we do.
        row("impression", "fay", "05T10:00:00", title_id="film1", artwork_id="a1"),
        shown(
            "gus",
            "05T10:00:00",
            "a2",
            already_started=True,
            kids=True,
            segment="taste-1",
            region=None,
            device=None,
            policy_id=None,
        ),
        row("search", "gus", "10T00:00:00", query="something old"),
        row("play", "gus", "04T00:00:00", title_id="old", source="search"),
    ]
)

# member, title, day: artwork, part of day, started, impressions, take, quality, minutes, abandoned, source
EXPECTED = {
    ("ann", "film1", 1): ("a1", "evening", False, 2, 1, 0.6, 10.0, False, "row"),
    ("ben", "film1", 2): ("a2", "evening", False, 1, 1, 0.05, 50 / 60, True, "search"),
    ("ben", "film1", 3): ("a1", "morning", True, 1, 0, None, None, None, None),
    ("cat", "film2", 9): ("b1", "afternoon", False, 1, None, None, None, None, None),
    ("dan", "film2", 5): ("b1", "night", True, 1, 0, None, None, None, None),
    ("eve", "film2", 5): ("b2", "morning", False, 1, 1, 1.0, 60.0, False, "row"),
    ("eve", "film1", 5): ("a1", "morning", False, 1, 0, None, None, None, None),
    ("gus", "film1", 5): ("a2", "morning", True, 1, 0, None, None, None, None),
}

BAD = {
    "unreadable": '{"event_id": "e99", "user_id": "member-zoe", "ts": ',
    "no_member": {**shown("x", "05T10:00:00", "a1"), "user_id": " "},
    "event_type": row("dance", "zoe", "05T10:00:00"),
    "no_time": {"event_type": "search", "user_id": "member-zoe"},
    "bad_time": row("search", "zoe", "32T10:00:00"),
    "future": row("search", "zoe", "11T00:00:01"),
    "bad_value": shown("zoe", "05T10:00:00", "a1", local_hour=24),
    "no_title": row("take", "zoe", "05T10:00:00"),
    "title": row("play", "zoe", "05T10:00:00", title_id="film9"),
    "artwork": shown("zoe", "05T10:00:00", "a1", artwork_id="a9"),
    "other_title": shown("zoe", "05T10:00:00", "a1", title_id="film2"),
    "propensity": shown("zoe", "05T10:00:00", "a1", propensity=0.0),
    "lengths": shown("zoe", "05T10:00:00", "a1", candidate_propensities=[1.0]),
    "sum": shown("zoe", "05T10:00:00", "a1", candidate_propensities=[0.5, 0.6]),
    "not_candidate": shown("zoe", "05T10:00:00", "a1", candidate_set=["a2", "b1"]),
    "mismatch": shown("zoe", "05T10:00:00", "a1", propensity=0.4),
}


def settings_for(root, log, **more):
    values = {"events.events": str(log), "events.now": "2026-01-10T00:00:00"} | more
    return with_values(load(None, [f"tables={root}"]), values)


def run(spark, settings):
    return importlib.import_module("keyart.jobs.ingest_events").run(spark, settings)


def catalogue(spark, root):
    tables = Tables(spark, str(root))
    add(tables, "titles", *({"title_id": title, "name": title} for title in ("film1", "film2", "old")))
    add(tables, "artworks", *({"artwork_id": artwork, "title_id": title} for artwork, title in ARTWORKS.items()))
    videos = ({"video_id": title, "title_id": title, "duration_seconds": s} for title, s in RUNNING.items())
    add(tables, "videos", *videos)
    return tables


def dump(tables, table):
    return sorted((tuple(one) for one in tables.read(table).collect()), key=repr)


def lines(path, rows):
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in rows))
    return path


def log_of(path, *rows):
    return {"events.events": str(lines(path, rows))}


def key(member):
    return user_keys(SECRET.encode(), [f"member-{member}"])[0]


@pytest.fixture(scope="module")
def shelf(spark, tmp_path_factory):
    """Tables with a catalogue and nothing else; Delta tables may be copied."""
    return catalogue(spark, tmp_path_factory.mktemp("shelf") / "tables")


@pytest.fixture(scope="module")
def blank(spark, shelf, tmp_path_factory):
    """A maker of such tables."""

    def make(name):
        root = tmp_path_factory.mktemp(name) / "tables"
        shutil.copytree(shelf.root, root)
        return Tables(spark, str(root))

    return make


@pytest.fixture(scope="module")
def ingested(spark, blank, tmp_path_factory):
    """The tables after the log was refused for its bad rows, and then taken with more of them allowed."""
    root = tmp_path_factory.mktemp("ingest")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEYART_USER_KEY", SECRET)
        tables = blank("tables")
        log = lines(root / "log.jsonl", [*GOOD, *BAD.values(), GOOD[0], GOOD[4]])
        with pytest.raises(LimitError, match=r"16 of 44 rows .*events\.max_quarantine_share = 0\.2") as refused:
            run(spark, settings_for(tables.root, log))
        assert "\n" not in str(refused.value)
        assert tables.read("quarantine").count() == len(BAD)
        assert not tables.exists("events")
        run(spark, settings_for(tables.root, log, **{"events.max_quarantine_share": 0.5}))
        yield tables, log


def test_events_land_once_without_the_members_ids(ingested):
    tables, _ = ingested
    found = {one["event_id"]: one for one in tables.read("events").collect()}
    assert set(found) == {one["event_id"] for one in GOOD}
    first = found["e0"]
    assert first["user_key"] == key("ann")
    assert all(one["user_bucket"] == bucket(one["user_key"]) for one in found.values())
    assert first["event_date"] == date(2026, 1, 1)
    assert (first["ts"], first["local_hour"], first["propensity"]) == (datetime(2026, 1, 1, 20), 21, 0.5)
    assert (first["candidate_set"], first["candidate_propensities"]) == (["a1", "a2"], [0.5, 0.5])


def test_every_reason_sets_its_row_aside_without_the_member(ingested):
    tables, _ = ingested
    found = {one["reason"]: one for one in tables.read("quarantine").collect()}
    assert set(found) == {REASONS[name] for name in BAD} == set(REASONS.values())
    assert all("member" not in one["payload"] for one in found.values())
    assert json.loads(found["unknown title"]["payload"])["title_id"] == "film9"
    assert json.loads(found["malformed ts"]["payload"])["ts"] == "2026-01-32T10:00:00"
    assert json.loads(found["unreadable line"]["payload"]) == {"unreadable_characters": len(BAD["unreadable"])}


def test_decisions_are_as_reckoned_by_hand(ingested):
    tables, _ = ingested
    found = tables.read("decisions").collect()
    names = ("artwork_id", "day_part", "already_started", "impressions", "take", "quality", "minutes", "abandoned")
    by_key = {key(member): member for member in ("ann", "ben", "cat", "dan", "eve", "gus")}
    seen = {
        (by_key[one["user_key"]], one["title_id"], one["epoch"].day): (*(one[n] for n in names), one["take_source"])
        for one in found
    }
    assert set(seen) == set(EXPECTED)
    for which, expected in EXPECTED.items():
        assert seen[which] == pytest.approx(expected), which
    assert len({one["decision_id"] for one in found}) == len(found)
    for one in found:
        reward = None if one["take"] is None else one["take"] * (one["quality"] or 0.0)
        assert one["reward"] == reward
        assert one["matured_at"] == (None if one["take"] is None else one["first_ts"] + timedelta(hours=48))
    ann = next(one for one in found if by_key[one["user_key"]] == "ann")
    assert (ann["row"], ann["position"], ann["ranker_score"], ann["kids"]) == (2, 3, 0.25, False)
    assert {one["user_key"]: one["segment"] for one in found if one["segment"]} == {key("ann"): "taste-2"}
    gus = next(one for one in found if by_key[one["user_key"]] == "gus")
    assert (gus["region"], gus["device"], gus["policy_id"], gus["kids"]) == ("unknown", "unknown", "unknown", True)


def test_impressions_point_at_their_decisions(ingested):
    tables, _ = ingested
    seen = {one["impression_id"]: one["decision_id"] for one in tables.read("impressions").collect()}
    logged = {one["event_id"] for one in GOOD if one["event_type"] == "impression" and "propensity" in one}
    assert set(seen) == logged
    assert set(seen.values()) == {one["decision_id"] for one in tables.read("decisions").collect()}
    assert seen["e0"] == seen["e1"] == seen["e5"]


def test_artwork_stats_equal_a_recount(ingested):
    tables, _ = ingested
    cells = defaultdict(lambda: np.zeros(7))
    for one in tables.read("decisions").collect():
        if one["take"] is not None and not one["already_started"]:
            w, r = 1 / one["propensity"], one["reward"]
            segment = [f"{one['policy_id']}/{one['segment']}"] if one["segment"] else []
            cell = "|".join((one["region"], one["device"], one["day_part"], *segment, one["artwork_id"]))
            cells[one["epoch"], cell] += (1, one["take"], w, w * w, w * r, (w * r) ** 2, r)
    names = ("n", "takes", "w", "w2", "wr", "w2r2", "reward")
    found = {
        (one["event_date"], one["cell"]): [one[n] for n in names] for one in tables.read("artwork_stats").collect()
    }
    assert set(found) == set(cells)
    assert len(found) == 4
    told = tables.read("artwork_stats").where("segment IS NOT NULL").collect()
    assert [one["segment"] for one in told] == ["uniform-1/taste-2"] and "|uniform-1/taste-2|a1" in told[0]["cell"]
    for which, values in cells.items():
        assert found[which] == pytest.approx(values)


def test_the_figures_of_the_delivery(ingested):
    tables, _ = ingested
    found = {one["measure"]: one["value"] for one in tables.read("data_quality").collect()}
    assert found["rows"] == 44
    assert found["bad_share"] == pytest.approx(16 / 44)
    assert found["doubled_rows"] == 2
    assert found["rows: play"] == 5
    assert found["set aside: unknown title"] == 1
    assert found["missing: propensity of impressions"] == pytest.approx(1 / 12)
    assert (found["decisions"], found["matured"]) == (8, 4)
    assert found["take_fraction"] == pytest.approx(3 / 4)
    takes = [one["take_source"] for one in tables.read("decisions").where("take = 1").collect()]
    known = [takes.count(source) for source in ("row", "search", "continue")]
    assert [found[f"takes from: {source}"] for source in ("row", "search", "continue")] == known
    assert found["takes from: elsewhere"] == len(takes) - sum(known)


def test_neither_secret_nor_ids_are_in_any_file(ingested):
    tables, _ = ingested
    needles = [SECRET.encode(), *(one["user_id"].encode() for one in GOOD), b"member-zoe"]
    files = [path for path in Path(tables.root).rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += repr(pq.read_table(path, partitioning=None).to_pylist()).encode()
        assert not any(needle in content for needle in needles), path


def test_neither_secret_nor_ids_are_in_a_plan(spark, ingested, capsys):
    from keyart.feedback.events_spark import checked
    from keyart.feedback.log_spark import open_log

    tables, log = ingested
    rows = open_log(spark, settings_for(tables.root, log).events).rows
    checked(rows, tables.read("titles"), tables.read("artworks"), datetime(2026, 1, 11), SECRET.encode()).explain(True)
    plan = capsys.readouterr().out
    assert "user_key" in plan
    assert SECRET not in plan
    assert "member-" not in plan


def test_a_log_delivered_again_after_a_kill_changes_nothing(spark, ingested, blank, monkeypatch):
    """A driver is killed once its events have landed; another takes the same log to the end."""
    monkeypatch.setenv("KEYART_USER_KEY", SECRET)
    tables = blank("killed")
    log = ingested[1]
    command = [sys.executable, "-m", "keyart.cli", "ingest-events", "--tables", tables.root, "--events", str(log)]
    command += ["--config", str(ROOT / "conf" / "local.yaml"), "--set", "events.max_quarantine_share=0.5"]
    driver = subprocess.Popen([*command, "--set", "events.now='2026-01-10T00:00:00'"], start_new_session=True)
    try:
        landed = Path(tables.root, "events", "_delta_log", f"{1:020d}.json")
        for _ in range(3000):
            if landed.exists() or driver.poll() is not None:
                break
            time.sleep(0.1)
        assert landed.exists()
    finally:
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
    run(spark, settings_for(tables.root, log, **{"events.max_quarantine_share": 0.5}))
    assert {table: dump(tables, table) for table in WRITTEN} == {table: dump(ingested[0], table) for table in WRITTEN}


def test_days_that_only_open_decisions_tell_of_are_counted_whatever_dies(spark, blank, tmp_path):
    """After a week of silence old decisions become final; one run dies once it has written the one table, the next
    once it has written the other."""

    def ingest(tables, name, batch=None):
        settings = settings_for(tables.root, tmp_path / name, **{"events.now": ""})
        ingest_delivery(tables, open_log(spark, settings.events), settings, batch)

    def dying(write, last):
        def died(self, table, *more, **named):
            write(self, table, *more, **named)
            if table == last:
                raise Killed

        return died

    early = [shown("ann", "01T20:00:00", "a1"), row("take", "ann", "01T20:10:00", title_id="film1", source="row")]
    lines(tmp_path / "early.jsonl", numbered([*early, shown("dan", "01T20:00:00", "a2")]))
    lines(tmp_path / "late.jsonl", [shown("ben", "09T12:00:00", "b1", event_id="late")])
    calm = blank("calm")
    ingest(calm, "early.jsonl")
    assert calm.read("artwork_stats").isEmpty()
    ingest(calm, "late.jsonl")
    assert calm.read("artwork_stats").count() == 2
    order = ["decisions", "artwork_stats"]
    for batch in (None, Batch(lambda: None, True)):  # which sets the days first
        killed = blank("batch" if batch else "delivery")
        ingest(killed, "early.jsonl", batch)
        for last in reversed(order) if batch else order:
            with pytest.MonkeyPatch.context() as patch:
                for method in ("put", "merge"):
                    patch.setattr(Tables, method, dying(getattr(Tables, method), last))
                with pytest.raises(Killed):
                    ingest(killed, "late.jsonl", batch)
        ingest(killed, "late.jsonl", batch)
        for table in WRITTEN[2:5]:
            assert dump(killed, table) == dump(calm, table), (batch, table)


def test_deliveries_in_another_order_and_form_give_the_same_tables(spark, ingested, blank, tmp_path, monkeypatch):
    """Some days as Parquet; then those before and after as gzipped CSV under other names; then the first ones as Delta.

    No present is set: the first delivery leaves decisions open, the second brings plays from before them all, and
    settles, days after, what was open.
    """
    monkeypatch.setenv("KEYART_USER_KEY", SECRET)
    tables = blank("ordered")
    ordered = sorted(GOOD, key=lambda one: one["ts"])
    others, middle = ordered[:9] + ordered[-4:], ordered[6:-4]
    columns = {name: [one.get(name) for one in reversed(middle)] for name in LOG_COLUMNS}
    columns["row"] = [None if one is None else float(one) for one in columns["row"]]
    columns["ts"] = [datetime.fromisoformat(when) for when in columns["ts"]]
    (tmp_path / "middle").mkdir()
    for name in ("part", "again"):  # every row twice
        pq.write_table(pa.table(columns), tmp_path / "middle" / f"{name}.parquet")
    run(spark, settings_for(tables.root, tmp_path / "middle", **{"events.now": ""}))
    assert tables.read("decisions").where("take IS NULL").count() > 1
    renamed = {"user_id": "profile", "title_id": "show"}
    with gzip.open(tmp_path / "others.csv.gz", "wt", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([renamed.get(name, name) for name in reversed(LOG_COLUMNS)])
        for one in others:
            one = one | {"candidate_set": "|".join(one.get("candidate_set", []))}
            one = one | {"candidate_propensities": json.dumps(one.get("candidate_propensities"))}
            cells = ("" if one.get(name) in (None, "null") else one[name] for name in reversed(LOG_COLUMNS))
            writer.writerow(cells)
    values = {"events.columns": renamed, "events.now": ""}
    run(spark, settings_for(tables.root, tmp_path / "others.csv.gz", **values))
    middle = spark.read.parquet(str(tmp_path / "middle"))
    middle.write.format("delta").save(str(tmp_path / "table"))
    middle.limit(0).write.format("delta").mode("append").save(str(tmp_path / "table"))
    run(spark, settings_for(tables.root, tmp_path / "table", **{"events.now": ""}))
    for table in ("events", "impressions", "decisions", "artwork_stats"):
        assert dump(tables, table) == dump(ingested[0], table), table


def test_distributions_over_sets_of_any_size_are_added_up(spark, ingested, tmp_path):
    from keyart.feedback.events_spark import checked
    from keyart.feedback.log_spark import open_log

    def row_of(size, last):
        rest = [0.5 / (size - 1)] * (size - 2)
        whole = {"candidate_set": ["a1", *(f"other{n}" for n in range(size - 1))]}
        return shown("ann", "01T10:00:00", "a1", **whole, candidate_propensities=[0.5, *rest, last])

    sizes = (24, 25)  # the sum is compiled up to 24
    rows = [row_of(size, last) for size in sizes for last in (0.5 / (size - 1), 0.5 / (size - 1) - 1e-5, None)]
    tables, _ = ingested
    log = open_log(spark, settings_for(tables.root, lines(tmp_path / "log.jsonl", rows)).events).rows
    latest = datetime(2026, 1, 11)
    found = checked(log, tables.read("titles"), tables.read("artworks"), latest, b"key").collect()
    reasons = {(one["reason"], len(one["candidate_set"])) for one in found}
    assert reasons == {(reason, size) for reason in (None, REASONS["sum"]) for size in sizes}
    assert sum(one["reason"] is None for one in found) == len(sizes)


def test_many_random_histories_equal_a_plain_loop(spark):
    """Coarse times, so that everything ties with everything, against an attribution written one event at a time."""
    from keyart.feedback.decisions_spark import decisions

    generator, start = rng(5, "histories"), datetime(2026, 1, 1)
    kinds = ["impression"] * 4 + ["take", "play", "stop", "complete", "rewind"]
    rows = []
    for number in range(1500):
        kind = kinds[generator.integers(len(kinds))]
        when = start + timedelta(hours=4 * int(generator.integers(0, 36)))
        one = {"event_id": f"e{number:04d}", "event_type": kind, "user_key": f"u{generator.integers(40):02d}"}
        one |= {"user_bucket": 0, "title_id": f"t{generator.integers(2)}", "ts": when, "event_date": when.date()}
        if kind == "impression":
            one |= {"artwork_id": "a1", "propensity": 1.0, "candidate_set": ["a1"], "candidate_propensities": [1.0]}
        if kind in ("take", "play"):
            one["source"] = ["row", "search"][generator.integers(2)]
        if kind in ("stop", "complete"):
            one["watched_seconds"] = float(generator.integers(0, 4000))
        rows.append(one)
    events = spark.createDataFrame([tuple(one.get(name) for name in EVENTS.names) for one in rows], EVENTS)
    running = spark.createDataFrame([("t0", 2000.0)], "title_id string, running_seconds double")
    now = start + timedelta(days=6)
    found = decisions(events, events, running, now.replace(tzinfo=UTC), load(None).events).collect()
    names = ("take", "quality", "minutes", "abandoned", "take_source", "rewatched", "impressions", "already_started")
    seen = {(one["user_key"], one["title_id"], one["epoch"]): tuple(one[name] for name in names) for one in found}
    expected = dict(one for pair in by_pair(rows).values() for one in outcomes(pair, now))
    assert len(expected) > 300
    assert set(seen) == set(expected)
    for which, values in expected.items():
        assert seen[which] == pytest.approx(values), which


def by_pair(rows):
    pairs = defaultdict(list)
    for one in rows:
        pairs[one["user_key"], one["title_id"]].append(one)
    return pairs


def outcomes(rows, now):
    """Decisions of one member and title: each event looks back for what it belongs to."""
    order = {"impression": 0, "take": 1, "play": 2}
    rows = sorted(rows, key=lambda one: (one["ts"], order.get(one["event_type"], 3), one.get("source") or ""))
    running = 2000.0 if rows[0]["title_id"] == "t0" else 5400.0
    current, taken_from, begun, played = None, None, [], []
    for one in rows:
        kind, when = one["event_type"], one["ts"]
        if kind == "impression":
            if current is None or current["first"].date() != when.date():
                current = {"first": when, "shown": [], "takes": [], "watched": [], "complete": False, "again": False}
                current["started"] = any(at < when for at in played)
                begun.append(current)
            current["shown"].append(when)
        if kind == "play":
            played.append(when)
        if kind == "take" or (kind == "play" and one["source"] == "row"):
            taken_from = current
            if current is not None and when <= current["first"] + timedelta(hours=24):
                current["takes"].append(one)
        if kind in ("stop", "complete", "rewind"):
            of = taken_from
            if of is not None and of["takes"] and when <= of["first"] + timedelta(hours=48):
                of["watched"].append(one.get("watched_seconds", 0.0))
                of["complete"] |= kind == "complete"
                of["again"] |= kind == "rewind"
    for one in begun:
        take = one["takes"][0] if one["takes"] else None
        counted = sum(take is None or at <= take["ts"] for at in one["shown"])
        values = (None,) * 6
        if now >= one["first"] + timedelta(hours=48):
            watched = sum(one["watched"])
            quality = 1.0 if one["complete"] else min(1.0, watched / running)
            early = not one["complete"] and watched < min(120.0, running / 10)
            values = (1, quality, watched / 60, early, take["source"], one["again"]) if take else (0, *[None] * 5)
        which = (rows[0]["user_key"], rows[0]["title_id"], one["first"].date())
        yield which, (*values, counted, one["started"])


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda folder: {"events.events": ""}, InputError, "--events PATH"),
        (lambda folder: {"events.events": f"{folder}/nowhere"}, InputError, "there is no log at"),
        (lambda folder: log_of(folder / "e.jsonl"), InputError, "is empty"),
        (lambda folder: log_of(folder / "e.jsonl", ""), InputError, "has no rows"),
        (lambda folder: log_of(folder / "e.csv", "ts,who", "1,2"), InputError, "no column event_type"),
        (lambda folder: log_of(folder / "e.parquet", "no"), InputError, "cannot be read"),
        (lambda folder: {"events.columns": {"member": "x"}}, ConfigError, r"events\.columns\.member"),
        (lambda folder: {"events.now": "later"}, ConfigError, r"events\.now"),
        (lambda folder: {"events.take_window_hours": 49.0}, ConfigError, "take_window_hours must not be more"),
        (lambda folder: {"privacy.key_variable": "NOT_SET_ANYWHERE"}, SetupError, "export NOT_SET_ANYWHERE="),
    ],
    ids=["none", "missing", "empty", "no rows", "not a log", "not parquet", "mapping", "now", "windows", "secret"],
)  # fmt: skip
def test_what_cannot_be_read_is_told_in_one_line(spark, ingested, tmp_path, make, error, match):
    tables, log = ingested
    with pytest.raises(error, match=match) as caught:
        run(spark, with_values(settings_for(tables.root, log), make(tmp_path)))
    assert "\n" not in str(caught.value)


def test_a_folder_of_two_kinds_is_refused(spark, tmp_path):
    lines(tmp_path / "a.jsonl", GOOD[:1])
    lines(tmp_path / "b.csv", ["event_type,user_id,ts"])
    with pytest.raises(InputError, match="holds csv and json files"):
        run(spark, settings_for(tmp_path / "tables", tmp_path))


def test_windows_of_decisions(spark, ingested):
    from keyart.feedback.spark import windows_of
    from keyart.feedback.windows import resolve_windows

    decisions = ingested[0].read("decisions")
    time = load(None).time
    assert windows_of(decisions, time) == resolve_windows(date(2026, 1, 1), date(2026, 1, 9), time)
    with pytest.raises(ModelError, match="no decisions"):
        windows_of(decisions.limit(0), time)
