"""Hostile logs, links among them, and secrets that are planted everywhere: what is written is looked through."""

import json
import logging
import os
import sqlite3
import sys
import time
from contextlib import closing
from datetime import datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pyarrow.parquet as pq
import pytest

from keyart.cli import run_job
from keyart.config import load, with_values
from keyart.errors import TableError
from keyart.feedback.events_spark import checked
from keyart.feedback.log_spark import open_log
from keyart.operations.graph import Stage
from keyart.pipeline import run_stages
from keyart.seeding import rng
from keyart.tracking import Tracking

pytestmark = pytest.mark.spark

SECONDS = float(os.environ.get("KEYART_FUZZ_SECONDS", "60"))
LINES = 300
PLANTED = {
    "KEYART_USER_KEY": "planted-user-key-1", "KEYART_SUPPRESSION_KEY": "planted-list-key-2",
    "BROKER_PASSWORD": "planted-broker-3", "MLFLOW_TRACKING_TOKEN": "planted-mlflow-4",
}  # fmt: skip
SIGNED = "planted-signature-5"


def hostile():
    place = Path(__file__).parents[1] / "unit" / "fuzz" / "hostile.py"
    spec = spec_from_file_location("hostile", place)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def good(number: int) -> dict:
    return {
        "event_id": f"good-{number}", "event_type": "impression", "user_id": f"member-{number}", "title_id": "film1",
        "ts": "2026-01-02T10:00:00", "artwork_id": "a1", "propensity": 0.5, "candidate_set": ["a1", "a2"],
        "candidate_propensities": [0.5, 0.5], "policy_id": "p", "region": "SE", "local_hour": 10,
    }  # fmt: skip


def delivery(tool, folder: Path, number: int) -> Path:
    """A file in which every other line is an attack; beside it a link to a file that is none of ours."""
    random, lines = rng(3, "hostile log", number), []
    for place in range(LINES):
        lines.append(json.dumps(good(place)).encode())
        line = json.dumps(tool.replaced(random, good(place)) if random.random() < 0.7 else good(place))
        line = tool.mutated(random, line.encode(), 4) if random.random() < 0.5 else line.encode()
        lines.append(line.replace(b"\n", b" ").replace(b"\r", b" ").replace(b'"good-', b'"evil-'))
    home = folder / f"log-{number}"
    home.mkdir()
    (home / "events.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    other = folder / "private.jsonl"
    other.write_text(json.dumps({**good(0), "event_id": "private", "query": "private words"}) + "\n")
    (home / "link.jsonl").symlink_to(other)
    return home


def read(spark, log: Path):
    settings = load(None, [f"events.events={log}"])
    titles = spark.createDataFrame([("film1",)], "title_id string")
    artworks = spark.createDataFrame([("a1", "film1"), ("a2", "film1")], "artwork_id string, title_id string")
    opened = open_log(spark, settings.events)
    return opened, checked(opened.rows, titles, artworks, datetime(2026, 2, 1), b"key")


def hold(spark, tool, folder: Path, number: int) -> int:
    """Read a delivery; every good line is an event, nothing of the link is there. How many attacks were set aside."""
    _, events = read(spark, delivery(tool, folder, number))
    found = events.select("event_id", "reason", "payload").collect()
    whole = [row for row in found if row["event_id"] and row["event_id"].startswith("good-") and row["reason"] is None]
    assert {row["event_id"] for row in whole} == {f"good-{place}" for place in range(LINES)}
    assert not [row for row in found if "private" in f"{row['event_id']}{row['payload']}"]
    return sum(row["reason"] is not None for row in found)


def test_hostile_lines_and_links_cost_themselves_alone(spark, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "keyart"):
        aside = hold(spark, hostile(), tmp_path, 0)
    assert LINES * 0.2 < aside <= LINES + 50
    (line,) = (said for said in caplog.messages if "link.jsonl" in said)
    assert "link.jsonl lies outside" in line and "sources.roots allows more folders; it is left out" in line


@pytest.mark.soak
def test_a_minute_of_hostile_logs(spark, tmp_path):
    tool, end, number, aside = hostile(), time.monotonic() + SECONDS, 1, 0
    while time.monotonic() < end:
        aside += hold(spark, tool, tmp_path, number)
        number += 1
    print(f"{number - 1} deliveries of {LINES} hostile lines, {aside} rows set aside")
    assert number > 3 and aside


def everything(home: Path) -> dict[str, str]:
    """Every file that was written, as text: rows of Parquet and SQLite as well as bytes."""
    found = {}
    for path in home.rglob("*"):
        if not path.is_file():
            continue
        text = path.read_bytes().decode("latin-1")
        if path.suffix == ".parquet":
            text += repr(pq.read_table(path, partitioning=None).to_pylist())
        if path.suffix == ".db":
            with closing(sqlite3.connect(path)) as database:
                text += "\n".join(database.iterdump())
        found[str(path.relative_to(home))] = text
    return found


def test_planted_secrets_stand_in_nothing_that_is_written(spark, tmp_path, monkeypatch, capsys):
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    home = tmp_path / "written"
    (tmp_path / "list.csv").write_text(
        "title_id,name,uri\nt,Title,\nout,Out,../../etc/passwd\n"
        f"far,Far,https://ann:{PLANTED['BROKER_PASSWORD']}@127.0.0.1:9/film.mp4?sig={SIGNED}\n"
    )
    options = '{kafka.sasl.jaas.config: "password={{env/BROKER_PASSWORD}}", subscribe: topic}'
    shared = [f"tables={home}/tables", f"logging.file={home}/log.jsonl", "logging.format=json"]
    shared.append(f"stream.options={options}")
    arguments = [word for one in shared for word in ("--set", one)]
    assert run_job("ingest-catalog", ["--manifest", str(tmp_path / "list.csv"), *arguments, "--verbose"]) == 0
    streamed = run_job("stream-feedback", ["--set", "stream.format=kafka", *arguments, "--verbose"])
    assert streamed != 0, "there is no connector and no broker"
    settings = with_values(load(None, shared), {"report.folder": str(home / "report")})

    def fail(spark, settings):
        raise TableError(f"the broker refused {PLANTED['BROKER_PASSWORD']}")

    broken = ModuleType("keyart.jobs.broken")
    broken.run = fail  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, broken.__name__, broken)
    (result,) = run_stages(spark, settings, [Stage("broken", (), ("stream",))], progress=False)
    assert result.error == "the broker refused [hidden]"
    tracking = Tracking(settings.tracking, settings.tables)
    with tracking.run("planted", {"address": f"https://u:x@h/?sig={SIGNED}", "key": PLANTED["KEYART_USER_KEY"]}):
        tracking.text("notes.txt", [f"token {PLANTED['MLFLOW_TRACKING_TOKEN']}"])
    assert run_job("build-report", ["--report", str(home / "report"), *arguments]) == 0
    said = capsys.readouterr()
    written = everything(home) | {"stdout": said.out, "stderr": said.err}
    assert {"log.jsonl", "report/operations.html", "mlflow/mlflow.db"} <= set(written)
    assert any(name.startswith("tables/stage_runs") for name in written)
    for name, text in written.items():
        assert not [secret for secret in (*PLANTED.values(), SIGNED) if secret in text], name
    assert "lies outside" in said.out and "list.csv, line 3" in said.out
    assert "https://[hidden]@127.0.0.1:9/film.mp4?sig=[hidden]" in said.out
