"""Thumbnails of a catalogue's pictures: decoded and shrunk in the workers, written by the driver a chunk at a time."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keyart.errors import InputError
from keyart.report.facts import Picture
from keyart.report.images import file_name, jpeg_size, thumbnail

__all__ = ["pictures", "thumbnails"]

CHUNK = 1_500
"""Thumbnails brought to the driver at a time: some 60 MB."""
PER_TASK = 64
"""Pictures shrunk by one task, so that no Arrow batch grows large."""


def pictures(images: DataFrame, widths: Mapping[str, int], folder: Path) -> dict[str, Picture]:
    """Thumbnails by image hash, made where ``folder`` has none yet; a picture that cannot be decoded is absent.

    ``widths`` says how wide each image may be. InputError where the folder cannot be written.
    """
    files = {key: folder / file_name(key, widths[key]) for key in sorted(widths)}
    missing = [key for key, file in files.items() if not file.is_file()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for start in range(0, len(missing), CHUNK):
            chunk = {key: widths[key] for key in missing[start : start + CHUNK]}
            for row in thumbnails(images, chunk).collect():
                _write(files[row["image_hash"]], bytes(row["content"]))
    except OSError as error:
        raise InputError(f"the report cannot be written to {folder} ({error.strerror})") from error
    return {key: Picture(file.name, *jpeg_size(file.read_bytes())) for key, file in files.items() if file.is_file()}


def thumbnails(images: DataFrame, widths: Mapping[str, int]) -> DataFrame:
    """Rows (image_hash, content) of those images of ``widths`` that can be decoded."""

    def shrink(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for key, content in zip(batch.column("image_hash").to_pylist(), batch.column("content"), strict=True):
                small = thumbnail(content.as_py(), widths[key])
                if small is not None:
                    yield pa.RecordBatch.from_pydict({"image_hash": [key], "content": pa.array([small], pa.binary())})

    wanted = images.where(F.col("image_hash").isin(list(widths))).select("image_hash", "content")
    return wanted.repartition(-(-len(widths) // PER_TASK)).mapInArrow(shrink, "image_hash string, content binary")


def _write(target: Path, content: bytes) -> None:
    """In one step: a run that is killed leaves no half picture to be taken for a whole one."""
    part = target.with_suffix(".part")
    part.write_bytes(content)
    part.replace(target)
