"""Look up all that is known of one picture: an artwork, or a candidate by the id that it would have as one."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from keyart.errors import InputError
from keyart.policy.levels import SEGMENT
from keyart.policy.spark import newest_policy
from keyart.report.explanation import Explanation, explain
from keyart.tables import Tables
from keyart.vision.features import FEATURE_VERSION

__all__ = ["explain_artwork"]

SHORTEST = 6
"""Letters of an id that one has to write."""


def explain_artwork(tables: Tables, artwork_id: str) -> tuple[Explanation, bytes | None, str]:
    """The explanation, its picture's bytes (None where they are missing) and type.

    ``artwork_id`` may be the beginning of an id or of an image's hash. InputError where nothing, or more than one
    picture, is called so.
    """
    if len(artwork_id) < SHORTEST:
        raise InputError(f"{artwork_id!r} is too short: write at least {SHORTEST} letters of the artwork's id")
    row = _found(tables, artwork_id)
    name = row["artwork_id"]
    scanned = tables.read_or_empty("candidates").where(F.col("title_id") == row["title_id"])
    peers = scanned.where(
        (F.col("image_hash") != row["image_hash"]) & (F.col("feature_version") == FEATURE_VERSION)
    ).select("scan_id", "features")
    others = [one["features"] for one in peers.collect() if row["scan_id"] in (None, one["scan_id"])]
    artworks = tables.read_or_empty("artworks").where(F.col("title_id") == row["title_id"])
    near = (F.col("parent_artwork_id") == name) | (F.col("artwork_id") == row.get("parent_artwork_id"))
    related = [one.asDict() for one in artworks.where(near).orderBy("variant").collect()]
    titles = tables.read_or_empty("titles").where(F.col("title_id") == row["title_id"]).select("name")
    title = titles.first()
    image = tables.read("images").where(F.col("image_hash") == row["image_hash"]).first()
    explained = explain(name, row, title["name"] if title else row["title_id"], others, related, _cells(tables, name))
    return explained, bytes(image["content"]) if image else None, image["mime"] if image else ""


def _found(tables: Tables, artwork_id: str) -> dict:
    artworks = tables.read_or_empty("artworks")
    found = _called(artworks, F.col("artwork_id"), artwork_id)
    if not found:
        made = F.substring(F.sha2(F.concat_ws("\x1f", "title_id", "image_hash"), 256), 1, 32)
        looked = tables.read_or_empty("candidates").withColumn("artwork_id", made)
        found = _called(looked, F.col("artwork_id"), artwork_id)
    if not found:
        raise InputError(f"no artwork or candidate is called {artwork_id}; the table artworks has their artwork_id")
    if len({row["artwork_id"] for row in found}) > 1:
        names = ", ".join(sorted({row["artwork_id"] for row in found}))
        raise InputError(f"more than one picture is called {artwork_id}: {names}")
    return found[-1]


def _called(rows: DataFrame, name: Column, artwork_id: str) -> list[dict]:
    """Rows so called, at most of a few; of several scans of one picture all, the newest scored last."""
    called = name.startswith(artwork_id) | F.col("image_hash").startswith(artwork_id)
    return [row.asDict(recursive=True) for row in rows.where(called).orderBy("score").limit(8).collect()]


def _cells(tables: Tables, artwork_id: str) -> list[dict]:
    """Of every level; of segments, which are many, where it is the default."""
    if not tables.exists("policies"):
        return []
    policy, _ = newest_policy(tables)
    rows = tables.read("region_assignments").where(
        (F.col("policy_id") == policy.policy_id) & (F.col("artwork_id") == artwork_id) & (F.col("context") == "*")
    )
    found = rows.where((F.col("level") != SEGMENT) | F.col("is_default")).collect()
    about = {
        row["cell"]: policy.segments.get(row["cell"].rpartition("/")[2]) for row in found if row["level"] == SEGMENT
    }
    return [{**row.asDict(), "about": about.get(row["cell"])} for row in found]
