"""A title's page: the film along its time, the artworks chosen and those not, and who sees which."""

import math
from collections.abc import Sequence
from typing import Any

from keyart.report import wording
from keyart.report.catalogue import Z95, Catalogue, gain, interval_of, page_of
from keyart.report.charts import Estimate, film_colour, interval_chart
from keyart.report.facts import Picture, Row
from keyart.report.plots import Plot

__all__ = ["title_page", "wilson"]

CELLS = 120
"""Most pictures side by side in a film strip; longer films show one of several shots."""
STRONG = 0.35
"""Relative change at which a figure's tint in the region table is fullest."""
LEVELS = {"global": "Everywhere", "parent": "Parent region", "region": "Region"}


def title_page(catalogue: Catalogue, title: Row) -> dict[str, Any]:
    """What templates/title.html shows."""
    title_id = title["title_id"]
    artworks = [_artwork(catalogue, row) for row in catalogue.artworks.get(title_id, [])]
    shown = catalogue.candidates.get(title_id, [])
    chosen = {row["image_hash"] for row in catalogue.artworks.get(title_id, [])}
    others = [row for row in shown if row["image_hash"] not in chosen]
    return {
        "name": title["name"],
        "page": page_of(title_id),
        "title": title,
        "films": [_film(catalogue, video) for video in catalogue.videos.get(title_id, [])],
        "artworks": artworks,
        "candidates": [_candidate(catalogue, row) for row in others],
        "candidates_left": shown[0]["of"] - len(shown) if shown else 0,
        "looked_at": any(row["verdict"] for row in shown),
        "people": _people(catalogue, title_id),
        "winners": _winners(catalogue, title_id),
        "regions": _regions(catalogue, title_id),
        "segments": _segments(catalogue, title_id),
        "has_policy": catalogue.facts.policy is not None,
    }


def _artwork(catalogue: Catalogue, row: Row) -> dict[str, Any]:
    n, takes = catalogue.seen.get(row["artwork_id"], (0, 0))
    wins = [
        cell for level, cell in catalogue.cells_of(row["title_id"]) if level == "region" and _wins(catalogue, row, cell)
    ]
    return {
        "row": row,
        "number": catalogue.number[row["artwork_id"]],
        "picture": catalogue.picture(row),
        "alt": catalogue.alt(row),
        "time": wording.clock(row["seconds"]),
        "parent": catalogue.number.get(row.get("parent_artwork_id") or ""),
        "excluded": list(row.get("excluded_regions") or ()),
        "crops": sorted(row["crops"], key=lambda crop: -crop["width"] / max(crop["height"], 1e-9)),
        "take_rate": wording.percent(takes / n, 2) if not catalogue.is_few(row["artwork_id"], n) else None,
        "n": wording.count(n),
        "wins": wins,
    }


def _people(catalogue: Catalogue, title_id: str) -> list[dict[str, Any]]:
    """Who the artworks show, the longest on screen first: their largest face, share of screen time, and where."""
    found: dict[int, dict[str, Any]] = {}
    for row in catalogue.artworks.get(title_id, []):
        picture, number = catalogue.picture(row), catalogue.number[row["artwork_id"]]
        shares = dict(zip(row.get("cast_clusters") or (), row.get("cast_prominence") or (), strict=False))
        for face, detail in zip(row["faces"], row.get("face_details") or (), strict=False):
            cluster = detail["cluster"]
            if cluster is None or picture is None:
                continue
            person = found.setdefault(cluster, {"cluster": cluster, "share": None, "numbers": [], "size": 0.0})
            person["share"] = shares.get(cluster, person["share"])
            person["numbers"] += [number] if number not in person["numbers"] else []
            if face["height"] > person["size"]:
                person |= {"size": face["height"], "picture": picture, "box": _around(face, picture)}
    return [
        {**person, "share": None if person["share"] is None else wording.percent(person["share"], 0)}
        for _, person in sorted(found.items())
    ]


def _around(face: Row, picture: Picture) -> str:
    """A square around a face with some air, in the picture's pixels: x, y, width, height of an SVG's view."""
    side = 1.5 * max(face["width"] * picture.width, face["height"] * picture.height)
    x = (face["x"] + face["width"] / 2) * picture.width - side / 2
    y = (face["y"] + face["height"] / 2) * picture.height - side / 2
    return f"{x:.1f} {y:.1f} {side:.1f} {side:.1f}"


def _wins(catalogue: Catalogue, row: Row, region: str) -> bool:
    default = catalogue.default(row["title_id"], region)
    return default is not None and default.artwork_id == row["artwork_id"]


def _candidate(catalogue: Catalogue, row: Row) -> dict[str, Any]:
    return {
        "picture": catalogue.picture(row),
        "alt": f"frame at {wording.clock(row['seconds'])}",
        "time": wording.clock(row["seconds"]),
        "verdict": row["verdict"] or "not looked at closely yet",
        "score": None if row["score"] is None else f"{row['score']:.2f}",
        "quality": f"{row['quality']:.2f}",
    }


def _film(catalogue: Catalogue, video: Row) -> dict[str, Any]:
    facts = catalogue.facts
    key = video["video_id"]
    shots = sorted((row for row in facts.shots if row["video_id"] == key), key=lambda row: row["shot_id"])
    signal = sorted((row for row in facts.signal if row["video_id"] == key), key=lambda row: row["bin"])
    end = max([row["end_seconds"] for row in shots] + [video["duration_seconds"] or 0.0, 1e-6])
    own = [row for row in catalogue.artworks.get(video["title_id"], []) if row["video_id"] == key]
    pins = [row for row in own if not row.get("parent_artwork_id")]  # variants are of the same moment
    candidates = [row for row in catalogue.candidates.get(video["title_id"], []) if row["video_id"] == key]
    return {
        "video": video,
        "duration": wording.span(video["duration_seconds"] or (end if shots else None)),
        "size": wording.size(video["size_bytes"]),
        "scanned": video["current_scan_id"] is not None,
        "shots": [_shot(row, end) for row in shots],
        "strip": _strip(catalogue, shots, candidates, end),
        "plot": _signals(signal, candidates, end) if signal else None,
        "ticks": [(100 * k / 4, wording.clock(end * k / 4)) for k in range(5)],
        "pins": [_pin(catalogue, row, end) for row in pins if row["seconds"] is not None],
        "failures": [r for r in facts.failures if (r["video_id"], r["scan_id"]) == (key, video["current_scan_id"])],
    }


def _signals(signal: Sequence[Row], candidates: Sequence[Row], end: float) -> Plot:
    """Brightness and motion (to the film's strongest) along the film, and how tall the faces of its candidates are."""
    top = max(row["motion"] for row in signal) or 1.0
    lines = [
        {"seconds": round(r["seconds"], 1), "brightness": round(r["luma"], 3), "motion": round(r["motion"] / top, 3)}
        for r in signal
    ]
    faces = [
        {"seconds": round(r["seconds"], 1), "face": round(r["face_height"], 3)} for r in candidates if r["face_height"]
    ]
    return Plot("film", "Brightness, motion and faces along the film", [*lines, {"seconds": round(end, 1)}, *faces])


def _pin(catalogue: Catalogue, row: Row, end: float) -> dict[str, Any]:
    time = wording.clock(row["seconds"])
    return {"left": 100 * row["seconds"] / end, "number": catalogue.number[row["artwork_id"]], "time": time}


def _shot(row: Row, end: float) -> dict[str, Any]:
    return {
        "id": row["shot_id"],
        "left": 100 * row["start_seconds"] / end,
        "width": 100 * (row["end_seconds"] - row["start_seconds"]) / end,
        "colour": film_colour(row["luma_mean"], row["warmth"]),
        "from": wording.clock(row["start_seconds"]),
        "seconds": f"{row['end_seconds'] - row['start_seconds']:.1f}",
        "transition": row["transition_in"],
        "luma": f"{row['luma_mean']:.2f}",
        "warmth": f"{row['warmth']:+.2f}".replace("-", wording.MINUS),
        "motion": f"{row['motion']:.3f}",
    }


def _strip(catalogue: Catalogue, shots: Sequence[Row], candidates: Sequence[Row], end: float) -> list[dict[str, Any]]:
    """The best frame of every shot, as wide as the shot is long; of many shots, the longest of each stretch."""
    best: dict[int, Row] = {}
    for row in candidates:
        kept = best.get(row["shot_id"])
        if kept is None or row["quality"] > kept["quality"]:
            best[row["shot_id"]] = row
    step = -(-len(shots) // CELLS) or 1
    cells = []
    for first in range(0, len(shots), step):
        group = shots[first : first + step]
        pictured = [row for row in group if catalogue.picture(best.get(row["shot_id"]))]
        longest = max(pictured or group, key=lambda row: (row["end_seconds"] - row["start_seconds"], -row["shot_id"]))
        length = group[-1]["end_seconds"] - group[0]["start_seconds"]
        cells.append(
            {
                "width": 100 * length / end,
                "picture": catalogue.picture(best.get(longest["shot_id"])),
                "colour": film_colour(longest["luma_mean"], longest["warmth"]),
                "about": f"{wording.clock(group[0]['start_seconds'])}, {length:.1f} s",
            }
        )
    return cells


def _winners(catalogue: Catalogue, title_id: str) -> dict[str, Any] | None:
    """Which artwork each level shows, with its reward against the title's average artwork."""
    found = []
    for level, cell in catalogue.cells_of(title_id):
        best = [row for row in catalogue.cell(level, cell, title_id) if row["is_default"]]
        if best:
            found.append((level, cell, best[0]))
    if not found:
        return None
    estimates = [Estimate(cell, *interval_of(row)) for _, cell, row in found]
    chart = interval_chart(estimates)
    base = found[0][2]["artwork_id"]
    rows = [
        {
            "level": level,
            "label": "everywhere" if level == "global" else cell,
            "number": catalogue.number[row["artwork_id"]],
            "picture": catalogue.picture(catalogue.artwork[row["artwork_id"]]),
            "differs": row["artwork_id"] != base,
            "bar": bar,
            "value": wording.signed_percent(bar.estimate.value),
            "taken": _taken(catalogue, row),
            "interval": f"{wording.signed_percent(bar.estimate.lower)} to {wording.signed_percent(bar.estimate.upper)}",
            **dict(zip(("n", "takes", "reason"), catalogue.counted(row), strict=True)),
        }
        for (level, cell, row), bar in zip(found, chart.bars, strict=True)
    ]
    return {"rows": rows, "axis": chart.axis}


def _taken(catalogue: Catalogue, row: Row) -> str:
    """Take fraction with its 95% interval (Wilson 1927); nothing of a cell too small to show."""
    n, takes = row["n"], row["takes"]
    if catalogue.is_few(row["artwork_id"], n, row["level"], row["cell"]):
        return wording.NOTHING
    lower, upper = wilson(takes, n)
    return f"{wording.percent(takes / n, 2)} ({wording.percent(lower, 2)} to {wording.percent(upper, 2)})"


def wilson(takes: float, n: float) -> tuple[float, float]:
    """95% interval of a share (Wilson 1927): ``takes`` of ``n``, n > 0.

    >>> [round(bound, 4) for bound in wilson(10, 100)]
    [0.0552, 0.1744]
    """
    share, z2 = takes / n, Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def _regions(catalogue: Catalogue, title_id: str) -> dict[str, Any] | None:
    """Every artwork in every cell: reward against the title's average artwork, tinted by how much."""
    cells = catalogue.cells_of(title_id)
    artworks = catalogue.artworks.get(title_id, [])
    if not cells or not artworks:
        return None
    figures = {(cell, row["artwork_id"]): row for cell in cells for row in catalogue.cell(*cell, title_id)}
    lines = []
    for artwork in artworks:
        line = [figures.get((cell, artwork["artwork_id"])) for cell in cells]
        lines.append(
            {
                "number": catalogue.number[artwork["artwork_id"]],
                "picture": catalogue.picture(artwork),
                "alt": catalogue.alt(artwork),
                "cells": [_tinted(catalogue, row) for row in line],
            }
        )
    heads = [{"label": "everywhere" if level == "global" else cell, "level": level} for level, cell in cells]
    return {"heads": heads, "lines": lines}


def _segments(catalogue: Catalogue, title_id: str) -> list[dict[str, Any]]:
    """What members of a taste are given of their own, the most frequent first; all others see their default."""
    found: dict[str, list[Row]] = {}
    for row in catalogue.facts.segments:
        if row["title_id"] == title_id and row["artwork_id"] in catalogue.artwork:
            found.setdefault(row["segment"], []).append(row)
    lines = []
    for segment, rows in sorted(found.items()):
        ordered = sorted(rows, key=lambda row: (-row["members"], row["artwork_id"]))
        given = [
            {
                "number": catalogue.number[row["artwork_id"]],
                "picture": catalogue.picture(catalogue.artwork[row["artwork_id"]]),
                "share": wording.percent(row["members"] / row["of"], 0),
            }
            for row in ordered
        ]
        lines.append({"name": segment, "given": given, "members": wording.count(ordered[0]["of"])})
    return lines


def _tinted(catalogue: Catalogue, row: Row | None) -> dict[str, Any] | None:
    if row is None:
        return None
    value = gain(row["mean"])
    spread = Z95 * row["sd"]
    n, takes, _ = catalogue.counted(row)
    return {
        "value": wording.signed_percent(value, 0),
        "tint": round(min(abs(value) / STRONG, 1.0) * 100),
        "sign": "below" if value < 0 else "above",
        "is_default": row["is_default"],
        "about": f"95% interval {wording.signed_percent(gain(row['mean'] - spread), 0)} to "
        f"{wording.signed_percent(gain(row['mean'] + spread), 0)}; {n} decisions, {takes} takes; "
        f"served {wording.percent(row['probability'], 0)}",
    }
