"""`make demo` in small: every stage on films of its own, the judgement beside the truth, and nothing done twice."""

import json
from collections import defaultdict

import pytest

from keyart.cli import JOBS
from keyart.demo.run import main
from keyart.operations import running_spark
from keyart.pipeline import STAGES
from keyart.tables import Tables

pytestmark = pytest.mark.spark

WANTED = {
    "titles", "frames_scanned", "shots", "artworks", "impressions", "decisions", "lift_region_vs_uniform",
    "lift_user_vs_uniform", "lift_user_vs_best_single", "ope_interval_user", "share_of_oracle", "seconds",
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


ASIDE = {
    "scan-videos": {"scan_segments"},
    # Films' running times, which are final once videos names the scan; erased members, who are kept out and are gone.
    "ingest-events": {"frames", "suppressions"},
    "train-taste": {"frames"},
    "select-artwork": {"images", "shots"},
    "build-report": {"evaluation_blocks"},  # counts their rows
}
"""Tables that a stage reads though they do not make it run again."""


@pytest.fixture
def touched(monkeypatch):
    """What each stage of the pipeline reads and writes, by job, as it happens."""
    found, now = defaultdict(lambda: {"reads": set(), "writes": set()}), []
    work = running_spark._Run._work

    def watched(run, stage):
        now.append(stage.job)
        try:
            return work(run, stage)
        finally:
            now.pop()

    def watch(method, kind):
        real = getattr(Tables, method)

        def call(tables, table, *given, **named):
            if now and table != "stage_runs":  # a heartbeat's
                found[now[-1]][kind].add(table)
            return real(tables, table, *given, **named)

        monkeypatch.setattr(Tables, method, call)

    monkeypatch.setattr(running_spark._Run, "_work", watched)
    watch("read", "reads")
    for method in ("_write", "merge", "delete", "remove"):
        watch(method, "writes")
    return found


def undeclared(touched):
    """What stages read that would not make them run again, and write that others are not told of."""
    extra = {}
    for stage in STAGES:
        known = {*stage.reads, *stage.writes, *ASIDE.get(stage.job, ())}
        if left := (touched[stage.job]["reads"] - known) | (touched[stage.job]["writes"] - set(stage.writes)):
            extra[stage.job] = left
    return extra


def demo(home, world):
    small = {"demo.titles": 2, "demo.members": 1500, "demo.days": 9, "demo.world": world, "taste.iterations": 3}
    chosen = [f"--set={key}={value}" for key, value in {**small, "tables": home / "tables"}.items()]
    assert main(["--config", "conf/demo.yaml", *chosen]) == 0
    return json.loads((home / "summary.json").read_text())


def test_the_whole_pipeline_once_then_nothing_again_then_a_world_without_effect(spark, home, capsys, touched):
    first = demo(home, "taste")
    assert not undeclared(touched)
    assert first.keys() >= WANTED
    assert first["titles"] == 2
    assert 2 * 20 * 24 <= first["frames_scanned"] <= 2 * 60 * 24
    assert first["artworks"] == 16
    assert first["shots"] >= 12
    assert 0.05 <= first["oracle_lift"] <= 0.3
    assert first["lift_user_vs_uniform"] <= first["oracle_lift"] + 0.05
    assert (home / "report" / "index.html").is_file()
    said = capsys.readouterr().out
    assert "Report: " in said
    assert "What may be claimed from the logs alone:" in said

    second = demo(home, "taste")
    again = {stage for stage, seconds in second["seconds"].items() if seconds and stage in JOBS}
    assert not again, f"{again} did again what had not changed"
    same = WANTED - {"seconds"}
    assert {key: first[key] for key in same} == {key: second[key] for key in same}

    # The same films before people to whom artwork does not matter: nothing may be claimed.
    null = demo(home, "null")
    assert null["world"] == "null"
    assert null["oracle_lift"] == pytest.approx(0, abs=1e-9)
    assert null["lift_user_vs_uniform"] == pytest.approx(0, abs=1e-9)
    assert null["share_of_oracle"] is None
    assert not [sentence for sentence in null["conclusions"] if "beats" in sentence]
