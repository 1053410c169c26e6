"""Title pages, written by tasks: a task has all that is known of a title as one group, and keeps only its card.

Rows travel as JSON, so that parts with different columns come together in one shuffle instead of a join each.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import reduce
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keyart.errors import InputError
from keyart.report.facts import Facts, Picture, Row
from keyart.report.site import IMAGES, TitlePages
from keyart.report.thumbnails_spark import pictures
from keyart.settings import ReportSettings

__all__ = ["facts_of", "title_pages"]

PER_TASK = 200
"""Titles that one task writes."""
WITH_NULLS = {"ignoreNullFields": "false"}
TOKEN = ".seen-by-workers"
"""A file of the driver's; a task that does not find it works on another disk."""


def title_pages(
    parts: Mapping[str, DataFrame],
    images: DataFrame,
    titles: int,
    common: Facts,
    settings: ReportSettings,
    folder: Path,
) -> list[dict[str, Any]]:
    """Write a page a title, with its pictures, and return the titles' cards (see ``wall_page.card``) in any order.

    ``common`` holds what is the same on every page. InputError where the workers do not see the folder.
    """
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    token = folder / TOKEN
    token.touch()
    try:
        wanted = _wanted(parts, settings)
        every = {**parts, "pictures": pictures(images, wanted, folder / IMAGES)}
        grouped = (
            _bundled(every).repartition(max(2, -(-titles // PER_TASK)), "title_id").sortWithinPartitions("title_id")
        )
        cards = grouped.mapInArrow(_writer(common, str(folder)), "card string").collect()
    finally:
        token.unlink(missing_ok=True)
    return [json.loads(row["card"]) for row in cards]


def _wanted(parts: Mapping[str, DataFrame], settings: ReportSettings) -> DataFrame:
    """title_id, image_hash, width: artworks larger than candidates."""
    sizes = {"artworks": settings.artwork_width, "candidates": settings.candidate_width}
    found = [parts[name].select("title_id", "image_hash", F.lit(width).alias("width")) for name, width in sizes.items()]
    return reduce(DataFrame.unionByName, found).groupBy("title_id", "image_hash").agg(F.max("width").alias("width"))


def _bundled(parts: Mapping[str, DataFrame]) -> DataFrame:
    """title_id, part, row: every part's rows as JSON."""
    return reduce(
        DataFrame.unionByName,
        [
            frame.select("title_id", F.lit(name).alias("part"), F.to_json(F.struct("*"), WITH_NULLS).alias("row"))
            for name, frame in sorted(parts.items())
        ],
    )


def _writer(common: Facts, folder: str):
    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        if not (Path(folder) / TOKEN).is_file():
            raise InputError(f"the workers do not see the folder {folder}; choose a mounted --report")
        pages = TitlePages(Path(folder), common.sources)
        rows = (row for batch in batches for row in zip(*(batch.column(i).to_pylist() for i in range(3)), strict=True))
        for _, group in groupby(rows, key=itemgetter(0)):
            facts = facts_of(((part, json.loads(row)) for _, part, row in group), common)
            for card in pages.write(facts):
                yield pa.RecordBatch.from_pydict({"card": [json.dumps(card)]})

    return write


def facts_of(rows: Iterator[tuple[str, Row]], common: Facts) -> Facts:
    """Facts of the titles in ``rows`` (part, row), with what is common to all pages."""
    found: dict[str, Any] = {}
    for part, row in rows:
        found.setdefault(part, []).append(row)
    shown = {r["image_hash"]: Picture(r["file"], r["width"], r["height"]) for r in found.pop("pictures", [])}
    return replace(common, pictures=shown, **found)
