"""Read where and when artworks may be shown from the tables: catalogue-sized, on the driver."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

from keyart.policy.placement import Placement, Rule
from keyart.settings import AssignSettings
from keyart.tables import Tables

__all__ = ["day_of", "placement_of"]


RULE = {"pin": ("pin",), "ban": ("ban",), "upload": ("only",)}
"""What an editor's line is as rules; a pinned picture is uploaded and shown where it is pinned only."""


def placement_of(tables: Tables) -> Placement:
    """What select-artwork writes of artworks' regions and what editors ask for, as things are now."""
    return Placement(tuple(sorted({*_excluded(tables), *_asked(tables)}, key=str)))


def _excluded(tables: Tables) -> Iterator[Rule]:
    rows = tables.read_or_empty("artworks").where("active AND (size(excluded_regions) > 0 OR size(only_regions) > 0)")
    for row in rows.select("title_id", "artwork_id", "excluded_regions", "only_regions").collect():
        for action, regions in (("ban", row["excluded_regions"]), ("only", row["only_regions"])):
            if regions:
                yield Rule(row["title_id"], row["artwork_id"], action, tuple(sorted(regions)))


def _asked(tables: Tables) -> Iterator[Rule]:
    if not tables.exists("editor_overrides"):
        return
    ratings = tables.read_or_empty("titles").select("title_id", "maturity_rating")
    for row in tables.read("editor_overrides").join(ratings, on="title_id", how="left").collect():
        if row["rating"] not in (None, row["maturity_rating"]):
            continue
        window = (tuple(row["regions"]), row["from_date"], row["until_date"])
        for action in (*RULE[row["action"]], *(("only",) if row["action"] == "pin" and row["image_hash"] else ())):
            if action != "only" or any(window):
                yield Rule(row["title_id"], row["artwork_id"], action, *window)


def day_of(settings: AssignSettings) -> date:
    """The day an assignment is for."""
    return settings.day or datetime.now(UTC).date()
