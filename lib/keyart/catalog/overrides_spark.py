"""Write editors' overrides and the pictures that they upload."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import functions as F

from keyart.catalog.images import UPLOADS, artwork_id_of
from keyart.catalog.images_spark import ingest_pictures
from keyart.catalog.overrides import EditorOverride, read_overrides
from keyart.paths import NEARBY, Bounds
from keyart.schemas import TABLES
from keyart.tables import Tables

__all__ = ["OverridesReport", "ingest_overrides"]

SCHEMA = TABLES["editor_overrides"].schema


@dataclass(frozen=True)
class OverridesReport:
    """Lines kept by action, pictures uploaded, and one line on each that cannot be used."""

    kept: dict[str, int]
    uploads: int
    problems: tuple[str, ...]
    waiting: tuple[str, ...] = ()
    """Artworks, with their title, that lines speak of and that are not there, or not yet."""

    @property
    def lines(self) -> list[str]:
        """What the job says."""
        counts = ", ".join(f"{count} {action}{'' if count == 1 else 's'}" for action, count in self.kept.items())
        last = f"overrides: {counts}; {len(self.problems)} lines cannot be used"
        waiting = [f"override kept, but there is no artwork {name} (yet)" for name in self.waiting]
        return [*(f"override not kept: {line}" for line in self.problems), *waiting, last]


def ingest_overrides(tables: Tables, file: str, bounds: Bounds = NEARBY) -> OverridesReport:
    """Make the table editor_overrides and the uploaded candidates what the file says; run twice, it writes nothing.

    A line of an unknown title or with a picture that cannot be read is named, and the others are kept.
    """
    lines, problems = read_overrides(file, bounds)
    known = {row[0] for row in tables.read_or_empty("titles").select("title_id").collect()}
    for one in lines:
        if one.title_id not in known:
            problems.append(f"{file}, line {one.line}: there is no title {one.title_id}")
    lines = [one for one in lines if one.title_id in known]
    shown = [(one.title_id, one.artwork) for one in lines if one.is_image and one.action != "ban"]
    read = ingest_pictures(tables, UPLOADS, shown, whole=True, name_all=True)
    reasons = {(title, uri): reason for title, uri, reason in read.losses}
    rows = []
    for one in lines:
        key = (one.title_id, one.artwork)
        if one.is_image and key not in read.hashes:
            why = reasons.get(key, "a ban names an artwork by its id")
            problems.append(f"{file}, line {one.line}: {one.artwork} {why}")
        else:
            rows.append(_row(one, read.hashes.get(key)))
    _write(tables, rows)
    kept = {action: sum(row["action"] == action for row in rows) for action in ("pin", "ban", "upload")}
    return OverridesReport(kept, read.pictures, tuple(problems), tuple(_waiting(tables, rows)))


def _waiting(tables: Tables, rows: Sequence[dict]) -> list[str]:
    titles = sorted({row["title_id"] for row in rows if row["image_hash"] is None})
    there = tables.read_or_empty("artworks").where(F.col("title_id").isin(*titles)) if titles else None
    known = {tuple(row) for row in there.select("title_id", "artwork_id").collect()} if there is not None else set()
    asked = [(row["title_id"], row["artwork_id"]) for row in rows if row["image_hash"] is None]
    return [f"{artwork} of title {title}" for title, artwork in sorted(set(asked) - known)]


def _row(one: EditorOverride, image_hash: str | None) -> dict:
    artwork = artwork_id_of(one.title_id, image_hash) if image_hash else one.artwork
    said = (one.title_id, one.action, artwork, "|".join(one.regions), one.rating, one.begins, one.until)
    return {
        "override_id": hashlib.blake2b("\x1f".join(str(part) for part in said).encode(), digest_size=12).hexdigest(),
        "title_id": one.title_id,
        "action": one.action,
        "artwork_id": artwork,
        "image_hash": image_hash,
        "regions": list(one.regions),
        "rating": one.rating,
        "from_date": one.begins,
        "until_date": one.until,
    }


def _write(tables: Tables, rows: Sequence[dict]) -> None:
    unique = {row["override_id"]: row for row in rows}
    before = {row[0] for row in tables.read_or_empty("editor_overrides").select("override_id").collect()}
    if before == set(unique) and tables.exists("editor_overrides"):
        return
    values = [tuple(row[name] for name in SCHEMA.names) for _, row in sorted(unique.items())]
    tables.overwrite("editor_overrides", tables.spark.createDataFrame(values, SCHEMA))
