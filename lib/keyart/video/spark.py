"""Scan films with Spark: segments spread over tasks, shots film by film, pictures fetched, all visible by one merge.

A film's rows lie under a scan_id that derives from its content and the settings, so a scan that is killed and run again
writes the same rows in the same place. Frames never pass the driver: it sees films and failures.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from pyspark import StorageLevel
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from tqdm import tqdm

from keyart.errors import TableError
from keyart.schemas import TABLES
from keyart.settings import ScanSettings
from keyart.tables import Tables
from keyart.video.tasks_spark import FILM, decoded, digested, fetched, planned, unpacked

__all__ = ["ScanReport", "current", "scan_films", "scan_id_of"]

SCAN_VERSION = "1"
"""Raised when signals, shots or candidates change: films are then scanned again."""
LINES = 100
"""Losses named one by one; the rest is counted."""


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
    return tables.read(name).join(visible, on=["video_id", "scan_id"], how="left_semi").select(*columns)


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
        .transform(planned, settings)
        .repartition(tasks)
        .transform(decoded, settings)
        .persist(StorageLevel.MEMORY_AND_DISK)
    )
    try:
        tables.replace("frames", blocks.where("frames > 0").transform(unpacked), where)
        digests = blocks.where("frames > 0").transform(digested, settings).persist(StorageLevel.MEMORY_AND_DISK)
        tables.replace("shots", digests.transform(_shots), where)
        pictures = digests.transform(fetched, settings, tasks).persist(StorageLevel.MEMORY_AND_DISK)
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


def _shots(digests: DataFrame) -> DataFrame:
    return digests.select("scan_id", "video_id", F.inline("shots")).select(*TABLES["shots"].schema.names)


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
