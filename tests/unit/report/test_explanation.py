"""An artwork explained: words for every feature, standing among the title's pictures, terminal lines, one HTML file."""

import re

import cv2
import numpy as np

from keyart.report.explanation import explain, page, text
from keyart.report.signals import read_signals
from keyart.vision.features import FEATURE_NAMES, FEATURE_VERSION

CROP = {"aspect": "1:1", "x": 0.25, "y": 0.0, "width": 0.5, "height": 1.0}


def artwork(**other):
    features = np.full(len(FEATURE_NAMES), 0.5)
    features[FEATURE_NAMES.index("brightness")] = 0.9
    features[FEATURE_NAMES.index("warmth")] = -0.8
    row = {
        "artwork_id": "a1", "title_id": "t", "video_id": "v", "scan_id": "s", "seconds": 61.5, "image_hash": "h" * 64,
        "features": features.tolist(), "feature_version": FEATURE_VERSION, "faces": [], "moods": ["warm"],
        "flags": ["spoiler"], "sightings": [{"label": "x:dog", "score": 0.91}], "excluded_regions": ["SE"],
        "shot_type": "wide", "crops": [CROP], "score": 0.625, "rank": 2, "reason": "no face, sharp", "active": True,
        "variant": "original", "parent_artwork_id": None,
    }  # fmt: skip
    return row | other


def cell(level, cell, mean, default):
    return {
        "level": level, "cell": cell, "mean": mean, "sd": 0.01, "probability": 0.95 if default else 0.05,
        "is_default": default, "reason": "gains by more warmth",
    }  # fmt: skip


def test_signals_have_ranges_words_and_standing():
    row = artwork()
    others = np.tile(np.linspace(0, 1, 5)[:, None], (1, len(FEATURE_NAMES))).tolist()
    found = {signal.name: signal for signal in read_signals(row["features"], others)}
    assert len(found) == len(FEATURE_NAMES)
    bright, warm = found["brightness"], found["warmth"]
    assert (bright.low, bright.word, bright.standing) == (0.0, "brighter light", 0.8)
    assert (warm.low, warm.word, warm.standing) == (-1.0, "cooler colours", 0.0)
    assert all(signal.standing is None for signal in read_signals(row["features"], []))


def test_the_terminal_says_why_what_and_where():
    child = {"artwork_id": "a9", "variant": "grade-warm"}
    cells = [cell("region", "SE", -0.1, False), cell("global", "*", 0.2, True)]
    found = explain("a1", artwork(), "Film", [], [child], cells)
    lines = list(text(found, "out.html"))
    said = "\n".join(lines)
    assert lines[0] == "Film: a1" and lines[1] == "  chosen: no face, sharp"
    for words in (
        "picture: out.html",
        "0.625, rank 2",
        "1:01",
        "spoiler",
        "x:dog 0.91",
        "made of it",
        "a9 (grade-warm)",
    ):
        assert words in said
    assert re.search(r"not shown in +SE", said) and re.search(r"crop 1:1 +x 0.250", said)
    assert re.search(r"brightness +0.90 +\[0, 1\] +– +brighter light", said)
    assert said.index("everywhere: +22.1%") < said.index("SE: −9.5%")
    assert len([line for line in lines if re.search(r"\[-?[01], 1\]", line)]) == len(FEATURE_NAMES)


def test_what_was_not_chosen_or_not_looked_at_says_so():
    row = artwork(quality=0.7, verdict="near-duplicate of 0:04")
    for name in ("variant", "parent_artwork_id", "active", "rank", "reason"):
        del row[name]
    assert explain("a1", row, "Film", [], [], []).verdict == "not chosen: near-duplicate of 0:04"
    older = explain("a1", artwork(feature_version="0", active=False), "Film", [], [], [])
    assert older.verdict.startswith("chosen once, retired since") and not older.signals
    assert "version 0" in older.note and "select-artwork" in older.note


def test_the_page_stands_alone_and_escapes():
    picture = cv2.imencode(".jpg", np.full((90, 160, 3), 90, np.uint8))[1].tobytes()
    html = page(explain("a1", artwork(reason="<b>bold</b>"), "A & B", [], [], []), picture)
    assert "<b>bold" not in html and "A &amp; B" in html
    assert not re.search(r"(?:src|href)=\"(?!data:image/jpeg;base64,)", html)
    assert html.count("<meter") == len(FEATURE_NAMES)
    assert 'viewBox="40.0 0.0 80.0 90.0"' in html
    assert "cannot be read" in page(explain("a1", artwork(), "F", [], [], []), None)
