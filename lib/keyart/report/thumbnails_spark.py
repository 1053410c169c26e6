"""Thumbnails of a catalogue's pictures: decoded, shrunk and written by the tasks that read them.

The site's folder must be one that the workers see (local mode, or a mount): pictures of a large catalogue would not fit
through the driver. A picture that the folder has already is neither read nor made again.
"""

from collections.abc import Iterator, Mapping
from functools import reduce
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keyart.report.images import known_picture, thumbnail, write_thumbnail

__all__ = ["PICTURES", "known_pictures", "pictures", "thumbnails"]

PICTURES = "title_id string, image_hash string, file string, width int, height int"


def pictures(images: DataFrame, wanted: DataFrame, folder: Path) -> DataFrame:
    """Rows (title_id, image_hash, file, width, height) of the thumbnails of ``wanted``, made where they are missing.

    ``wanted`` has title_id, image_hash and width, the most pixels across. A picture that cannot be decoded is absent.
    """
    spark = images.sparkSession
    known = known_pictures(folder)
    there = spark.createDataFrame(
        [(key, width, *picture) for (key, width), picture in known.items()],
        "hash_start string, width int, file string, w int, h int",
    )
    wanted = wanted.withColumn("hash_start", F.substring("image_hash", 1, 24))
    on = ["hash_start", "width"]
    kept = wanted.join(there, on=on, how="inner").select("title_id", "image_hash", "file", F.col("w"), F.col("h"))
    missing = wanted.join(there, on=on, how="left_anti").select("title_id", "image_hash", "width")
    # Images are the large side: they stay where they are, and what is wanted goes to them. Where a preview lies beside
    # an image the image is not read.
    unread = F.broadcast(missing)
    found = {
        "preview": images.where("preview IS NOT NULL").select("image_hash", F.col("preview").alias("content")),
        "content": images.where("preview IS NULL").select("image_hash", "content"),
    }
    made = [
        content.join(unread, on="image_hash", how="inner").mapInArrow(_maker(str(folder), name == "preview"), PICTURES)
        for name, content in found.items()
    ]
    return reduce(DataFrame.unionByName, made, kept.toDF(*made[0].columns))


def _maker(folder: str, trusted: bool):
    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            ids, hashes, widths = (batch.column(name).to_pylist() for name in ("title_id", "image_hash", "width"))
            content = batch.column("content")
            found = []
            for i, (title_id, key) in enumerate(zip(ids, hashes, strict=True)):
                written = write_thumbnail(content[i].as_py(), key, widths[i], Path(folder), trusted)
                if written is not None:
                    found.append((title_id, key, written.file, written.width, written.height))
            columns = list(zip(*found, strict=True)) or [()] * 5
            types = [pa.string(), pa.string(), pa.string(), pa.int32(), pa.int32()]
            names = ["title_id", "image_hash", "file", "width", "height"]
            yield pa.RecordBatch.from_arrays([pa.array(c, t) for c, t in zip(columns, types, strict=True)], names)

    return make


def known_pictures(folder: Path) -> dict[tuple[str, int], tuple[str, int, int]]:
    """(start of the hash, most pixels across): (file, width, height), as the names of the folder's files say."""
    if not folder.is_dir():
        return {}
    found = (known_picture(path.name) for path in folder.iterdir())
    return {known[0]: known[1] for known in found if known is not None}


def thumbnails(images: DataFrame, widths: Mapping[str, int]) -> DataFrame:
    """Rows (image_hash, content) of those images of ``widths`` that can be decoded; for notebooks."""

    def shrink(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for key, content in zip(batch.column("image_hash").to_pylist(), batch.column("content"), strict=True):
                small = thumbnail(content.as_py(), widths[key])
                if small is not None:
                    yield pa.RecordBatch.from_pydict({"image_hash": [key], "content": pa.array([small], pa.binary())})

    wanted = images.where(F.col("image_hash").isin(list(widths))).select("image_hash", "content")
    return wanted.mapInArrow(shrink, "image_hash string, content binary")
