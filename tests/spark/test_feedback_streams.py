"""stream-feedback on files that appear one after another, and the figures that stop an ingest."""

import importlib
import json
from datetime import date, datetime, timedelta
from random import Random

import pytest
from feeding import DEFAULTS, SET, catalogue, click, lines, shown
from killing import CONFIG, KEYART, after_first_write, differences, drive, forget, rows_of

from keyart.cli import run_job
from keyart.config import load, with_values
from keyart.errors import LimitError
from keyart.feedback import sessions_spark
from keyart.feedback.examining_spark import write_examination
from keyart.feedback.moments_spark import drawn_to, moments
from keyart.feedback.sessions_spark import write_sessions
from keyart.feedback.stream_spark import from_messages, stream
from keyart.schemas import TABLES
from keyart.seeding import rng
from keyart.tables import Tables

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def fed(spark, tmp_path_factory):
    """Two runs of a stream: two files in two batches with a bad line, then one more that repeats a row."""
    root = tmp_path_factory.mktemp("stream")
    catalogue(spark, root / "tables")
    values = {"events.events": str(root / "in"), "events.max_quarantine_share": 0.5}
    values["stream.options"] = {"maxFilesPerTrigger": "1"}
    settings = with_values(load(None, [f"tables={root}/tables"]), values)
    lines(root / "in" / "one.jsonl", [shown(1, 1, "a1"), click(1, 1), '{"event_type": '])
    lines(root / "in" / "two.jsonl", [shown(2, 2, "a2"), {**click(2, 2), "event_type": "thumbs", "rating": -1}])
    first = stream(spark, settings)
    lines(root / "in" / "three.jsonl", [shown(1, 1, "a1"), {**click(2, 9), "event_type": "fast_forward"}])
    importlib.import_module("keyart.jobs.stream_feedback").run(spark, settings)
    return Tables(spark, settings.tables), settings, first


def test_a_stream_of_files_lands_once(fed, spark):
    tables, settings, first = fed
    assert [one.quarantined for one in first] in ([1, 0], [0, 1])
    kinds = {row["event_type"]: row["count"] for row in tables.read("events").groupBy("event_type").count().collect()}
    assert kinds == {"impression": 2, "take": 1, "thumbs": 1, "fast_forward": 1}
    event = tables.read("events").where("event_type = 'impression'").first()
    assert (event["local_weekday"], event["ranker_id"]) == (3, "ranker-7")
    taken = {row["artwork_id"]: row["take"] for row in tables.read("decisions").collect()}
    assert taken == {"a1": 1, "a2": 0}
    assert tables.read("quarantine").count() == 1
    assert stream(spark, settings) == []  # nothing has arrived


def test_a_stream_killed_between_two_tables_is_made_good(spark, tmp_path):
    """By kill -9, once events have landed; tests/soak kills it after every table, with a policy that serves."""
    home, root = tmp_path / "run", tmp_path / "run" / "tables"
    lines(tmp_path / "in" / "one.jsonl", [shown(1, 1, "a1"), click(1, 1), '{"event_type": '])
    command = [str(KEYART), "stream-feedback", "--config", str(CONFIG), "--set=session.shuffle_partitions=2", "--once"]
    command += ["--tables", str(root), "--events", str(tmp_path / "in"), "--set=events.max_quarantine_share=0.5"]
    catalogue(spark, root)
    assert run_job("stream-feedback", command[2:]) == 0
    wanted = rows_of(spark, root)
    forget(spark, home)  # and again in the same place, for a batch is called after its checkpoint
    catalogue(spark, root)
    ended = drive(
        command, tmp_path / "said.txt", after_first_write(root, Random(1), most=0.3, of=("events",), writes=2)
    )
    assert ended.killed, ended.said[-2000:]
    assert run_job("stream-feedback", command[2:]) == 0
    assert not differences(rows_of(spark, root), wanted)


def test_kafkas_messages_become_rows_of_a_log(fed, spark):
    _, settings, _ = fed
    messages = [(bytearray(json.dumps(shown(1, 1, "a1")).encode()), "log", 3), (bytearray(b"{no"), "log", 0)]
    found = from_messages(spark.createDataFrame(messages, "value binary, topic string, partition int"), settings)
    good, bad = sorted(found.collect(), key=lambda row: row["_line"] or "")
    assert (good["user_id"], good["candidate_set"], good["_source"], good["_line"]) == ("m1", SET, "log 3", None)
    assert (bad["_line"], bad["user_id"]) == ("{no", None)


def test_figures_beyond_their_limit_fail_the_run_and_stay(spark, tmp_path):
    """Half of the servings say p = 0.5, yet a1 is always served: chi-square tells, and so does a bound on nulls."""
    tables = catalogue(spark, tmp_path / "tables")
    random = rng(1, "limits")
    rows = [shown(m, 1, SET[random.integers(2)]) for m in range(200)] + [click(m, 1) for m in range(0, 200, 2)]
    later = (date(2026, 1, 1) + timedelta(days=4)).day
    wrong = [shown(m, later, "a1", 1) for m in range(200)] + [click(m, later) for m in range(0, 200, 20)]
    lines(tmp_path / "good" / "a.jsonl", rows)
    lines(tmp_path / "wrong" / "b.jsonl", [*wrong, {**click(1, 7), "event_type": "browse"}, *rows[:3]])

    def ingest(folder, **more):
        values = {"events.events": str(tmp_path / folder)} | more
        settings = with_values(load(None, [f"tables={tables.root}"]), values)
        importlib.import_module("keyart.jobs.ingest_events").run(spark, settings)

    with pytest.raises(LimitError, match=r"missing: session_id is 1, allowed is 0\.5 .*no event was written"):
        ingest("good", **{"events.limits": {"missing: session_id": "0.5"}})
    assert not tables.exists("events")
    stored = {row["measure"]: row["limit"] for row in tables.read("data_quality").collect()}
    assert stored["missing: session_id"] == 0.5
    ingest("good", **{"events.now": "2026-01-04T00:00:00"})
    with pytest.raises(LimitError, match=r"served misfit: uniform-1 is .*; take_fraction drift is 1\.3") as told:
        ingest("wrong", **{"events.limits": {"served misfit": "9", "take_fraction drift": "0.5"}})
    assert "\n" not in str(told.value)
    newest = tables.read("data_quality").where("run_date = DATE'2026-01-07'")
    measures = {row["measure"]: row["value"] for row in newest.collect()}
    assert measures["late_rows"] == 3
    assert measures["served misfit: uniform-1"] > 9


def event(kind, member, day, clock, session=None, **more):
    when = datetime.fromisoformat(f"2026-01-{day:02d}T{clock}")
    one = {"event_id": f"{kind}{member}{when:%d%H%M}", "event_type": kind, "user_key": member, "user_bucket": 0}
    return one | {"ts": when, "event_date": when.date(), "session_id": session, "region": "SE"} | more


EVENTS = [
    # ann looks at two titles, plays one after a minute, and goes on past midnight; she is back after three days.
    event("impression", "ann", 1, "23:50", "s1", title_id="film1", policy_id="p1"),
    event("impression", "ann", 1, "23:51", "s1", title_id="film2", policy_id="p1"),
    event("play", "ann", 1, "23:52", "s1", title_id="film2", source="row"),
    event("impression", "ann", 1, "23:53", "s1", title_id="film3"),
    event("rewind", "ann", 1, "23:59", "s1", title_id="film2"),
    event("stop", "ann", 2, "00:30", "s1", title_id="film2", watched_seconds=1800.0),
    event("browse", "ann", 4, "10:00", "s2"),
    # ben's log has no sessions: half an hour of silence ends one. He cancels.
    event("search", "ben", 1, "10:00"),
    event("browse", "ben", 1, "10:20"),
    event("browse", "ben", 1, "10:51"),
    event("cancel", "ben", 3, "10:00"),
]


def put(tables, rows):
    schema = TABLES["events"].schema
    tables.append("events", tables.spark.createDataFrame([tuple(r.get(n) for n in schema.names) for r in rows], schema))


def dump(tables, table):
    return sorted((tuple(one) for one in tables.read(table).collect()), key=repr)


def test_sessions_are_as_reckoned_by_hand_and_equal_a_recount(spark, tmp_path):
    tables = Tables(spark, str(tmp_path / "tables"))
    put(tables, EVENTS)
    assert write_sessions(tables) == (date(2026, 1, 1), date(2026, 1, 4))
    assert write_sessions(tables) is None
    names = ("seconds", "policy_id", "events", "events_later", "titles_before_play", "seconds_to_play", "play_source")
    names += ("minutes", "rewinds", "searches", "cancels")
    found = {(r["user_key"], r["started_at"].day, r["started_at"].hour, r["started_at"].minute): [r[n] for n in names]
             for r in tables.read("sessions").collect()}  # fmt: skip
    nothing = [None, None, 0.0, 0]
    assert found == {
        ("ann", 1, 23, 50): [2400.0, "p1", 6, 1, 2, 120.0, "row", 30.0, 1, 0, 0],
        ("ann", 4, 10, 0): [0.0, "unknown", 1, 0, 0, *nothing, 0, 0],
        ("ben", 1, 10, 0): [1200.0, "unknown", 2, 0, 0, *nothing, 1, 0],
        ("ben", 1, 10, 51): [0.0, "unknown", 1, 0, 0, *nothing, 0, 0],
        ("ben", 3, 10, 0): [0.0, "unknown", 1, 0, 0, *nothing, 0, 1],
    }
    days = {(r["session_date"].day, r["policy_id"]): r for r in tables.read("session_stats").collect()}
    ben, ann = days[1, "unknown"], days[1, "p1"]
    assert (ben["members"], ben["sessions"], ben["with_play"], ben["could_return_1"]) == (1, 2, 0, 1)
    assert (ben["returned_1"], ben["could_return_7"]) == (0, 0)
    assert (ann["members"], ann["with_play"], ann["seconds_to_play"], ann["titles_before_play"]) == (1, 1, 120.0, 2)
    assert days[3, "unknown"]["cancels"] == 1
    late = [event("play", "ben", 2, "10:00", title_id="film1"), event("browse", "ann", 9, "10:00", "s3")]
    put(tables, late)
    with pytest.MonkeyPatch.context() as patch:  # a run that dies between the two tables
        patch.setattr(sessions_spark, "session_stats", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_sessions(tables)
    write_sessions(tables)
    whole = Tables(spark, str(tmp_path / "whole"))
    put(whole, EVENTS + late)
    write_sessions(whole)
    for table in ("sessions", "session_stats"):
        assert dump(tables, table) == dump(whole, table), table
    ben = next(r for r in tables.read("session_stats").collect() if (r["session_date"].day, r["members"]) == (1, 1))
    assert (ben["could_return_7"], ben["returned_7"]) == (1, 1)
    before = {table: dump(tables, table) for table in ("sessions", "session_stats")}
    tables.delete("events", "event_date < DATE'2026-01-03'")  # as retention does
    assert write_sessions(tables) is None
    assert {table: dump(tables, table) for table in before} == before
    tables.delete("sessions", "session_date < DATE'2026-01-04'")
    assert write_sessions(tables, date(2026, 1, 4)) is None
    assert dump(tables, "session_stats") == before["session_stats"]


def test_moments_of_enough_members_raise_and_lower_their_shots(spark):
    """Ten members of one film: three pause at 12 s, two watch 42 s again, four leave at 22 s, one pauses at 61 s."""
    acts = [("pause", m, 12.0) for m in range(3)] + [("rewatch", m, 42.0) for m in range(2)]
    acts += [("stop", m, 22.0) for m in range(4, 8)] + [("pause", 3, 61.0), ("pause", 0, 13.0)]
    acts += [("stop", m, 99.0) for m in (0, 1, 2, 3, 8, 9)]
    rows = [
        event(kind, f"m{m}", 1, f"10:{number:02d}", title_id="film1", position_seconds=at)
        for number, (kind, m, at) in enumerate(acts)
    ]
    schema = TABLES["events"].schema
    events = spark.createDataFrame([tuple(one.get(name) for name in schema.names) for one in rows], schema)
    found = moments(events, 2)
    assert {tuple(one) for one in found.collect()} == {
        ("film1", 10.0, 3, 0, 0, 10),
        ("film1", 20.0, 0, 0, 4, 10),
        ("film1", 40.0, 0, 2, 0, 6),
        ("film1", 95.0, 0, 0, 6, 6),
    }
    spans = [("s", "v", "film1", shot, start, end) for shot, start, end in
             ((0, 0.0, 10.0), (1, 10.0, 25.0), (2, 25.0, 60.0), (3, 60.0, 100.0))]  # fmt: skip
    names = "scan_id string, video_id string, title_id string, shot_id int, start_seconds double, end_seconds double"
    drawn = {one["shot_id"]: one["drawn"] for one in drawn_to(spark.createDataFrame(spans, names), found).collect()}
    # Three of ten paused in shot 1, two of six went back to shot 2; four of ten left in shot 1; at the end all do.
    assert drawn == pytest.approx({1: (1 + 0.2 * 0.9) * (1 - 0.2), 2: 1.2, 3: 1.0})


def test_examination_is_told_from_titles_at_several_positions(spark, tmp_path):
    """Four takes in ten at the first position and one in ten at the second; one row, of which nothing is told."""
    tables = Tables(spark, str(tmp_path / "tables"))
    schema = TABLES["decisions"].schema
    blank = {f.name: None if f.nullable else DEFAULTS.get(f.dataType.typeName(), 0) for f in schema}
    blank |= {"epoch": date(2026, 1, 1), "first_ts": datetime(2026, 1, 1), "already_started": False, "row": 0}
    rows = []
    for number in range(400):
        title, position = f"film{number % 2}", number // 2 % 2
        take = int(number // 4 % 10 < (1 if position else 4))
        rows.append(blank | {"decision_id": f"d{number}", "title_id": title, "position": position, "take": take})
    tables.append("decisions", spark.createDataFrame([tuple(one.values()) for one in rows], schema))
    found = {(one["axis"], one["place"]): one for one in write_examination(tables)}
    assert set(found) == {("position", 0), ("position", 1), ("row", 0)}
    assert (found["position", 1]["n"], found["position", 1]["takes"]) == (200, 20)
    assert found["position", 1]["probability"] == pytest.approx(0.25)
    assert found["row", 0]["verdict"] == "not identified"
    importlib.import_module("keyart.jobs.measure_sessions").run(spark, load(None, [f"tables={with_events(tables)}"]))


def with_events(tables):
    put(tables, EVENTS)
    return tables.root
