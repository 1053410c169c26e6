"""The metrics file as Prometheus' own parser reads it."""

from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from keyart.errors import ConfigError
from keyart.operations.metrics import write_metrics

AT = datetime(2026, 3, 1, tzinfo=UTC)
DONE = {
    "scan-videos": {
        "seconds": 12.5, "cost": None, "finished_at": AT,
        "written": [{"table": "frames", "rows": 7}, {"table": "shots", "rows": 2}],
    },
    "train-taste": {"seconds": 3.0, "cost": 0.5, "finished_at": AT, "written": []},
}  # fmt: skip


def samples(path):
    families = text_string_to_metric_families(path.read_text("utf-8"))
    return {(one.name, *sorted(one.labels.items())): one.value for family in families for one in family.samples}


def test_figures_by_stage(tmp_path):
    path = tmp_path / "collected" / "keyart.prom"
    for _ in range(2):  # a second time it is replaced, not added to
        write_metrics(str(path), DONE, {"scan-videos": "done", "train-taste": "failed"}, {'odd "x"': 4})
    found = samples(path)
    assert found["keyart_stage_seconds", ("stage", "scan-videos")] == 12.5
    assert found["keyart_stage_rows", ("stage", "scan-videos"), ("table", "frames")] == 7
    assert found["keyart_stage_last_success_timestamp_seconds", ("stage", "train-taste")] == AT.timestamp()
    assert found["keyart_stage_cost", ("stage", "train-taste")] == 0.5
    assert ("keyart_stage_cost", ("stage", "scan-videos")) not in found, "not known is not free"
    assert found["keyart_stage_state", ("stage", "train-taste"), ("state", "failed")] == 1
    assert found["keyart_stage_state", ("stage", "train-taste"), ("state", "done")] == 0
    assert found["keyart_quarantined_rows", ("reason", 'odd "x"')] == 4
    assert [file.name for file in path.parent.iterdir()] == ["keyart.prom"], "nothing is left beside it"


def test_a_place_that_cannot_be_written_is_a_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"metrics\.file: .* cannot be written"):
        write_metrics(str(tmp_path / "file" / "x.prom"), DONE, {}, {})
