"""From landed parts to each film's shots and picks: chunks of thumbnails in parallel, then film by film in a stream.

Neither step holds more than a chunk's thumbnails, or a film's numbers, whatever the film's length.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby, pairwise

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from keyart.settings import ScanSettings
from keyart.video.child import own_child
from keyart.video.chunks import MARGIN, chunk_borders, joined
from keyart.video.exchange import THUMB, Boundary
from keyart.video.films import digest_film
from keyart.video.rows_spark import FILM, arrow_lists, batch, lists, names, rows, unpacked_part

__all__ = ["boundaries_of", "chunk_pieces", "digested"]

PIXELS = THUMB[0] * THUMB[1]
KEY = ("scan_id", "video_id")
PIECES = (
    "scan_id string, video_id string, segment int, part int, begin long, end long, low long, skip long, taken long, "
    "rate double"
)
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


def boundaries_of(
    parts: DataFrame, landed: Sequence[Row], ticks: Mapping[str, float], settings: ScanSettings, tasks: int
) -> DataFrame:
    """Shot boundaries, one row each, from parts with their thumbnails.

    ``landed`` are the sizes of all parts (scan_id, video_id, segment, part, frames, first_pts, last_pts), ``ticks``
    seconds per pts by video_id. Each chunk's row of a part carries only the thumbnails that the chunk looks at.
    """
    pieces = parts.sparkSession.createDataFrame(chunk_pieces(landed, ticks), PIECES)
    timeout = settings.timeout_seconds

    def find(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return _chunks(batches, timeout)

    cut = F.expr(f"substring(thumbs, int(skip * {PIXELS}) + 1, int(taken * {PIXELS}))").alias("thumbs")
    return (
        parts.select(*KEY, "segment", "part", "thumbs")
        .join(F.broadcast(pieces), on=[*KEY, "segment", "part"], how="inner")
        .select(*KEY, "begin", "end", "low", "rate", cut)
        .repartition(tasks, "video_id", "begin")
        .sortWithinPartitions(*KEY, "begin", "low")
        .mapInArrow(find, BOUNDARIES)
    )


def chunk_pieces(landed: Sequence[Row], ticks: Mapping[str, float]) -> list[tuple]:
    """Rows of PIECES: which frames of which part each chunk of each film looks at."""
    pieces = []
    ordered = sorted(landed, key=lambda row: (row["scan_id"], row["video_id"], row["segment"], row["part"]))
    for key, own in groupby(ordered, key=lambda row: (row["scan_id"], row["video_id"])):
        film = list(own)
        total = sum(row["frames"] for row in film)
        span = (film[-1]["last_pts"] - film[0]["first_pts"]) * ticks[key[1]]
        rate = (total - 1) / span if span > 0 else 25.0
        first = 0
        for row in film:
            for begin, end in pairwise(chunk_borders(total)):
                low, high = max(begin - MARGIN, first), min(end + MARGIN, first + row["frames"])
                if low < high:
                    pieces.append((*key, row["segment"], row["part"], begin, end, low, low - first, high - low, rate))
            first += row["frames"]
    return pieces


def _chunks(batches: Iterator[pa.RecordBatch], timeout: float) -> Iterator[pa.RecordBatch]:
    for key, pieces in groupby(rows(batches), key=lambda row: (*(row[name] for name in KEY), row["begin"])):
        found = list(pieces)
        thumbs = np.concatenate([np.frombuffer(row["thumbs"], np.uint8) for row in found])
        thumbs = thumbs.reshape(-1, THUMB[1], THUMB[0])
        place = (found[0][name] for name in ("low", "begin", "end", "rate"))
        chunk = own_child().call("keyart.video.chunks:chunk_boundaries", thumbs, *place, timeout=timeout)
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
