"""select-artwork on tables made of photographs: what it writes, run twice, after a new scan, and with bad images."""

from dataclasses import replace
from hashlib import sha256

import cv2
import numpy as np
import pytest
from keyart.jobs import select_artwork as job
from skimage import data as photographs
from sklearn.datasets import load_sample_image

from keyart.config import load
from keyart.schemas import TABLES
from keyart.vision.features import FEATURE_NAMES, FEATURE_VERSION

PICTURES = {
    "astronaut": photographs.astronaut,
    "cat": photographs.chelsea,
    "coffee": photographs.coffee,
    "rocket": photographs.rocket,
    "motorcycle": lambda: photographs.stereo_motorcycle()[0],
    "temple": lambda: load_sample_image("china.jpg"),
    "flower": lambda: load_sample_image("flower.jpg"),
}


def picture(name: str) -> np.ndarray:
    """640 x 360 BGR cut from the middle of a photograph."""
    bgr = cv2.cvtColor(np.ascontiguousarray(PICTURES[name]()), cv2.COLOR_RGB2BGR)
    scale = max(640 / bgr.shape[1], 360 / bgr.shape[0])
    bgr = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    top, left = (bgr.shape[0] - 360) // 3, (bgr.shape[1] - 640) // 2
    return bgr[top : top + 360, left : left + 640]


def title_card() -> np.ndarray:
    card = np.full((360, 640, 3), 12, np.uint8)
    for row, words in enumerate(("A FILM BY NOBODY", "with friends")):
        cv2.putText(card, words, (170, 160 + 50 * row), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (235, 235, 235), 2, cv2.LINE_AA)
    return card


def jpeg(bgr: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def fill(tables, films: dict[str, list[bytes | None]], scan: str = "scan-1", stale=None) -> None:
    """Write titles, videos, candidates and images as a scan would; None is an image that never arrived.

    ``stale`` gives a title's candidates features, version and faces that an older keyart left there.
    """
    stale = stale or {}
    titles, videos, candidates, images = [], [], [], {}
    for title, contents in films.items():
        titles.append((title, title, [], None, False, [], [], [], None))
        videos.append((f"v-{title}", title, "x.mp4", "f", 1, "h264", 640, 360, 0, 1, 25, 60.0, 25.0, scan, "f", False))
        for number, content in enumerate(contents):
            content_hash = sha256(content or title.encode()).hexdigest()
            if content is not None:
                images[content_hash] = (content_hash, "image/jpeg", 640, 360, bytearray(content), None)
            share = 1 / max(1, len(contents))
            moment = (number * 100, number * 4.0, number, share, number * share, 0.0, 0.01, 0.8)
            looked_at = stale.get(title, (None, None, None))
            candidates.append((scan, f"v-{title}", title, *moment, content_hash, 640, 360, *looked_at, *[None] * 5))
    for table, rows in (
        ("titles", titles),
        ("videos", videos),
        ("candidates", candidates),
        ("images", list(images.values())),
    ):
        write = tables.merge if scan != "scan-1" else tables.append
        write(table, tables.spark.createDataFrame(rows, TABLES[table].schema))


def rows_of(tables, table: str) -> list[dict]:
    key = TABLES[table].key
    found = [row.asDict(recursive=True) for row in tables.read(table).collect()]
    return sorted(found, key=lambda row: tuple(str(row[name]) for name in key))


@pytest.fixture
def settings(tables):
    # No model file: the cascade finds the faces, so this runs anywhere.
    return load(
        None,
        [
            f"tables={tables.root}",
            "select.models_folder=nowhere",
            "select.artworks_per_title=4",
            "select.text=strokes",
            "select.cast=none",
        ],
    )


def test_artworks_are_chosen_written_and_kept(spark, tables, settings, capsys):
    sharp = [jpeg(picture(name)) for name in ("astronaut", "cat", "rocket", "temple", "flower", "coffee")]
    soft = jpeg(cv2.GaussianBlur(picture("cat"), (0, 0), 9))
    nearly = jpeg(cv2.convertScaleAbs(picture("rocket"), alpha=1.0, beta=4))
    fill(
        tables,
        {
            "good": [*sharp, soft, nearly, jpeg(title_card())],
            "cards": [jpeg(title_card())],
            "broken": [jpeg(picture("motorcycle")), b"not an image", None],
            "empty": [],
            "old": [jpeg(picture("motorcycle"))],
        },
        stale={"old": ([0.5, 0.5], "0", [])},
    )
    assert job.run(spark, settings) == 0
    said = capsys.readouterr()
    assert "title empty has no candidate" in said.out
    assert "no nowhere/" in said.err and len(said.err.strip().splitlines()) == 1

    candidates = {(row["title_id"], row["pts"]): row for row in rows_of(tables, "candidates")}
    artworks = rows_of(tables, "artworks")
    of = {title: [row for row in artworks if row["title_id"] == title] for title in ("good", "cards", "broken")}

    assert len(of["good"]) == 4
    assert sorted(row["rank"] for row in of["good"]) == [1, 2, 3, 4]
    assert [row["score"] for row in sorted(of["good"], key=lambda r: r["rank"])] == sorted(
        (row["score"] for row in of["good"]), reverse=True
    )
    shown = {row["pts"] for row in of["good"]}
    assert shown <= {0, 100, 200, 300, 400, 500, 700}, "neither the blurred one nor the title card"
    assert not {200, 700} <= shown, "near-duplicates are not both shown"
    assert candidates["good", 600]["verdict"] == "not usable: blurred"
    assert candidates["good", 800]["verdict"] == "not usable: title card"
    assert any(candidates["good", pts]["verdict"].startswith("near-duplicate of ") for pts in (200, 700))
    for row in of["good"]:
        assert candidates["good", row["pts"]]["verdict"].startswith("selected: ")
        assert row["active"] and row["variant"] == "original" and row["feature_version"] == FEATURE_VERSION
        assert len(row["features"]) == len(FEATURE_NAMES)
        assert row["features"] == candidates["good", row["pts"]]["features"]
        assert [crop["aspect"] for crop in row["crops"]] == ["16:9", "2:3", "1:1", "4:1"]

    assert [row["flags"] for row in of["cards"]] == [["title-card", "text", "weak"]], (
        "the least bad one, and it says so"
    )
    assert [row["pts"] for row in of["broken"]] == [0]
    assert candidates["broken", 100]["verdict"] == "image cannot be read"
    assert candidates["broken", 200]["verdict"] == "image missing"
    assert candidates["broken", 100]["features"] is None and candidates["broken", 100]["score"] is None

    assert candidates["old", 0]["feature_version"] == FEATURE_VERSION, "features of another version are computed again"
    assert len(candidates["old", 0]["features"]) == len(FEATURE_NAMES)

    # Run again: nothing is computed, nothing is written.
    before = rows_of(tables, "candidates"), artworks, tables.version("candidates"), tables.version("artworks")
    assert job.run(spark, settings) == 0
    assert "(0 looked at now" in capsys.readouterr().out
    after = rows_of(tables, "candidates"), rows_of(tables, "artworks")
    assert (*after, tables.version("candidates"), tables.version("artworks")) == before

    # Fewer wanted: the others stay as rows, inactive.
    job.run(spark, replace(settings, select=replace(settings.select, artworks_per_title=2)))
    assert "2 retired" in capsys.readouterr().out
    kept = [row for row in rows_of(tables, "artworks") if row["title_id"] == "good"]
    assert len(kept) == 4 and [row["active"] for row in sorted(kept, key=lambda row: -row["score"])].count(True) == 2


def test_a_new_scan_keeps_artwork_ids_and_retires_what_it_no_longer_shows(spark, tables, settings):
    first = [jpeg(picture(name)) for name in ("astronaut", "temple")]
    fill(tables, {"film": first})
    job.run(spark, settings)
    old = {row["image_hash"]: row for row in rows_of(tables, "artworks")}
    assert len(old) == 2
    fill(tables, {"film": [first[0], jpeg(picture("flower"))]}, scan="scan-2")
    job.run(spark, settings)
    new = {row["image_hash"]: row for row in rows_of(tables, "artworks")}
    assert len(new) == 3
    same, gone = sha256(first[0]).hexdigest(), sha256(first[1]).hexdigest()
    assert new[same]["artwork_id"] == old[same]["artwork_id"]
    assert new[same]["scan_id"] == "scan-2" and new[same]["active"]
    assert new[gone] == old[gone] | {"active": False}
    stale = [row for row in rows_of(tables, "candidates") if row["scan_id"] == "scan-1"]
    assert all(row["verdict"] for row in stale), "rows of the older scan stay as they were"

    # Viewers pause in the second picture's shot and leave in the first's, the end of which is the second's beginning.
    before = {row["pts"]: row["score"] for row in rows_of(tables, "candidates") if row["scan_id"] == "scan-2"}
    shots = [("scan-2", "v-film", n, 0, 0, 4.0 * n, 4.0 * n + 4, 0, 0, "cut", 0.5, 0.5, 0.1) for n in range(3)]
    tables.append("shots", spark.createDataFrame(shots, TABLES["shots"].schema))
    marked = [("film", 0.0, 0, 0, 60, 600), ("film", 5.0, 90, 0, 0, 500)]
    tables.overwrite("moments", spark.createDataFrame(marked, TABLES["moments"].schema))
    job.run(spark, settings)
    after = {row["pts"]: row["score"] for row in rows_of(tables, "candidates") if row["scan_id"] == "scan-2"}
    assert after == pytest.approx({0: before[0] * 0.8, 100: before[100] * 1.2 * 0.8})
