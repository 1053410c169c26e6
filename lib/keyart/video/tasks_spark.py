"""What runs inside a scan's Python tasks: plan, decode, digest a film, fetch pictures; each is rows in, rows out.

Decoding happens in the task's supervised child (see ``child``); what it cannot do becomes a row with a reason.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keyart.errors import VideoError
from keyart.schemas import TABLES
from keyart.settings import ScanSettings
from keyart.video.child import own_child
from keyart.video.decode import Segment
from keyart.video.films import digest_film
from keyart.video.pictures import Pick
from keyart.video.signals import SIGNALS, THUMB

__all__ = ["FILM", "decoded", "digested", "fetched", "planned", "unpacked"]

BATCH_BYTES = 16 << 20
"""Pictures leave a task in batches of about this size."""
PICKS_A_CALL = 16

FILM = "video_id string, title_id string, scan_id string, uri string, rotation int, tick double"
SEGMENTS = f"{FILM}, segment int, start_pts long, end_pts long, packets long, repair boolean, reason string"
BLOCKS = (
    f"{FILM}, segment int, repair boolean, frames long, pts binary, keyframe binary, signals binary, thumbs binary, "
    "lost long, reason string"
)
PICKS = "array<struct<pts: long, key_pts: long, bar_top: double, bar_left: double>>"
FOUND = (
    "array<struct<seconds: double, shot_id: int, shot_share: double, position: double, camera_motion: double, "
    "subject_motion: double, quality: double>>"
)
SHOT = (
    "struct<shot_id: int, start_pts: long, end_pts: long, start_seconds: double, end_seconds: double, "
    "start_frame: long, end_frame: long, transition_in: string, luma_mean: double, warmth: double, motion: double>"
)
DIGESTS = f"{FILM}, repair boolean, frames long, shots array<{SHOT}>, picks {PICKS}, found {FOUND}"
PICTURES = (
    f"{FILM}, pts long, seconds double, shot_id int, shot_share double, position double, camera_motion double, "
    "subject_motion double, quality double, image_hash string, width int, height int, content binary, reason string"
)


def planned(films: DataFrame, settings: ScanSettings) -> DataFrame:
    """One row a segment; a film that cannot be planned, or ends early, adds a row of segment -1 with the reason."""
    seconds, timeout = settings.segment_seconds, settings.timeout_seconds

    def plan(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for film in _rows(batches):
            try:
                found = own_child().call("keyart.video.plan:plan_film", film["uri"], seconds, timeout=timeout)
            except VideoError as error:
                yield _batch(SEGMENTS, [film | {"segment": -1, "packets": 0, "repair": False, "reason": str(error)}])
                continue
            rows = [film | asdict(part) | {"segment": part.index, "reason": None} for part in found.segments]
            if found.reason:
                rows.append(film | {"segment": -1, "packets": found.missing, "repair": False, "reason": found.reason})
            yield _batch(SEGMENTS, rows)

    return films.mapInArrow(plan, SEGMENTS)


def decoded(segments: DataFrame, settings: ScanSettings) -> DataFrame:
    """One row a segment with its frames as packed arrays, and what was lost of it."""
    timeout = settings.timeout_seconds

    def decode(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for row in _rows(batches):
            head = {name: row[name] for name in (*_names(FILM), "segment", "repair")}
            if row["reason"] is not None:
                yield _batch(BLOCKS, [head | {"frames": 0, "lost": row["packets"], "reason": row["reason"]}])
                continue
            segment = Segment(row["segment"], row["start_pts"], row["end_pts"], row["packets"], row["repair"])
            try:
                scan = own_child().call(
                    "keyart.video.segments:scan_segment", row["uri"], segment, row["rotation"], timeout=timeout
                )
            except VideoError as error:
                yield _batch(BLOCKS, [head | {"frames": 0, "lost": segment.packets, "reason": str(error)}])
                continue
            read = {
                "frames": len(scan.pts),
                "pts": scan.pts.tobytes(),
                "keyframe": scan.keyframe.tobytes(),
                "signals": scan.signals.tobytes(),
                "thumbs": scan.thumbs.tobytes(),
                "lost": scan.lost,
                "reason": scan.reason or None,
            }
            yield _batch(BLOCKS, [head | read])

    return segments.mapInArrow(decode, BLOCKS)


def unpacked(blocks: DataFrame) -> DataFrame:
    """Rows of the ``frames`` table from decoded segments."""
    schema = TABLES["frames"].schema

    def unpack(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for block in _rows(batches):
            pts, keyframe, signals, _ = _arrays(block)
            columns = {
                "scan_id": pa.array([block["scan_id"]] * len(pts)),
                "video_id": pa.array([block["video_id"]] * len(pts)),
                "segment": pa.array(np.full(len(pts), block["segment"], np.int32)),
                "pts": pa.array(pts),
                "seconds": pa.array(pts * block["tick"]),
                "keyframe": pa.array(keyframe),
            } | {name: pa.array(np.ascontiguousarray(signals[:, k])) for k, name in enumerate(SIGNALS)}
            yield pa.RecordBatch.from_pydict({name: columns[name] for name in schema.names})

    return blocks.drop("thumbs").mapInArrow(unpack, schema)


def digested(blocks: DataFrame, settings: ScanSettings) -> DataFrame:
    """One row a film: its shots and the frames to fetch."""
    per_shot, most = settings.candidates_per_shot, settings.candidates_per_film

    def digest(group: pd.DataFrame) -> pd.DataFrame:
        group = group.sort_values("segment")
        film = group.iloc[0]
        parts = [_arrays(block) for block in group.to_dict("records")]
        pts, keyframe, signals, thumbs = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        shots, found = digest_film(pts, keyframe, signals, thumbs, float(film["tick"]), per_shot, most)
        candidates = [asdict(candidate) for candidate in found]
        row = {name: film[name] for name in (*_names(FILM), "repair")} | {
            "frames": len(pts),
            "shots": [asdict(shot) for shot in shots],
            "picks": [candidate.pop("pick") for candidate in candidates],
            "found": candidates,
        }
        return pd.DataFrame([row])

    return blocks.groupBy("scan_id", "video_id").applyInPandas(digest, DIGESTS)


def fetched(digests: DataFrame, settings: ScanSettings, tasks: int) -> DataFrame:
    """One row a candidate with its encoded picture, or with the reason why there is none."""
    timeout, quality = settings.timeout_seconds, settings.image_quality
    calls = digests.select(
        *_names(FILM),
        "repair",
        F.explode(F.sequence(F.lit(0), F.size("picks") - 1, F.lit(PICKS_A_CALL))).alias("begin"),
        "picks",
        "found",
    ).select(
        *_names(FILM),
        "repair",
        F.slice("picks", F.col("begin") + 1, PICKS_A_CALL).alias("picks"),
        F.slice("found", F.col("begin") + 1, PICKS_A_CALL).alias("found"),
    )

    def fetch(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows: list[dict] = []
        size = 0
        for call in _rows(batches):
            film = {name: call[name] for name in _names(FILM)}
            picks = [Pick(**pick) for pick in call["picks"]]
            reason = "this frame did not come out again"
            pictures = {}
            try:
                arguments = (call["uri"], picks, call["rotation"], quality, call["repair"])
                got = own_child().call("keyart.video.pictures:fetch_pictures", *arguments, timeout=timeout)
                pictures = {picture.pts: picture for picture in got}
            except VideoError as error:
                reason = str(error)
            for pick, found in zip(picks, call["found"], strict=True):
                picture = pictures.get(pick.pts)
                row = film | found | {"pts": pick.pts, "reason": None if picture else reason}
                if picture:
                    row |= asdict(picture) | {"image_hash": hashlib.sha256(picture.content).hexdigest()}
                    size += len(picture.content)
                rows.append(row)
            if size >= BATCH_BYTES:
                yield _batch(PICTURES, rows)
                rows, size = [], 0
        if rows:
            yield _batch(PICTURES, rows)

    return calls.repartition(tasks).mapInArrow(fetch, PICTURES)


def _arrays(block: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """pts, keyframe, signals and thumbs of a decoded segment; thumbs are empty where the column was dropped."""
    pts = np.frombuffer(block["pts"], np.int64)
    keyframe = np.frombuffer(block["keyframe"], bool)
    signals = np.frombuffer(block["signals"], np.float64).reshape(-1, len(SIGNALS))
    thumbs = np.frombuffer(block.get("thumbs") or b"", np.uint8).reshape(-1, THUMB[1], THUMB[0])
    return pts, keyframe, signals, thumbs


def _rows(batches: Iterator[pa.RecordBatch]) -> Iterator[dict]:
    for batch in batches:
        for index in range(batch.num_rows):
            yield batch.slice(index, 1).to_pylist()[0]


def _names(schema: str) -> list[str]:
    return [part.split(" ")[0] for part in schema.split(", ")]


_ARROW = {"string": pa.string(), "int": pa.int32(), "long": pa.int64(), "double": pa.float64(), "boolean": pa.bool_(),
          "binary": pa.binary()}  # fmt: skip


def _batch(schema: str, rows: Sequence[dict]) -> pa.RecordBatch:
    """Rows of flat columns as an Arrow batch in the schema's order; a missing column is null."""
    kinds = dict(part.split(" ") for part in schema.split(", "))
    return pa.RecordBatch.from_pydict(
        {name: pa.array([row.get(name) for row in rows], _ARROW[kind]) for name, kind in kinds.items()}
    )
