"""The notebooks run from top to bottom, as scripts do: on films alone, and on a whole run with logs."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keyart.demo.studio import tiny_film
from keyart.seeding import rng
from keyart.tables import Tables

pytestmark = pytest.mark.spark

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
START = datetime(2026, 3, 1, tzinfo=UTC)


def cells(path: Path) -> list[str]:
    """The code of a notebook in Databricks' source format, cell by cell; text cells are left out."""
    text = path.read_text("utf-8")
    assert text.startswith("# Databricks notebook source\n")
    code = [part for part in re.split(r"^# COMMAND -{10}$", text, flags=re.M) if "# MAGIC" not in part]
    return [part for part in code if part.strip()]


def execute(name: str, spark, notebook: dict | None = None, only: tuple[str, ...] = ("",)) -> dict:
    """Run the cells in one namespace, as a notebook does; with ``only``, those that name one of these words."""
    notebook = {"spark": spark, "__name__": "__main__"} if notebook is None else notebook
    for number, cell in enumerate(cells(NOTEBOOKS / name), 1):
        if any(word in cell for word in only):
            exec(compile(cell, f"{name}, cell {number}", "exec"), notebook)  # noqa: S102 - our own notebooks
    return notebook


def logs(path: Path, artworks: dict[str, list[str]], members: int = 120, days: int = 12) -> None:
    """A log of uniform artwork: each member sees each title once a day; the first artwork of a title is liked best."""
    with path.open("w") as file:

        def line(kind: str, user: str, title: str, at: datetime, **more) -> None:
            row = {"event_type": kind, "user_id": user, "title_id": title, "ts": at.isoformat(), "device": "tv"}
            row |= {"region": ("SE", "JP")[int(user[1:]) % 2], "local_hour": 20, "kids": False, "surface": "home"}
            file.write(json.dumps(row | more) + "\n")

        for m in range(members):
            user, draw = f"u{m}", rng(11, m)
            for day in range(days):
                at = START + timedelta(days=day, hours=18, seconds=m)
                for title, candidates in artworks.items():
                    n = len(candidates)
                    pick = int(draw.integers(n))
                    logged = {"propensity": 1 / n, "candidate_set": candidates, "candidate_propensities": [1 / n] * n}
                    where = {"policy_id": "uniform", "row": 0, "position": 1, "already_started": False}
                    line("impression", user, title, at, artwork_id=candidates[pick], **logged, **where)
                    if draw.random() < (0.5 if pick == 0 else 0.25):
                        take = {"artwork_id": candidates[pick], "source": "row"}
                        line("take", user, title, at + timedelta(minutes=1), **take)
                        line("play", user, title, at + timedelta(minutes=1), source="row")
                        line("complete", user, title, at + timedelta(minutes=2), watched_seconds=3.0)


@pytest.fixture
def films(tmp_path) -> dict[str, Path]:
    """A folder of three small films and a manifest that knows their genres, as the notebook's variables."""
    folder, lines = tmp_path / "films", ["title_id,name,uri,genres"]
    folder.mkdir()
    for seed, genre in enumerate(("drama", "comedy", "thriller"), 1):
        tiny_film(folder / f"film-{seed}.mp4", seed=seed)
        lines.append(f"film-{seed},Film {seed},,{genre}")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("\n".join(lines))
    return {"KEYART_VIDEOS": folder, "KEYART_MANIFEST": manifest}


def environment(monkeypatch, tmp_path, **values: object) -> None:
    empty = dict.fromkeys(("KEYART_REPORT", "KEYART_EVENTS", "KEYART_MANIFEST"), "")
    given = {"KEYART_TABLES": tmp_path / "run" / "tables"} | empty | values
    for key, value in given.items():
        monkeypatch.setenv(key, str(value))
    monkeypatch.chdir(NOTEBOOKS.parent)


def test_the_pipeline_is_walked_on_films_and_then_on_logs(spark, tmp_path, films, monkeypatch, capsys):
    environment(monkeypatch, tmp_path, **films)
    notebook = execute("01_walk_the_pipeline.py", spark)
    index = tmp_path / "run" / "report" / "index.html"
    assert "No policy yet" in index.read_text("utf-8")
    tables = Tables(spark, str(tmp_path / "run" / "tables"))
    artworks: dict[str, list[str]] = {}
    for row in tables.read("artworks").where("active").orderBy("title_id", "rank").collect():
        artworks.setdefault(row["title_id"], []).append(row["artwork_id"])
    assert len(artworks) == 3 and all(len(ids) > 1 for ids in artworks.values())

    logs(tmp_path / "log.jsonl", artworks)
    environment(monkeypatch, tmp_path, **films, KEYART_EVENTS=tmp_path / "log.jsonl")
    # Whoever adds logs later runs the settings again and goes on from there.
    execute("01_walk_the_pipeline.py", spark, notebook, only=("EVENTS", "build_report"))
    assert "Current defaults, everywhere" in index.read_text("utf-8")

    capsys.readouterr()
    found = execute("02_look_into_assignments.py", spark)
    said = capsys.readouterr().out
    assert "regional defaults are better" in said and "uniform" in said
    assert set(found["defaults"]["region"]) >= {"*", "SE", "JP"}
    everywhere = found["defaults"].query("region == '*'").set_index("title")["artwork"]
    assert (everywhere == 1).mean() > 0.5, "the artwork that members liked is the default"


def test_notebooks_are_in_databricks_source_format():
    for path in sorted(NOTEBOOKS.glob("*.py")):
        parts = path.read_text("utf-8").split("# COMMAND ----------\n")
        assert len(parts) > 5 and cells(path)
        for part in parts:
            lines = [line for line in part.strip().splitlines() if line and line != "# Databricks notebook source"]
            magic = [line.startswith("# MAGIC") for line in lines]
            assert all(magic) or not any(magic), f"{path.name}: a cell is text or code, not both"


def test_looking_into_a_run_without_logs_says_so(spark, tmp_path, monkeypatch, capsys):
    environment(monkeypatch, tmp_path)
    execute("02_look_into_assignments.py", spark)
    assert "Nothing has been evaluated yet" in capsys.readouterr().out
