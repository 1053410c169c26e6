"""What runs inside a scan's Python tasks: plan, decode, find shots, digest a film, fetch pictures; rows in, rows out.

Decoding happens in the task's supervised child (see ``child``); what it cannot do becomes a row with a reason.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keyart.errors import VideoError
from keyart.schemas import TABLES
from keyart.settings import ScanSettings
from keyart.video.child import own_child
from keyart.video.exchange import SIGNALS, Pick, Segment
from keyart.video.rows_spark import FILM, batch, names, packed, rows, unpacked_part
from keyart.video.salvage import scan_supervised

__all__ = ["SEGMENTS", "decoded", "fetched", "planned", "unpacked"]

BATCH_BYTES = 8 << 20
"""Pictures leave a task in batches of about this size."""
PICKS_A_CALL = 16

SEGMENTS = f"{FILM}, segment int, start_pts long, end_pts long, packets long, repair boolean, reason string"
PARTS = (
    "scan_id string, video_id string, segment int, part int, start_pts long, end_pts long, repair boolean, "
    "frames long, first_pts long, last_pts long, pts binary, keyframe binary, damaged binary, signals binary, "
    "thumbs binary, ended boolean, lost long, irregular boolean, reason string"
)
NOTHING = {"frames": 0, "pts": b"", "keyframe": b"", "damaged": b"", "signals": b"", "thumbs": b""}
PICTURES = (
    f"{FILM}, pts long, seconds double, shot_id int, shot_share double, position double, camera_motion double, "
    "subject_motion double, quality double, image_hash string, width int, height int, content binary, preview binary, "
    "reason string"
)


def planned(films: DataFrame, settings: ScanSettings, whole: bool = False) -> DataFrame:
    """One row a segment; a film that cannot be planned, or ends early, adds a row of segment -1 with the reason.

    ``whole``: one segment a film, its pts repaired.
    """
    seconds, timeout = settings.segment_seconds, settings.timeout_seconds

    def plan(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for film in rows(batches):
            try:
                found = own_child().call("keyart.video.plan:plan_film", film["uri"], seconds, whole, timeout=timeout)
            except VideoError as error:
                yield batch(SEGMENTS, [film | {"segment": -1, "packets": 0, "repair": False, "reason": str(error)}])
                continue
            segments = [film | asdict(part) | {"segment": part.index, "reason": None} for part in found.segments]
            if found.reason:
                segments.append(
                    film | {"segment": -1, "packets": found.missing, "repair": False, "reason": found.reason}
                )
            yield batch(SEGMENTS, segments)

    return films.mapInArrow(plan, SEGMENTS)


def decoded(segments: DataFrame, settings: ScanSettings) -> DataFrame:
    """Rows of ``scan_segments``: the parts of each segment, and how it ended."""
    timeout = settings.timeout_seconds

    def decode(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for row in rows(batches):
            head = {name: row[name] for name in ("scan_id", "video_id", "segment", "start_pts", "end_pts", "repair")}
            segment = Segment(row["segment"], row["start_pts"], row["end_pts"], row["packets"], row["repair"])
            parts = scan_supervised(own_child(), row["uri"], segment, row["rotation"], timeout)
            count = 0
            while True:
                try:
                    part = next(parts)
                except StopIteration as end:
                    told = {
                        "lost": end.value.lost,
                        "irregular": end.value.irregular,
                        "reason": end.value.reason or None,
                    }
                    break
                yield batch(PARTS, [head | {"part": count, "ended": False} | packed(part)])
                count += 1
            yield batch(PARTS, [head | {"part": count, "ended": True} | NOTHING | told])

    # Delta's schema says which columns may be null.
    return segments.mapInArrow(decode, TABLES["scan_segments"].schema)


def unpacked(parts: DataFrame) -> DataFrame:
    """Rows of the ``frames`` table from landed parts and their film's ``tick``."""
    schema = TABLES["frames"].schema

    def unpack(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for row in rows(batches):
            part = unpacked_part(row)
            n = len(part.pts)
            columns = {
                "scan_id": pa.array([row["scan_id"]] * n),
                "video_id": pa.array([row["video_id"]] * n),
                "segment": pa.array(np.full(n, row["segment"], np.int32)),
                "pts": pa.array(part.pts),
                "seconds": pa.array(part.pts * row["tick"]),
                "keyframe": pa.array(part.keyframe),
                "damaged": pa.array(part.damaged),
            } | {name: pa.array(np.ascontiguousarray(part.signals[:, k])) for k, name in enumerate(SIGNALS)}
            yield pa.RecordBatch.from_pydict({name: columns[name] for name in schema.names})

    return parts.mapInArrow(unpack, schema)


def fetched(digests: DataFrame, settings: ScanSettings, tasks: int) -> DataFrame:
    """One row a candidate with its encoded picture, or with the reason why there is none."""
    timeout, quality = settings.timeout_seconds, settings.image_quality
    film = [*names(FILM), "repair"]
    begins = F.explode(F.sequence(F.lit(0), F.size("picks") - 1, F.lit(PICKS_A_CALL))).alias("begin")
    calls = (
        digests.where(F.size("picks") > 0)
        .select(*film, begins, "picks", "found")
        .select(*film, *(F.slice(name, F.col("begin") + 1, PICKS_A_CALL).alias(name) for name in ("picks", "found")))
    )

    def fetch(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        waiting: list[dict] = []
        size = 0
        for call in rows(batches):
            film = {name: call[name] for name in names(FILM)}
            picks = [Pick(**pick) for pick in call["picks"]]
            reason = "this frame did not come out again"
            pictures = {}
            try:
                arguments = (call["uri"], picks, call["rotation"], quality, call["repair"])
                for picture in own_child().stream("keyart.video.pictures:fetch_pictures", *arguments, timeout=timeout):
                    pictures[picture.pts] = picture
            except VideoError as error:
                reason = str(error)
            for pick, found in zip(picks, call["found"], strict=True):
                picture = pictures.get(pick.pts)
                row = film | found | {"pts": pick.pts, "reason": None if picture else reason}
                if picture:
                    row |= asdict(picture) | {"image_hash": hashlib.sha256(picture.content).hexdigest()}
                    size += len(picture.content) + len(picture.preview or b"")
                waiting.append(row)
            if size >= BATCH_BYTES:
                yield batch(PICTURES, waiting)
                waiting, size = [], 0
        if waiting:
            yield batch(PICTURES, waiting)

    return calls.repartition(tasks).mapInArrow(fetch, PICTURES)
