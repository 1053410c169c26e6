"""How soon something new found its artwork: figures and curve of the log's launches, from policy_measures."""

import re
from collections.abc import Iterable

from keyart.report import wording
from keyart.report.facts import Row
from keyart.report.plots import Plot

__all__ = ["curve", "told"]

ALL = "*"
KINDS = {ALL: "titles and artworks", "kind=title": "titles", "kind=artwork": "artworks of known titles"}
MEASURES = {
    "cold_days": "90% of the eventual value",
    "cold_gain_days": "90% of the eventual gain over an even draw",
}
CAPTION = "Value of what was launched, as a share of what it came to; mean of launches with its 95% interval"


def told(measures: Iterable[Row]) -> list[tuple[str, str]]:
    """What is reached and after how long; empty where nothing was launched, or the log is too short to tell."""
    found = {(r["measure"], r["segment"]): r for r in measures}
    lines = []
    for segment, kind in KINDS.items():
        count = found.get(("launches", segment))
        if count is None or (segment != ALL and count["value"] == found["launches", ALL]["value"]):
            continue  # one kind alone is all there is
        lines.append((f"new {kind}", f"{wording.count(count['value'])} launches"))
        for name, about in MEASURES.items():
            row = found.get((name, segment))
            if row is not None:
                lines.append((f"new {kind}: {about}", _days(row)))
    return lines


def curve(measures: Iterable[Row]) -> Plot | None:
    """Value by days since launch."""
    rows = sorted((r for r in measures if r["measure"] == "cold_value"), key=lambda r: r["segment"])
    points, cells = [], []
    for row in rows:
        day = int(re.sub(r"\D", "", row["segment"]))
        points.append({"day": day, **{name: round(row[name], 4) for name in ("value", "lower", "upper")}})
        cells.append((str(day), *(wording.percent(row[name]) for name in ("value", "lower", "upper"))))
    heads = ("days since launch", "of the eventual value", "from", "to")
    return Plot("launch", CAPTION, points, heads, cells) if points else None


def _days(row: Row) -> str:
    days = f"{row['value']:g} days, the median"
    return days if row["lower"] is None else f"{days} (95% interval {row['lower']:g} to {row['upper']:g})"
