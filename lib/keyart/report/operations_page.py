"""What those who run the pipeline ask: what could not be read, what was set aside, how long it took, what there is."""

from typing import Any

from keyart.report import wording
from keyart.report.catalogue import Catalogue, page_of
from keyart.report.plots import Plot
from keyart.secrecy import hidden

__all__ = ["operations_page"]


def operations_page(catalogue: Catalogue) -> dict[str, Any]:
    """What templates/operations.html shows."""
    facts = catalogue.facts
    title_of = {row["video_id"]: row["title_id"] for row in facts.videos}
    aside = sum(row["rows"] for row in facts.quarantine)
    return {
        "films": len(facts.videos),
        "waiting": sum(row["current_scan_id"] is None for row in facts.videos),
        "failures": [
            {
                **row,
                **_title(catalogue, title_of.get(row["video_id"], ""), hidden(row["uri"])),
                "uri": hidden(row["uri"]),
                "reason": hidden(row["reason"]),
                "where": "whole film" if row["segment"] < 0 else f"segment {row['segment']}",
                "lost": wording.count(row["frames_lost"]),
            }
            for row in facts.all_failures
        ],
        "quarantine": [
            {
                "reason": row["reason"],
                "rows": wording.count(row["rows"]),
                "share": round(100 * row["rows"] / aside, 1) if aside else 0,
            }
            for row in facts.quarantine
        ],
        "aside": aside,
        "quality": [
            {
                "measure": wording.named(row["measure"]),
                "value": _figure(row["value"]),
                "limit": wording.NOTHING if row["limit"] is None else _figure(row["limit"]),
                "passed": row["limit"] is None or row["value"] <= row["limit"],
                "day": wording.day(row["run_date"]),
            }
            for row in facts.quality
        ],
        "sources": [
            {
                "name": source.name,
                "about": source.about,
                "version": source.version,
                "rows": wording.count(source.rows),
                "written": wording.moment(source.written),
            }
            for source in facts.sources
        ],
        "unreadable": sum(row["unreadable"] for row in facts.cards),
        "durations": _durations(catalogue),
    }


def _title(catalogue: Catalogue, title_id: str, uri: str) -> dict[str, Any]:
    """Name and page of the title whose film it is; the address where no page shows it."""
    title = catalogue.title.get(title_id)
    return {"name": uri, "page": None} if title is None else {"name": title["name"], "page": page_of(title_id)}


STATES: dict[str, str] = {
    "done": "done",
    "skipped": "up to date",
    "running": "running",
    "failed": "failed",
    "blocked": "blocked",
}


def _durations(catalogue: Catalogue) -> Plot | None:
    """Seconds of each stage's newest run, in the order they finished, with what became of it."""
    runs = catalogue.facts.runs
    if not runs:
        return None
    points = [{"label": row["stage"], "value": round(row["seconds"] or 0, 1)} for row in runs]
    cells = [
        (
            row["stage"],
            f"{STATES[row['state']]}: {row['error']}" if row["error"] else STATES[row["state"]],
            wording.span(row["seconds"]),
            wording.count(row["rows"]),
            wording.NOTHING if row["cost"] is None else _figure(row["cost"]),
            wording.moment(row["finished_at"]),
        )
        for row in runs
    ]
    columns = ("stage", "state", "took", "rows written", "cost", "finished")
    return Plot("bars", "Seconds of each stage's newest run", points, columns, cells)


def _figure(value: float) -> str:
    return f"{int(value):,}" if float(value).is_integer() else f"{value:,.4g}"
