"""ingest-catalog on real Delta tables: everything is registered, the unreadable named, nothing of a scan is lost."""

from pathlib import Path

import av
import numpy as np
import pytest
from keyart.jobs.ingest_catalog import run

from keyart.config import load
from keyart.errors import InputError

pytestmark = pytest.mark.spark


def write_clip(path: Path, shade: int) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for k in range(6):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade + k, np.uint8), format="rgb24")
            for packet in stream.encode(picture):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)


def rows(tables, name: str, *drop: str) -> list[tuple]:
    return sorted(tuple(map(str, row)) for row in tables.read(name).drop(*drop).collect())


@pytest.fixture
def folder(tmp_path):
    films = tmp_path / "films"
    films.mkdir()
    write_clip(films / "First Film.mp4", 40)
    (films / "zero.mp4").write_bytes(b"")
    (films / "text.mp4").write_text("no film\n" * 100)
    return films


def test_a_folder_with_bad_files(spark, tables, folder, capsys):
    settings = load(None, [f"tables={tables.root}", f"catalog.videos={folder}"])
    assert run(spark, settings) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said[:-1]] == ["unreadable"] * 2
    assert said[-1] == "ingested 3 titles, 1 films; 2 films cannot be read"
    titles = {row["title_id"]: row for row in tables.read("titles").collect()}
    assert set(titles) == {"first-film", "zero", "text"}
    assert titles["first-film"]["name"] == "First Film"
    assert titles["first-film"]["genres"] == []
    (video,) = tables.read("videos").collect()
    assert (video["title_id"], video["codec"], video["width"], video["height"]) == ("first-film", "h264", 64, 48)
    assert video["current_scan_id"] is None
    failures = tables.read("scan_failures").collect()
    assert {(row["scan_id"], row["segment"]) for row in failures} == {("catalog", -1)}
    assert all(row["reason"] and "\n" not in row["reason"] for row in failures)

    before = {name: rows(tables, name) for name in ("titles", "videos", "scan_failures")}
    assert run(spark, settings) == 0
    assert {name: rows(tables, name) for name in before} == before

    # A scan happened, one bad file was mended and one film was replaced.
    spark.sql(f"UPDATE {tables.name('videos')} SET current_scan_id = 's1', scanned_fingerprint = fingerprint")
    write_clip(folder / "zero.mp4", 90)
    write_clip(folder / "First Film.mp4", 100)
    assert run(spark, settings) == 0
    videos = {row["title_id"]: row for row in tables.read("videos").collect()}
    assert set(videos) == {"first-film", "zero"}
    assert videos["first-film"]["current_scan_id"] == "s1"
    assert videos["first-film"]["scanned_fingerprint"] == video["fingerprint"] != videos["first-film"]["fingerprint"]
    assert [row["uri"] for row in tables.read("scan_failures").collect()] == [str(folder / "text.mp4")]


def test_a_manifest_with_titles_that_have_no_film(spark, tables, folder, tmp_path):
    manifest = tmp_path / "catalogue.csv"
    manifest.write_text(
        "title_id,name,uri,genres,kids,rights\n"
        "one,One,films/First Film.mp4,Drama|War,no,SE:2026-01-01:2026-12-31\n"
        "two,Two,,Comedy,yes,\n"
    )
    assert run(spark, load(None, [f"tables={tables.root}", f"catalog.manifest={manifest}"])) == 0
    one, two = sorted(tables.read("titles").collect(), key=lambda row: row["title_id"])
    assert one["genres"] == ["drama", "war"]
    assert one["rights"][0]["region"] == "SE" and str(one["rights"][0]["to_date"]) == "2026-12-31"
    assert two["kids"] and two["rights"] == []
    assert [row["title_id"] for row in tables.read("videos").collect()] == ["one"]


def test_no_source_or_a_missing_one_is_refused(spark, tables, folder, tmp_path):
    with pytest.raises(InputError, match="takes --videos"):
        run(spark, load(None, [f"tables={tables.root}"]))
    with pytest.raises(InputError, match="no such folder"):
        run(spark, load(None, [f"tables={tables.root}", f"catalog.videos={tmp_path}/nowhere"]))
    assert not tables.exists("titles")
