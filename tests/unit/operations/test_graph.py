"""The graph of stages: who waits for whom, whom a failure keeps from running; what a commit of a table did."""

from datetime import UTC, datetime

import pytest

from keyart.cli import JOBS
from keyart.commits import Commit
from keyart.config import load
from keyart.errors import ConfigError, InputError
from keyart.operations.graph import Stage, behind, requirements
from keyart.operations.lines import failure_lines, one_line
from keyart.pipeline import STAGES, stages_for
from keyart.schemas import TABLES


def test_stages_name_jobs_tables_and_settings_that_there_are():
    settings, jobs = load(None), [stage.job for stage in STAGES]
    assert len(set(jobs)) == len(jobs)
    for place, stage in enumerate(STAGES):
        assert stage.job in JOBS
        assert {*stage.reads, *stage.writes} <= set(TABLES)
        assert all(hasattr(settings, section) for section in stage.sections)
        assert set(stage.after) <= set(jobs[:place]), "what comes after a stage stands after it"


def test_the_pipelines_own_graph():
    needs = requirements(STAGES)
    assert needs["ingest-catalog"] == frozenset()
    assert needs["select-artwork"] == {"ingest-catalog", "scan-videos"}
    assert "measure-sessions" in needs["train-response"]
    assert {"train-taste", "train-response"} <= needs["assign-artwork"]
    # Moments come from a later stage: select-artwork takes those of the run before and waits for nobody.
    assert "moments" in next(stage for stage in STAGES if stage.job == "select-artwork").reads
    assert "measure-sessions" not in needs["select-artwork"]


class NoTables:
    """A root that nobody wrote to."""

    def exists(self, table):
        return False


def test_only_the_stages_that_are_asked_for():
    everything = ["catalog.videos=films", "events.events=logs", "publish.folder=bundles"]
    jobs = [stage.job for stage in stages_for(load(None, everything), NoTables())]
    assert jobs == [stage.job for stage in STAGES]
    two = load(None, [*everything, "pipeline.stages=[train-taste, scan-videos]"])
    assert [stage.job for stage in stages_for(two, NoTables())] == ["scan-videos", "train-taste"]
    nothing_to_learn_from = load(None, ["pipeline.stages=[train-taste]"])
    assert stages_for(nothing_to_learn_from, NoTables()) == []
    with pytest.raises(ConfigError, match=r"pipeline\.stages: no stage is called scan-video; known are ingest-catalog"):
        stages_for(load(None, ["pipeline.stages=[scan-video]"]), NoTables())


def test_a_failure_blocks_what_depends_on_it_and_nothing_else():
    stages = [
        Stage("films", (), (), writes=("titles",)),
        Stage("logs", (), (), writes=("events",)),
        Stage("learn", ("events",), ()),
        Stage("assign", ("titles",), (), after=("learn",)),
        Stage("report", ("titles",), ()),
    ]
    needs = requirements(stages)
    down: dict[str, str] = {"logs": "failed"}
    blocked = {}
    for stage in stages:
        if stage.job not in down and (why := behind(stage.job, needs, down)):
            down[stage.job] = "blocked"
            blocked[stage.job] = why
    assert blocked == {"learn": ("logs",), "assign": ("logs",)}


def test_a_line_a_failure():
    states = [("a", "failed", "x"), ("b", "blocked", "needs a"), ("c", "failed", "y"), ("d", "blocked", "needs a, c")]
    assert failure_lines(states) == [
        "a failed: x (not run because of it: b, d)",
        "c failed: y (not run because of it: d)",
    ]


def test_an_errors_line_holds_no_value_of_a_row():
    assert one_line(InputError("no 'x'; name it")) == "no 'x'; name it"
    assert one_line(RuntimeError("\n[CAST] the value 'anna' of \"mail\" is bad\n at Foo")) == (
        "RuntimeError: [CAST] the value '...' of \"...\" is bad"
    )
    assert one_line(RuntimeError()) == "RuntimeError"


@pytest.mark.parametrize(
    ("operation", "metrics", "changes", "rows"),
    [
        pytest.param("CREATE TABLE", {}, False, 0, id="made"),
        pytest.param("OPTIMIZE", {"numAddedFiles": "1", "numRemovedFiles": "9"}, False, 0, id="compacted"),
        pytest.param("VACUUM END", {"numDeletedFiles": "3"}, False, 0, id="vacuumed"),
        pytest.param("WRITE", {"numOutputRows": "7"}, True, 7, id="appended"),
        pytest.param("WRITE", {"numOutputRows": "0"}, False, 0, id="nothing appended"),
        pytest.param("WRITE", {"numOutputRows": "0", "numRemovedFiles": "4"}, True, 0, id="emptied"),
        pytest.param("WRITE", {"numOutputRows": "0", "numRemovedFiles": "0"}, False, 0, id="empty set to empty"),
        pytest.param("WRITE", {}, True, 0, id="a writer that tells nothing"),
        pytest.param(
            "MERGE",
            {
                "numTargetRowsInserted": "2",
                "numTargetRowsUpdated": "3",
                "numTargetRowsDeleted": "0",
                "numOutputRows": "9",
            },
            True,
            5,
            id="merged",
        ),
        pytest.param(
            "MERGE",
            {
                "numTargetRowsInserted": "0",
                "numTargetRowsUpdated": "0",
                "numTargetRowsDeleted": "0",
                "numOutputRows": "9",
            },
            False,
            0,
            id="merged nothing",
        ),
        pytest.param("DELETE", {"numDeletedRows": "1", "numRemovedFiles": "0"}, True, 0, id="deleted"),
        pytest.param("STREAMING UPDATE", {"numOutputRows": "4"}, True, 4, id="streamed"),
        pytest.param("SOMETHING NEW", {}, True, 0, id="not known"),
    ],
)
def test_what_a_commit_did(operation, metrics, changes, rows):
    commit = Commit(3, datetime(2026, 1, 1, tzinfo=UTC), operation, metrics)
    assert (commit.changes_data, commit.rows) == (changes, rows)
