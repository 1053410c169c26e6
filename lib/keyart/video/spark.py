"""Scan films with Spark: segments land wave by wave, a film's rows derive from them and become visible by one update.

A film's rows lie under a scan_id that derives from its content and the settings, so a scan that is killed and run again
writes the same rows in the same place. Frames never pass the driver: it sees films, segments and failures.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from pyspark import StorageLevel
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from tqdm import tqdm

from keyart.errors import TableError
from keyart.schemas import TABLES
from keyart.secrecy import hidden
from keyart.session import of_few_rows
from keyart.settings import ScanSettings
from keyart.tables import Tables
from keyart.video.digest_spark import boundaries_of, digested
from keyart.video.estimates import expected_frames
from keyart.video.landing_spark import film_row, in_list, land_films, tasks_of
from keyart.video.rows_spark import FILM
from keyart.video.tasks_spark import fetched, unpacked

__all__ = ["ScanReport", "current", "due_films", "scan_films", "scan_id_of"]

SCAN_VERSION = "3"
"""Raised when signals, shots or candidates change: films are then scanned again."""
UNFETCHED = -2
"""segment of a failure that tells of pictures: its key differs from the film's own."""
LINES = 100
"""Losses named one by one; the rest is counted."""
WRITERS = 3
BATCH_BYTES = 16 << 20
"""Rows of a megabyte reach Python a few at a time."""


@dataclass
class ScanReport:
    """What a scan did, for the summary line."""

    films: int = 0
    unchanged: int = 0
    expected: int = 0
    """Frames of the whole catalogue, unchanged films included, as its containers tell."""
    frames: int = 0
    lost: int = 0
    """Frames that should have come out and did not, as far as that is known."""
    resumed: int = 0
    """Frames that an earlier run, which did not finish, had already decoded."""
    shots: int = 0
    candidates: int = 0
    unreadable: int = 0
    losses: list[str] = field(default_factory=list)
    """One line each: what could not be read, and why."""

    @property
    def lost_share(self) -> float:
        """Share of the catalogue's frames that was due and lost; 1 where nothing at all could be read."""
        if self.unreadable and not self.frames and not self.unchanged:
            return 1.0
        return min(1.0, self.lost / self.expected) if self.expected else 0.0


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


def due_films(tables: Tables, settings: ScanSettings) -> tuple[list[Row], list[Row], dict[str, str]]:
    """Films to scan, films that are unchanged, and every film's scan_id. TableError where there is no film."""
    videos = sorted(tables.read("videos").collect(), key=lambda row: row["video_id"])
    if not videos:
        raise TableError("no readable film is in the catalogue; run ingest-catalog on a folder that has some")
    scans = {row["video_id"]: scan_id_of(row["video_id"], row["fingerprint"], settings) for row in videos}
    due = [row for row in videos if row["current_scan_id"] != scans[row["video_id"]]]
    return due, [row for row in videos if row["current_scan_id"] == scans[row["video_id"]]], scans


def scan_films(tables: Tables, settings: ScanSettings) -> ScanReport:
    """Scan every film whose content or settings changed since its current scan. TableError where there is no film."""
    due, unchanged, scans = due_films(tables, settings)
    _forget_visible(tables, {scans[row["video_id"]] for row in unchanged})
    frames = sum(map(_expected, due))
    report = ScanReport(films=len(due), unchanged=len(unchanged), expected=frames + sum(map(_expected, unchanged)))
    with (
        of_few_rows(tables.spark, BATCH_BYTES),
        tqdm(total=frames, unit="frame", unit_scale=True, desc="scan", disable=None, leave=False) as bar,
    ):

        def landed(count: int, before: bool) -> None:
            report.resumed += count if before else 0
            bar.update(count)

        for begin in range(0, len(due), settings.wave_films):
            films = due[begin : begin + settings.wave_films]
            parts, unplanned = land_films(tables, settings, films, scans, landed)
            _derive(tables, settings, films, scans, parts, _failures(films, parts, unplanned), report)
    return report


def _expected(video: Row) -> int:
    return expected_frames(video["duration_seconds"], video["frame_rate"])


def _derive(
    tables: Tables,
    settings: ScanSettings,
    films: Sequence[Row],
    scans: dict[str, str],
    landed: Sequence[Row],
    failures: Sequence[tuple],
    report: ScanReport,
) -> None:
    """Frames, shots, candidates, images and failures of films that have landed; then they are visible."""
    tasks = tasks_of(tables)
    rows = [film_row(row, scans) for row in films]
    ticks = {row[0]: row[-1] for row in rows}
    where = in_list("scan_id", [scans[row["video_id"]] for row in films])
    known = F.broadcast(tables.spark.createDataFrame(rows, FILM))
    stored = tables.read_or_empty("scan_segments").where(where).where("frames > 0")
    parts = stored.join(known, on=["scan_id", "video_id"], how="inner")
    sizes = [row for row in landed if row["frames"]]
    boundaries = stored.transform(boundaries_of, sizes, ticks, settings, tasks)
    digests = parts.transform(digested, boundaries, settings, tasks).persist(StorageLevel.MEMORY_AND_DISK)
    pictures = digests.transform(fetched, settings, tasks).persist(StorageLevel.MEMORY_AND_DISK)
    kept = pictures.where("content IS NOT NULL")
    # Writes to different tables wait for little but the log: side by side they take the time of the longest.
    with ThreadPoolExecutor(WRITERS) as beside:
        writes = [beside.submit(tables.replace, "frames", parts.drop("thumbs").transform(unpacked), where)]
        counts = _counts(digests, pictures)  # what the next writes take is then there, and none waits for another
        writes.append(beside.submit(tables.replace, "shots", digests.transform(_shots), where))
        writes.append(beside.submit(tables.merge, "images", kept.transform(_images), update=False))
        writes.append(beside.submit(tables.replace, "candidates", kept.transform(_candidates), where))
        failures = [*failures, *_unfetched(counts)]
        tables.replace("scan_failures", tables.spark.createDataFrame(failures, TABLES["scan_failures"].schema), where)
        report.shots += sum(row["shots"] for row in counts)
        report.candidates += sum(row["kept"] for row in counts)
        for write in writes:
            write.result()
    pictures.unpersist()
    digests.unpersist()
    _report_losses(failures, report)
    repaired = {row["video_id"]: row["repair"] for row in sizes}
    report.frames += sum(row["frames"] for row in sizes)
    report.unreadable += len(films) - len(repaired)
    _make_visible(tables, [row for row in films if row["video_id"] in repaired], scans, repaired)
    tables.delete("scan_segments", in_list("video_id", [row["video_id"] for row in films]))


def _forget_visible(tables: Tables, scan_ids: set[str]) -> None:
    """Remove segments of scans that are visible: a run was killed once they were, before it had removed them."""
    if not scan_ids:
        return
    left = {row["scan_id"] for row in tables.read_or_empty("scan_segments").select("scan_id").distinct().collect()}
    if done := sorted(left & scan_ids):
        tables.delete("scan_segments", in_list("scan_id", done))


def _make_visible(tables: Tables, films: Sequence[Row], scans: dict[str, str], repaired: dict[str, bool]) -> None:
    rows = [
        row.asDict()
        | {
            "current_scan_id": scans[row["video_id"]],
            "scanned_fingerprint": row["fingerprint"],
            "pts_repaired": repaired[row["video_id"]],
        }
        for row in films
    ]
    if rows:
        schema = TABLES["videos"].schema
        frame = tables.spark.createDataFrame([tuple(row[name] for name in schema.names) for row in rows], schema)
        tables.merge("videos", frame, columns=["current_scan_id", "scanned_fingerprint", "pts_repaired"])


def _report_losses(failures: Sequence[tuple], report: ScanReport) -> None:
    for _, _, uri, segment, reason, lost in sorted(failures, key=lambda row: (row[2], row[3])):
        report.lost += (lost or 0) if segment > UNFETCHED else 0
        unit = "pictures" if segment == UNFETCHED else "frames"
        told = f" ({lost} {unit} lost)" if lost else ""
        part = f", segment {segment}" if segment >= 0 else ""
        report.losses.append(f"{hidden(uri)}{part}: {reason}{told}")
    if len(report.losses) > LINES:
        report.losses[LINES:] = ["... and more in scan_failures"]


def _shots(digests: DataFrame) -> DataFrame:
    return digests.select("scan_id", "video_id", F.inline("shots")).select(*TABLES["shots"].schema.names)


def _images(pictures: DataFrame) -> DataFrame:
    return (
        pictures.dropDuplicates(["image_hash"])
        .withColumn("mime", F.lit("image/jpeg"))
        .select("image_hash", "mime", "width", "height", "content", "preview")
    )


def _candidates(pictures: DataFrame) -> DataFrame:
    """Rows of the ``candidates`` table; what select-artwork finds out is still null."""
    unknown = [
        F.lit(None).cast(column.dataType).alias(column.name)
        for column in TABLES["candidates"].schema
        if column.name
        in {"features", "feature_version", "faces", "face_details", "sightings", "looked_with", "score", "verdict"}
    ]
    return pictures.select("*", *unknown).select(*TABLES["candidates"].schema.names)


def _failures(films: Sequence[Row], landed: Sequence[Row], unplanned: Sequence[Row]) -> list[tuple]:
    """Rows of ``scan_failures``: films that could not be planned, which costs all their frames, or end early; segments
    that lost frames or hold damaged ones."""
    known = {row["video_id"]: row for row in films}
    whole = [
        (
            row["scan_id"],
            row["video_id"],
            hidden(row["uri"]),
            -1,
            hidden(row["reason"]),
            row["packets"] or _expected(known[row["video_id"]]) or None,
        )
        for row in unplanned
    ]
    ended = [
        (row["scan_id"], row["video_id"], hidden(known[row["video_id"]]["uri"]), row["segment"], hidden(row["reason"]),
         row["lost"])
        for row in landed
        if row["ended"] and row["reason"]
    ]  # fmt: skip
    return [*whole, *ended]


def _counts(digests: DataFrame, pictures: DataFrame) -> list[Row]:
    """One row a film: its shots, the pictures kept and lost, and why."""
    key = ("scan_id", "video_id", "uri")
    fetched_of = pictures.select(
        *key,
        F.lit(0).alias("shots"),
        F.col("content").isNotNull().cast("int").alias("kept"),
        F.col("content").isNull().cast("int").alias("lost"),
        "reason",
    )
    shots_of = digests.select(
        *key, F.size("shots").alias("shots"), F.lit(0).alias("kept"), F.lit(0).alias("lost"),
        F.lit(None).cast("string").alias("reason"),
    )  # fmt: skip
    sums = [F.sum(name).alias(name) for name in ("shots", "kept", "lost")]
    return shots_of.unionByName(fetched_of).groupBy(*key).agg(*sums, F.min("reason").alias("reason")).collect()


def _unfetched(counts: Sequence[Row]) -> list[tuple]:
    """Rows of ``scan_failures`` for pictures that could not be fetched, one a film."""
    return [
        (row["scan_id"], row["video_id"], hidden(row["uri"]), UNFETCHED,
         f"pictures could not be fetched: {hidden(row['reason'])}", row["lost"])
        for row in counts
        if row["lost"]
    ]  # fmt: skip
