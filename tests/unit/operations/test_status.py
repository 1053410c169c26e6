"""The status screen: states as rows tell them, what a killed run looks like, 100 columns."""

import json
from datetime import UTC, datetime, timedelta

from keyart.operations.status import as_json, as_text, screen_of

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
JOBS = ["scan-videos", "select-artwork", "build-report"]


def row(stage, state, minutes_ago, run="r2", seconds=60.0, **more):
    """A row that was written some minutes ago by a stage that had begun a minute earlier."""
    at = NOW - timedelta(minutes=minutes_ago)
    plain = {"rows": None, "written": [], "cost": None, "tasks_done": None, "tasks": None, "error": None}
    return plain | {
        "run_id": run,
        "stage": stage,
        "state": state,
        "at": at,
        "started_at": at - timedelta(seconds=60),
        "finished_at": None if state == "running" else at,
        "seconds": seconds,
    } | more  # fmt: skip


def screen(*rows, done=(), beat=60.0):
    return screen_of("T", JOBS, {r["stage"]: r for r in rows}, {r["stage"]: r for r in done}, NOW, beat)


def states(found):
    return {line.stage: line.state for line in found.stages}


def test_nothing_ran_yet():
    found = screen()
    assert found.state == "never run"
    assert as_text(found) == "no run of run-pipeline yet under T"
    assert json.loads(as_json(found))["run_id"] is None


def test_a_run_under_way_with_what_waits():
    before = row("scan-videos", "done", 600, run="r1", seconds=240.0, rows=9)
    old = row("select-artwork", "done", 590, run="r1")
    found = screen(row("scan-videos", "running", 1, tasks_done=3, tasks=8), old, done=[before, old])
    assert states(found) == {"scan-videos": "running", "select-artwork": "waiting", "build-report": "waiting"}
    assert (found.state, found.settled, found.of, found.run_id) == ("running", 0, 3, "r2")
    text = as_text(found)
    assert "3 of 8 tasks" in text
    assert "50% by time" in text  # two minutes of four


def test_a_killed_run_is_interrupted_by_silence_or_by_a_newer_run():
    silent = screen(row("scan-videos", "running", 6))
    assert states(silent)["scan-videos"] == "interrupted"
    assert silent.state == "interrupted"
    assert states(screen(row("scan-videos", "running", 6), beat=600))["scan-videos"] == "running"
    newer = screen(row("scan-videos", "running", 1, run="r1"), row("build-report", "done", 0, run="r2"))
    assert states(newer)["scan-videos"] == "interrupted"
    assert "run again to go on" in as_text(newer)


def test_a_finished_run_counts_its_own_stages_and_compares_with_an_earlier_run():
    mine, other = row("build-report", "done", 1), row("scan-videos", "done", 600, run="r1")
    found = screen(mine, other, done=[mine, other])
    assert (found.state, found.settled, found.of) == ("done", 1, 1)
    assert [line.last_seconds for line in found.stages if line.stage == "build-report"] == [None]


def test_failures_figures_and_width():
    found = screen(
        row("scan-videos", "skipped", 3, seconds=240.0),
        row("select-artwork", "failed", 2, error="no disk " * 30, cost=0.25),
        row("build-report", "blocked", 2, error="needs select-artwork", seconds=None),
        done=[row("scan-videos", "done", 600, run="r1", seconds=240.0, rows=1234567, cost=1.5)],
    )
    assert found.state == "failed"
    assert found.cost == 0.25, "what an earlier run paid is not this run's"
    text = as_text(found)
    assert all(len(line) <= 100 for line in text.splitlines())
    assert "up to date     4m     4m     1,234,567      1.50" in text
    assert "needs select-artwork" in text
    assert found.seconds == 120
    assert " ".join(text.split()).count("no disk") == 30, "an error is told to its end"
    told = json.loads(as_json(found))
    assert told["stages"][0]["rows"] == 1234567
    assert told["now"] == "2026-03-01T12:00:00+00:00"
