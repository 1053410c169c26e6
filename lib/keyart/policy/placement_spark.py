"""Read where and when artworks may be shown from the tables: catalogue-sized, on the driver."""

from datetime import UTC, date, datetime

from pyspark.sql import functions as F

from keyart.policy.placement import Placement, Rule
from keyart.settings import AssignSettings
from keyart.tables import Tables

__all__ = ["day_of", "placement_of"]


def placement_of(tables: Tables) -> Placement:
    """What select-artwork's policy rules exclude by region, as things are now."""
    rows = tables.read_or_empty("artworks").where("active AND size(excluded_regions) > 0")
    kept = rows.select("title_id", "artwork_id", F.array_sort("excluded_regions").alias("regions")).collect()
    return Placement(tuple(sorted(Rule(r["title_id"], r["artwork_id"], "ban", tuple(r["regions"])) for r in kept)))


def day_of(settings: AssignSettings) -> date:
    """The day an assignment is for."""
    return settings.day or datetime.now(UTC).date()
