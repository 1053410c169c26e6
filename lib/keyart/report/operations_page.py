"""What those who run the pipeline ask: what could not be read, what was set aside, and how large the tables are."""

from typing import Any

from keyart.report import wording
from keyart.report.catalogue import Catalogue

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
                "name": catalogue.title.get(title_of.get(row["video_id"], ""), {}).get("name", row["uri"]),
                "where": "whole film" if row["segment"] < 0 else f"segment {row['segment']}",
                "lost": wording.count(row["frames_lost"]),
            }
            for row in facts.failures
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
        "unreadable": len({row["image_hash"] for row in [*facts.artworks, *facts.candidates]} - set(facts.pictures)),
    }


def _figure(value: float) -> str:
    return f"{int(value):,}" if float(value).is_integer() else f"{value:,.4g}"
