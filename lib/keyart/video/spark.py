"""Scan films with Spark: segments spread over tasks, shots film by film, pictures fetched, all visible by one merge.

A film's rows lie under a scan_id that derives from its content and the settings, so a scan that is killed and run again
writes the same rows in the same place. Frames never pass the driver: it sees films and failures.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from tqdm import tqdm

from keyart.errors import TableError, VideoError
from keyart.schemas import TABLES
from keyart.settings import ScanSettings
from keyart.tables import Tables
from keyart.video.child import own_child
from keyart.video.decode import Segment
from keyart.video.films import digest_film
from keyart.video.pictures import Pick
from keyart.video.signals import SIGNALS, THUMB

__all__ = ["ScanReport", "current", "scan_films", "scan_id_of"]

log = logging.getLogger(__name__)

SCAN_VERSION = "1"
"""Raised when signals, shots or candidates change: films are then scanned again."""
BATCH_BYTES = 16 << 20
"""Pictures leave a task in batches of about this size."""
PICKS_A_CALL = 16
LINES = 100
"""Losses named one by one; the rest is counted."""

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
    "struct<shot_id: int, start_pts: long, end_pts: long, start_seconds: double, end_seconds: double, start_frame: long, "
    "end_frame: long, transition_in: string, luma_mean: double, warmth: double, motion: double>"
)
DIGESTS = f"{FILM}, repair boolean, frames long, shots array<{SHOT}>, picks {PICKS}, found {FOUND}"
PICTURES = (
    f"{FILM}, pts long, seconds double, shot_id int, shot_share double, position double, camera_motion double, "
    "subject_motion double, quality double, image_hash string, width int, height int, content binary, reason string"
)


@dataclass
class ScanReport:
    """What a scan did, for the summary line."""

    films: int = 0
    unchanged: int = 0
    frames: int = 0
    shots: int = 0
    candidates: int = 0
    unreadable: int = 0
    losses: list[str] = field(default_factory=list)
    """One line each: what could not be read, and why."""


def current(tables: Tables, name: str) -> DataFrame:
    """The visible rows of frames, shots or candidates: those of each film's current scan."""
    visible = tables.read("videos").select("video_id", F.col("current_scan_id").alias("scan_id"))
    columns = TABLES[name].schema.names
    return tables.read(name).join(F.broadcast(visible), on=["video_id", "scan_id"], how="left_semi").select(*columns)


def scan_id_of(video_id: str, fingerprint: str, settings: ScanSettings) -> str:
    """The scan's id: the same film, version and settings give the same id; how it is cut and timed does not matter."""
    shaping = (settings.candidates_per_shot, settings.candidates_per_film, settings.image_quality)
    parts = "\x1f".join(map(str, (SCAN_VERSION, video_id, fingerprint, *shaping)))
    return hashlib.blake2b(parts.encode(), digest_size=12).hexdigest()


def scan_films(tables: Tables, settings: ScanSettings) -> ScanReport:
    """Scan every film whose content or settings changed since its current scan. TableError where there is no film."""
    videos = sorted(tables.read("videos").collect(), key=lambda row: row["video_id"])
    if not videos:
        raise TableError("no readable film is in the catalogue; run ingest-catalog on a folder that has some")
    scans = {row["video_id"]: scan_id_of(row["video_id"], row["fingerprint"], settings) for row in videos}
    due = [row for row in videos if row["current_scan_id"] != scans[row["video_id"]]]
    report = ScanReport(films=len(due), unchanged=len(videos) - len(due))
    with tqdm(total=len(due), unit="film", desc="scan", disable=None, leave=False) as bar:
        for begin in range(0, len(due), settings.wave_films):
            wave = due[begin : begin + settings.wave_films]
            _scan_wave(tables, settings, wave, scans, report)
            bar.update(len(wave))
    return report


def _scan_wave(
    tables: Tables, settings: ScanSettings, wave: Sequence[Row], scans: dict[str, str], report: ScanReport
) -> None:
    films = [
        (
            row["video_id"], row["title_id"], scans[row["video_id"]], row["uri"], row["rotation"],
            row["time_base_num"] / row["time_base_den"],
        )
        for row in wave
    ]  # fmt: skip
    tasks = _tasks(tables)
    where = "scan_id IN ({})".format(", ".join(f"'{film[2]}'" for film in films))
    blocks = (
        tables.spark.createDataFrame(films, FILM)
        .repartition(min(tasks, len(films)))
        .mapInArrow(_planner(settings), SEGMENTS)
        .repartition(tasks)
        .mapInArrow(_decoder(settings), BLOCKS)
        .persist(StorageLevel.MEMORY_AND_DISK)
    )
    try:
        tables.replace("frames", blocks.where("frames > 0").transform(_frames), where)
        digests = blocks.where("frames > 0").transform(_digests, settings).persist(StorageLevel.MEMORY_AND_DISK)
        tables.replace("shots", digests.transform(_shots), where)
        pictures = digests.transform(_fetched, settings, tasks).persist(StorageLevel.MEMORY_AND_DISK)
        kept = pictures.where("content IS NOT NULL")
        tables.merge("images", kept.transform(_images), update=False)
        tables.replace("candidates", kept.transform(_candidates), where)
        failures = blocks.transform(_failures).unionByName(pictures.transform(_unfetched))
        tables.replace("scan_failures", failures, where)
        _report_losses(tables, where, report)
        counts = digests.select("video_id", "frames", F.size("shots").alias("shots")).collect()
        report.candidates += kept.count()
        seen = {row["video_id"] for row in counts}
        report.frames += sum(row["frames"] for row in counts)
        report.shots += sum(row["shots"] for row in counts)
        report.unreadable += len(wave) - len(seen)
        _make_visible(tables, [row for row in wave if row["video_id"] in seen], scans)
        pictures.unpersist()
        digests.unpersist()
    finally:
        blocks.unpersist()


def _make_visible(tables: Tables, films: Sequence[Row], scans: dict[str, str]) -> None:
    rows = [
        row.asDict() | {"current_scan_id": scans[row["video_id"]], "scanned_fingerprint": row["fingerprint"]}
        for row in films
    ]
    if rows:
        schema = TABLES["videos"].schema
        frame = tables.spark.createDataFrame([tuple(row[name] for name in schema.names) for row in rows], schema)
        tables.merge("videos", frame, columns=["current_scan_id", "scanned_fingerprint"])


def _report_losses(tables: Tables, where: str, report: ScanReport) -> None:
    found = tables.read("scan_failures").where(where).orderBy("uri", "segment")
    rows = found.limit(LINES + 1).collect()
    for row in rows[:LINES]:
        lost = f" ({row['frames_lost']} frames lost)" if row["frames_lost"] else ""
        part = "" if row["segment"] < 0 else f", segment {row['segment']}"
        report.losses.append(f"{row['uri']}{part}: {row['reason']}{lost}")
    if len(rows) > LINES:
        report.losses.append(f"... and {found.count() - LINES} more in scan_failures")


def _tasks(tables: Tables) -> int:
    """Tasks a pass is spread over: twice the shuffle partitions, so that an uneven split evens out."""
    return 2 * int(tables.spark.conf.get("spark.sql.shuffle.partitions") or 4)


def _planner(settings: ScanSettings) -> Callable:
    seconds, timeout = settings.segment_seconds, settings.timeout_seconds

    def plan(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for film in _rows(batches):
            try:
                found = own_child().call("keyart.video.plan:plan_film", film["uri"], seconds, timeout=timeout)
            except VideoError as error:
                yield _batch(SEGMENTS, [film | {"segment": -1, "packets": 0, "repair": False, "reason": str(error)}])
                continue
            rows = [film | asdict(part) | {"segment": part.index, "reason": None} for part in found.segments]
            if found.missing:
                said = f"the file ends early: {found.packets} of {found.packets + found.missing} frames are there"
                rows.append(film | {"segment": -1, "packets": found.missing, "repair": False, "reason": said})
            yield _batch(SEGMENTS, rows)

    return plan


def _decoder(settings: ScanSettings) -> Callable:
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

    return decode


def _frames(blocks: DataFrame) -> DataFrame:
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


def _digests(blocks: DataFrame, settings: ScanSettings) -> DataFrame:
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


def _shots(digests: DataFrame) -> DataFrame:
    return digests.select("scan_id", "video_id", F.inline("shots")).select(*TABLES["shots"].schema.names)


def _fetched(digests: DataFrame, settings: ScanSettings, tasks: int) -> DataFrame:
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
                got = own_child().call(
                    "keyart.video.pictures:fetch_pictures", call["uri"], picks, call["rotation"], quality, call["repair"],
                    timeout=timeout,
                )  # fmt: skip
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


def _images(pictures: DataFrame) -> DataFrame:
    return (
        pictures.dropDuplicates(["image_hash"])
        .withColumn("mime", F.lit("image/jpeg"))
        .select("image_hash", "mime", "width", "height", "content")
    )


def _candidates(pictures: DataFrame) -> DataFrame:
    """Rows of the ``candidates`` table; what select-artwork finds out is still null."""
    unknown = [
        F.lit(None).cast(column.dataType).alias(column.name)
        for column in TABLES["candidates"].schema
        if column.name in {"features", "feature_version", "faces", "score", "verdict"}
    ]
    return pictures.select("*", *unknown).select(*TABLES["candidates"].schema.names)


def _failures(blocks: DataFrame) -> DataFrame:
    return blocks.where("reason IS NOT NULL").select(
        "scan_id", "video_id", "uri", "segment", "reason", F.col("lost").alias("frames_lost")
    )


def _unfetched(pictures: DataFrame) -> DataFrame:
    """Pictures that could not be fetched, one row a film; segment -2 keeps its key apart from the film's own row."""
    return (
        pictures.where("reason IS NOT NULL")
        .groupBy("scan_id", "video_id", "uri")
        .agg(F.min("reason").alias("why"), F.count("*").alias("lost"))
        .select(
            "scan_id",
            "video_id",
            "uri",
            F.lit(-2).alias("segment"),
            F.concat(F.lit("pictures could not be fetched: "), "why").alias("reason"),
            F.col("lost").alias("frames_lost"),
        )
    )


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
