"""The graph on real tables: what runs again and what does not, what a failure blocks, what stage_runs holds."""

import json
import sys
from datetime import UTC, datetime, timedelta
from types import ModuleType

import pytest

from keyart.cli import run_job
from keyart.config import load, with_values
from keyart.errors import ModelError
from keyart.operations.graph import Stage
from keyart.operations.ledger_spark import Ledger, known
from keyart.pipeline import run_stages, stages_for
from keyart.schemas import TABLES
from keyart.settings import SessionSettings

pytestmark = pytest.mark.spark


@pytest.fixture
def graph(spark, tables, tmp_path, monkeypatch):
    """catalogue -> names (a table), catalogue -> model (none) -> assign; other stands by itself."""
    source = tmp_path / "films.txt"
    source.write_text("a b")
    broken: set[str] = set()

    def job(name, work):
        def run(spark, settings):
            if name in broken:
                raise ModelError(f"{name} cannot")
            work()

        module = ModuleType(f"keyart.jobs.{name}")
        module.run = run
        monkeypatch.setitem(sys.modules, module.__name__, module)

    def titles():
        rows = [(one, one, [], None, False, [], [], [], None) for one in source.read_text().split()]
        tables.merge("titles", spark.createDataFrame(rows, TABLES["titles"].schema), update=False)

    def names():
        rows = [(row["title_id"], "ja", "x") for row in tables.read("titles").collect()]
        tables.overwrite("title_names", spark.createDataFrame(rows, TABLES["title_names"].schema))

    job("catalogue", titles)
    job("names", names)
    for plain in ("model", "assign", "other", "told"):
        job(plain, lambda: None)
    stages = [
        Stage("catalogue", (), ("catalog",), lambda settings: (str(source),), writes=("titles",)),
        Stage("names", ("titles",), (), writes=("title_names",)),
        Stage("model", ("titles",), ()),
        Stage("assign", (), (), after=("model",)),
        Stage("other", ("shots",), ()),
        Stage("told", ("titles",), (), after=("model",), anyway=True),
    ]
    settings = with_values(
        load(None),
        {"tables": tables.root, "session.cost_per_core_hour": 36.0, "metrics.file": str(tmp_path / "k.prom")},
    )

    def run(**more):
        found = run_stages(spark, settings, stages, progress=False, **more)
        return {result.job: result.state for result in found}

    run.source, run.broken, run.stages = source, broken, stages
    return run


def test_what_runs_again_and_what_does_not(spark, tables, graph):
    every = {stage.job for stage in graph.stages}
    assert graph() == dict.fromkeys(every, "done")
    done = known(tables).done
    assert done["names"]["written"] == [{"table": "title_names", "rows": 2}]
    assert done["names"]["rows"] == 2
    cores = spark.sparkContext.defaultParallelism
    assert done["names"]["cost"] == pytest.approx(done["names"]["seconds"] * cores * 0.01)
    assert done["names"]["finished_at"] >= done["names"]["started_at"]

    version = tables.version("stage_runs")
    assert graph() == dict.fromkeys(every, "skipped")
    assert tables.version("stage_runs") == version + 1, "what is up to date is one write"
    assert known(tables).last["names"]["seconds"] == done["names"]["seconds"]

    # The file was written again without anything new for the tables: its reader runs, the tables' readers do not.
    graph.source.write_text("b a ")
    assert graph() == dict.fromkeys(every, "skipped") | {"catalogue": "done"}

    # A new title: those that read titles run, and what comes after the model; who reads something else does not.
    graph.source.write_text("a b c")
    changed = {"catalogue": "done", "names": "done", "model": "done", "assign": "done", "other": "skipped"}
    assert graph() == changed | {"told": "done"}
    assert known(tables).done["names"]["rows"] == 3

    # Compaction is no change.
    before = tables.data_version("titles")
    spark.sql(f"OPTIMIZE {tables.name('titles')}")
    spark.sql(f"VACUUM {tables.name('titles')}")
    assert tables.version("titles") > before
    assert tables.data_version("titles") == before
    assert graph() == dict.fromkeys(every, "skipped")


def test_a_failure_blocks_its_own_and_the_next_run_goes_on_there(tables, graph):
    graph.broken.add("model")
    assert graph() == {
        "catalogue": "done", "names": "done", "model": "failed", "assign": "blocked", "other": "done",
        "told": "done",
    }  # fmt: skip
    metrics = (graph.source.parent / "k.prom").read_text()
    assert 'keyart_stage_state{stage="model",state="failed"} 1.0' in metrics
    assert 'keyart_stage_rows{stage="names",table="title_names"} 2.0' in metrics
    found = known(tables).last
    assert found["model"]["error"] == "model cannot"
    assert found["assign"]["error"] == "needs model"
    graph.broken.clear()
    assert graph() == {
        "catalogue": "skipped", "names": "skipped", "model": "done", "assign": "done", "other": "skipped",
        "told": "done",
    }  # fmt: skip


def test_bundles_are_written_where_they_have_a_folder(tables, tmp_path):
    settings = with_values(load(None), {"tables": tables.root, "events.events": str(tmp_path)})

    def publishes(settings):
        return "publish" in {stage.job for stage in stages_for(settings, tables)}

    assert not publishes(settings)
    assert publishes(with_values(settings, {"publish.folder": str(tmp_path / "elsewhere")}))
    (tmp_path / "bundles").mkdir()
    assert publishes(settings), "somebody published beside the tables"
    assert not publishes(with_values(settings, {"events.events": ""})), "there is no policy without logs"


def test_status_reads_and_tells_a_killed_run(tables, capsys):
    assert run_job("status", ["--tables", tables.root]) == 0
    assert "no run of run-pipeline yet" in capsys.readouterr().out
    assert not tables.exists("stage_runs"), "status writes nothing"

    began = datetime.now(UTC)
    killed = Ledger(tables, "r1", SessionSettings(), 60)
    killed.running("scan-videos", began).__enter__()  # and never heard of again
    killed._beat("scan-videos", began)
    version = tables.version("stage_runs")
    assert run_job("status", ["--tables", tables.root, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["state"], told["run_id"]) == ("running", "r1")
    of = {line["stage"]: line for line in told["stages"]}
    assert of["scan-videos"]["state"] == "running"
    assert abs(datetime.fromisoformat(of["scan-videos"]["started_at"]) - began) < timedelta(milliseconds=1)
    assert of["build-report"]["state"] == "waiting"
    assert run_job("status", ["--tables", tables.root, "--set", "pipeline.heartbeat_seconds=1"]) == 0
    capsys.readouterr()
    assert tables.version("stage_runs") == version

    assert known(tables).at_work({"scan-videos"}, began, 60)["stage"] == "scan-videos"
    assert known(tables).at_work({"train-taste"}, began, 60) is None, "another task's business"
    newer = Ledger(tables, "r2", SessionSettings(), 60)
    newer.skipped("build-report", 3.0)
    newer.flush()
    assert run_job("status", ["--tables", tables.root]) == 0
    assert "interrupted" in capsys.readouterr().out


def test_a_table_set_to_the_rows_it_has_is_not_written(spark, tables):
    frame = spark.createDataFrame([("a", "ja", "x"), ("b", "ja", "y")], TABLES["title_names"].schema)
    assert tables.data_version("title_names") is None
    assert tables.settle("title_names", frame)
    before = tables.version("title_names")
    assert not tables.settle("title_names", frame.orderBy("name", ascending=False))
    assert tables.version("title_names") == before
    assert tables.settle("title_names", frame.where("title_id = 'a'"))
    assert tables.read("title_names").count() == 1
