"""Make variants of a title's best artworks: pictures with lineage, candidates for assignment like any other artwork."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import cv2
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import IntegerType, StructType

from keyart.schemas import TABLES
from keyart.selection.lettering import missing_letters
from keyart.selection.variants import TITLE, Source, regions_of, variant_named, vary
from keyart.selection.varied import varied_artwork
from keyart.settings import SelectSettings
from keyart.tables import Tables
from keyart.vision.faces import Face
from keyart.vision.picture import decode

__all__ = ["unready", "varied_artworks"]

ARTWORKS, IMAGES = TABLES["artworks"].schema, TABLES["images"].schema
MADE = StructType([*ARTWORKS, *(field for field in IMAGES if field.name != "image_hash")])


def varied_artworks(tables: Tables, chosen: DataFrame, settings: SelectSettings) -> DataFrame:
    """Rows of artworks, with the columns of images, of the variants of each title's best artworks."""
    there = F.count("*").over(Window.partitionBy("title_id")).cast(IntegerType()).alias("there")
    titles = tables.read_or_empty("titles").select("title_id", "name")
    names = (
        tables.read_or_empty("title_names")
        .groupBy("title_id")
        .agg(F.map_from_entries(F.array_sort(F.collect_list(F.struct("language", "name")))).alias("names"))
    )
    return (
        chosen.select("*", there)
        .where(F.col("rank") <= settings.varied_artworks)
        .join(tables.read("images").select("image_hash", "content"), on="image_hash", how="inner")
        .join(titles, on="title_id", how="left")
        .join(names, on="title_id", how="left")
        .groupBy("title_id")
        .applyInArrow(_maker(settings.variants, settings.languages), MADE)
    )


def unready(tables: Tables, settings: SelectSettings) -> list[str]:
    """One line a language whose titles no font has the letters for; nothing where no title is set.

    ConfigError for a variant that is unknown, SetupError where the fonts' packages are not installed.
    """
    for name in settings.variants:
        variant_named(name)
    if TITLE not in settings.variants:
        return []
    found: dict[str, set[str]] = {}
    rows = tables.read_or_empty("titles").select(F.lit("").alias("language"), "name")
    for row in rows.unionByName(tables.read_or_empty("title_names").select("language", "name")).toLocalIterator():
        if letters := missing_letters(row["name"], row["language"]):
            found.setdefault(row["language"], set()).update(letters)
    return [
        f"no font of the extra titles has {''.join(sorted(letters))}: names with them "
        f"({language or 'the catalogue itself'}) are not set on artworks"
        for language, letters in sorted(found.items())
    ]


def _maker(variants: Sequence[str], languages: Mapping[str, str]) -> Callable[[pa.Table], pa.Table]:
    def make(table: pa.Table) -> pa.Table:
        cv2.setNumThreads(1)
        made: list[dict[str, Any]] = []
        for row in sorted(table.to_pylist(), key=lambda row: row["rank"]):
            bgr = decode(row["content"])
            if bgr is None:
                continue
            titles = {"": row["name"] or "", **dict(row["names"] or ())}
            source = Source(bgr, [Face(**face) for face in row["faces"]], titles)
            for variation in vary(source, variants):
                only = regions_of(variation.name, languages)
                if only != []:  # a language that no region reads
                    artwork, image = varied_artwork(row, variation, row["there"] + len(made) + 1, only)
                    made.append(asdict(image) | artwork)
        return pa.Table.from_pylist([{name: one[name] for name in MADE.names} for one in made], to_arrow_schema(MADE))

    return make
