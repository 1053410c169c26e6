"""From landed parts to each film's shots and picks: chunks of thumbnails in parallel, then film by film in a stream.

Neither step holds more than a chunk's thumbnails, or a film's numbers, whatever the film's length.
"""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from keyart.settings import ScanSettings
from keyart.video.chunks import MARGIN, chunk_borders, chunk_boundaries, joined
from keyart.video.films import digest_film
from keyart.video.rows_spark import FILM, arrow_lists, batch, lists, names, rows, unpacked_part
from keyart.video.shots import Boundary
from keyart.video.signals import THUMB

__all__ = ["boundaries_of", "digested", "laid_out"]

PIXELS = THUMB[0] * THUMB[1]
KEY = ("scan_id", "video_id")
BOUNDARIES = "scan_id string, video_id string, frame long, kind string"
PICK = "pts long, key_pts long, bar_top double, bar_left double"
FOUND = (
    "seconds double, shot_id int, shot_share double, position double, camera_motion double, subject_motion double, "
    "quality double"
)
SHOT = (
    "shot_id int, start_pts long, end_pts long, start_seconds double, end_seconds double, start_frame long, "
    "end_frame long, transition_in string, luma_mean double, warmth double, motion double"
)
HEAD = f"{FILM}, repair boolean, frames long"
LISTS = {"shots": SHOT, "picks": PICK, "found": FOUND}
DIGESTS = ", ".join([HEAD, *(f"{name} {lists(flat)}" for name, flat in LISTS.items())])


def laid_out(parts: DataFrame) -> DataFrame:
    """Where each landed part lies in its film: ``first`` frame, the film's ``total`` frames and average ``rate``.

    ``parts`` carry their film's columns. Sizes alone pass through the window, not what the parts hold.
    """
    film = Window.partitionBy(*KEY)
    before = film.orderBy("segment", "part").rowsBetween(Window.unboundedPreceding, -1)
    whole = film.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    total = F.sum("frames").over(whole)
    span = (F.max("last_pts").over(whole) - F.min("first_pts").over(whole)) * F.col("tick")
    return parts.select(
        *KEY,
        "segment",
        "part",
        F.coalesce(F.sum("frames").over(before), F.lit(0)).alias("first"),
        total.alias("total"),
        F.when(span > 0, (total - 1) / span).otherwise(25.0).alias("rate"),
    )


def boundaries_of(parts: DataFrame, layout: DataFrame, tasks: int) -> DataFrame:
    """Shot boundaries, one row each, from parts with their thumbnails and ``laid_out``."""
    borders = F.udf(lambda frames: chunk_borders(frames), "array<long>")
    begin, end = F.col("chunk.begin"), F.col("chunk.end")
    low = F.greatest(begin - MARGIN, F.col("first"))
    high = F.least(end + MARGIN, F.col("first") + F.col("frames"))
    # Each chunk's row of a part carries only the thumbnails that the chunk looks at.
    pieces = F.expr(f"substring(thumbs, int((low - first) * {PIXELS}) + 1, int((high - low) * {PIXELS}))")
    edges = layout.groupBy(*KEY).agg(F.max("total").alias("total")).withColumn("edges", borders("total"))
    chunks = edges.select(
        *KEY, F.explode(F.expr("transform(sequence(1, size(edges) - 1), k -> "
                               "named_struct('begin', edges[k - 1], 'end', edges[k]))")).alias("chunk")
    )  # fmt: skip
    return (
        parts.select(*KEY, "segment", "part", "frames", "thumbs")
        .join(F.broadcast(layout), on=[*KEY, "segment", "part"], how="inner")
        .join(F.broadcast(chunks), on=list(KEY), how="inner")
        .withColumn("low", low)
        .withColumn("high", high)
        .where("low < high")
        .select(*KEY, begin.alias("begin"), end.alias("end"), "low", "rate", pieces.alias("thumbs"))
        .repartition(tasks, "video_id", "begin")
        .sortWithinPartitions(*KEY, "begin", "low")
        .mapInArrow(_chunks, BOUNDARIES)
    )


def _chunks(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for key, pieces in groupby(rows(batches), key=lambda row: (*(row[name] for name in KEY), row["begin"])):
        found = list(pieces)
        thumbs = np.concatenate([np.frombuffer(row["thumbs"], np.uint8) for row in found])
        thumbs = thumbs.reshape(-1, THUMB[1], THUMB[0])
        chunk = chunk_boundaries(thumbs, found[0]["low"], found[0]["begin"], found[0]["end"], found[0]["rate"])
        head = dict(zip(KEY, key, strict=False))
        if chunk:
            yield batch(BOUNDARIES, [head | {"frame": boundary.frame, "kind": boundary.kind} for boundary in chunk])


def digested(parts: DataFrame, boundaries: DataFrame, settings: ScanSettings, tasks: int) -> DataFrame:
    """One row a film: its shots and the frames to fetch. ``parts`` need no thumbnails."""
    per_shot, most = settings.candidates_per_shot, settings.candidates_per_film
    by_film = boundaries.groupBy(*KEY).agg(F.collect_list(F.struct("frame", "kind")).alias("boundaries"))

    def digest(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _, film in groupby(rows(batches), key=lambda row: (row["scan_id"], row["video_id"])):
            head: dict = {}
            pieces = []
            for row in film:
                head = head or row
                part = unpacked_part(row)
                pieces.append((part.pts, part.keyframe, part.damaged, part.signals.astype(np.float32)))
            pts, keyframe, damaged, signals = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
            found = [Boundary(b["frame"], b["kind"]) for b in head["boundaries"] or ()]
            cuts = joined(found, chunk_borders(len(pts)))
            shots, picked = digest_film(pts, keyframe, damaged, signals, cuts, head["tick"], per_shot, most)
            candidates = [asdict(candidate) for candidate in picked]
            numbers = batch(HEAD, [{name: head[name] for name in (*names(FILM), "repair")} | {"frames": len(pts)}])
            columns = dict(zip(numbers.schema.names, numbers.columns, strict=True))
            columns["shots"] = pa.array([[asdict(shot) for shot in shots]], arrow_lists(SHOT))
            columns["picks"] = pa.array([[candidate.pop("pick") for candidate in candidates]], arrow_lists(PICK))
            columns["found"] = pa.array([candidates], arrow_lists(FOUND))
            yield pa.RecordBatch.from_pydict(columns)

    return (
        parts.drop("thumbs")
        .join(F.broadcast(by_film), on=list(KEY), how="left")
        .repartition(tasks, "video_id")
        .sortWithinPartitions(*KEY, "segment", "part")
        .mapInArrow(digest, DIGESTS)
    )
