"""build-report: gather what the pages say from the tables, and make the thumbnails in the workers.

Catalogue-sized rows come to the driver; of member-sized tables only sums, and as many members as the settings say.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from keyart.errors import ConfigError, InputError
from keyart.report.facts import Facts, Picture, Row, Source
from keyart.report.images import file_name, thumbnail
from keyart.report.site import IMAGES, write_site
from keyart.schemas import TABLES
from keyart.settings import Settings
from keyart.tables import Tables
from keyart.vision.features import FEATURE_NAMES, FEATURE_VERSION

__all__ = ["build_report", "gather", "report_folder"]

BINS = 240
"""Points of a film's brightness and motion lines."""
CHUNK = 1_500
"""Thumbnails brought to the driver at a time: some 60 MB."""
PER_TASK = 64
"""Pictures decoded by one task."""
UNSEEN = ("runs",)
"""Tables that say nothing about the catalogue or its members: writing them must not change the pages."""
LANES = 4
"""Queries in flight: most of a small query's time is planning."""


def report_folder(settings: Settings) -> Path:
    """Where the site goes; ConfigError where the tables lie behind a URL or catalogue and no folder is set."""
    folder, root = settings.report.folder, settings.tables.removeprefix("file:")
    if not folder and ("://" in root or root.startswith("catalog:")):
        raise ConfigError(
            "report.folder: set it (--report FOLDER); tables that are no local folder have no place beside them"
        )
    if "://" in folder:
        raise ConfigError(f"report.folder is {folder}: it must be a local or mounted folder")
    return Path(folder) if folder else Path(root).absolute().parent / "report"


def build_report(tables: Tables, settings: Settings) -> tuple[Path, Facts]:
    """Gather, make the thumbnails and write the site; returns its first page and what it was made of."""
    folder = report_folder(settings)
    facts = gather(tables, settings, folder)
    write_site(facts, folder)
    return folder / "index.html", facts


def gather(tables: Tables, settings: Settings, folder: Path) -> Facts:
    """Facts for the pages from whichever tables are there; thumbnails that ``folder`` lacks are written to it."""
    with ThreadPoolExecutor(LANES) as lanes:
        sources = _sources(tables, lanes)
        read = Reader(tables, {source.name for source in sources})
        titles, left, back = _titles(read, settings.report.titles)
        ids = [row["title_id"] for row in titles]
        policy = _policy(read)
        policy_id = policy["policy_id"] if policy else ""
        parts: dict[str, Callable[[], Any]] = {
            "videos": lambda: _rows(read("videos").transform(_of, ids)),
            "shots": lambda: _rows(_visible(read("shots"), read("videos").transform(_of, ids))),
            "signal": lambda: _signal(read, ids),
            "candidates": lambda: _candidates(read, ids, settings.report.candidates),
            "artworks": lambda: _rows(read("artworks").where("active").transform(_of, ids)),
            "failures": lambda: _rows(read("scan_failures").orderBy("uri", "scan_id", "video_id", "segment")),
            "assignments": lambda: _assignments(read, policy_id, ids),
            "evaluations": lambda: _evaluations(read, policy_id),
            "seen": lambda: _seen(read, ids),
            "members": lambda: _members(read, policy_id, settings.report.members),
            "audience": lambda: _audience(read, policy_id),
            "overrides": lambda: _overrides(read, policy_id),
            "decisions": lambda: _decisions(read),
            "quarantine": lambda: _rows(
                read("quarantine").groupBy("reason").agg(F.count("*").alias("rows")).orderBy(F.desc("rows"), "reason")
            ),
            "quality": lambda: _quality(read),
            "experiments": lambda: _experiments(read),
        }
        running = {name: lanes.submit(part) for name, part in parts.items()}
        found = {name: future.result() for name, future in running.items()}
    widths = {row["image_hash"]: settings.report.candidate_width for row in found["candidates"]}
    widths |= {row["image_hash"]: settings.report.artwork_width for row in found["artworks"]}
    known = all(row["feature_version"] == FEATURE_VERSION for row in found["artworks"])
    return Facts(
        titles=titles,
        titles_left=left,
        back_catalogue=back,
        policy=policy,
        sources=sources,
        pictures=_pictures(read("images"), widths, folder / IMAGES),
        regions=settings.regions,
        feature_names=tuple(FEATURE_NAMES) if known else (),
        claim_level=settings.evaluate.claim_level,
        smallest_cell=settings.privacy.smallest_cell,
        **found,
    )


class Reader:
    """Tables by name; one that was never written has no rows. Which ones are there was asked once."""

    def __init__(self, tables: Tables, there: set[str]) -> None:
        self.tables = tables
        self.there = there

    def __call__(self, table: str) -> DataFrame:
        if table in self.there:
            return self.tables.read(table)
        return self.tables.spark.createDataFrame([], TABLES[table].schema)


def _rows(frame: DataFrame) -> list[Row]:
    return [row.asDict(recursive=True) for row in frame.collect()]


def _sources(tables: Tables, lanes: ThreadPoolExecutor) -> list[Source]:
    def source(name: str) -> Source | None:
        state = tables.state(name)
        if state is None:
            return None
        return Source(name, TABLES[name].about, state[0], tables.read(name).count(), state[1])

    found = lanes.map(source, [name for name in TABLES if name not in UNSEEN])
    return [one for one in found if one is not None]


def _titles(read: Reader, most: int) -> tuple[list[Row], int, int]:
    """Titles with a film or an active artwork, the first ``most`` by name; how many are left out; how many have neither."""
    shown = read("videos").select("title_id").union(read("artworks").where("active").select("title_id"))
    every = _rows(
        read("titles")
        .join(shown.groupBy("title_id").agg(F.lit(True).alias("shown")), on="title_id", how="left")
        .select("title_id", "name", "genres", "maturity_rating", "kids", "regions", "cast_names", "shown")
        .orderBy("name", "title_id")
    )
    pictured = [row for row in every if row["shown"]]
    return pictured[:most], max(0, len(pictured) - most), len(every) - len(pictured)


def _of(frame: DataFrame, title_ids: list[str]) -> DataFrame:
    return frame.where(F.col("title_id").isin(title_ids)) if title_ids else frame.limit(0)


def _visible(frame: DataFrame, videos: DataFrame) -> DataFrame:
    """Rows of the scan that each film points at."""
    current = videos.select("video_id", F.col("current_scan_id").alias("scan_id"))
    return frame.join(current, on=["video_id", "scan_id"], how="left_semi")


def _signal(read: Reader, title_ids: list[str]) -> list[Row]:
    """Brightness and motion of each film in BINS stretches of equal length."""
    films = read("videos").transform(_of, title_ids)
    ends = _visible(read("shots"), films).groupBy("video_id").agg(F.max("end_seconds").alias("end"))
    frames = _visible(read("frames"), films).select("video_id", "seconds", "luma_mean", "difference")
    place = F.least(F.floor(F.col("seconds") / F.col("end") * BINS), F.lit(BINS - 1)).cast("int")
    return _rows(
        frames.join(ends.where("end > 0"), on="video_id", how="inner")
        .groupBy("video_id", place.alias("bin"))
        .agg(
            F.avg("seconds").alias("seconds"),
            F.avg("luma_mean").alias("luma"),
            F.avg("difference").alias("motion"),
            F.count("*").alias("frames"),
        )
    )


def _candidates(read: Reader, title_ids: list[str], most: int) -> list[Row]:
    """The best of each shot, then the second best, up to ``most`` a title."""
    every = _visible(read("candidates").transform(_of, title_ids), read("videos")).drop("features", "feature_version")
    best = Window.partitionBy("video_id", "shot_id").orderBy(F.desc("quality"), "pts")
    order = Window.partitionBy("title_id").orderBy("nth", F.desc("quality"), "video_id", "pts")
    return _rows(
        every.withColumn("nth", F.row_number().over(best))
        .withColumn("place", F.row_number().over(order))
        .withColumn("of", F.count("*").over(Window.partitionBy("title_id")))
        .where(F.col("place") <= most)
        .drop("nth", "place")
    )


def _policy(read: Reader) -> Row | None:
    seconds = F.unix_seconds("created_at")
    row = read("policies").withColumn("seconds", seconds).orderBy(F.desc("created_at"), "policy_id").first()
    if row is None:
        return None
    return {**row.asDict(), "created_at": datetime.fromtimestamp(row["seconds"], UTC)}


def _assignments(read: Reader, policy_id: str, title_ids: list[str]) -> list[Row]:
    rows = read("region_assignments").where((F.col("policy_id") == policy_id) & (F.col("context") == "*"))
    return _rows(rows.transform(_of, title_ids))


def _evaluations(read: Reader, policy_id: str) -> list[Row]:
    """The evaluation of the latest days; of several on the same days the first by id."""
    rows = _rows(read("evaluations").where(F.col("policy_id") == policy_id))
    if not rows:
        return []
    newest = min(rows, key=lambda row: (-row["to_day"].toordinal(), -row["from_day"].toordinal(), row["evaluation_id"]))
    kept = [row for row in rows if row["evaluation_id"] == newest["evaluation_id"]]
    return sorted(kept, key=lambda r: (r["slice"], r["target"], r["baseline"], r["metric"], r["estimator"]))


def _seen(read: Reader, title_ids: list[str]) -> list[Row]:
    cells = read("artwork_stats").transform(_of, title_ids).groupBy("region", "title_id", "artwork_id")
    return _rows(cells.agg(F.sum("n").alias("n"), F.sum("takes").alias("takes")))


def _newest_assignments(read: Reader, policy_id: str) -> DataFrame:
    mine = read("user_assignments").where(F.col("policy_id") == policy_id)
    newest = Window.partitionBy("user_key").orderBy(F.desc("version"))
    return mine.withColumn("nth", F.row_number().over(newest)).where("nth = 1").drop("nth")


def _newest_taste(read: Reader) -> DataFrame:
    taste = read("taste")
    last = taste.agg(F.max("as_of")).collect()[0][0]
    return taste.where(F.col("as_of") == F.lit(last))


def _members(read: Reader, policy_id: str, most: int) -> list[Row]:
    """Members in the order of their keyed hash, which is as good as chance, with what is known of them beside it."""
    sample = _rows(_newest_assignments(read, policy_id).orderBy("user_key").limit(most))
    keys = [row["user_key"] for row in sample]
    known: Mapping[str, Row] = {}
    if keys:
        about = _newest_taste(read).where(F.col("user_key").isin(keys)).select("user_key", "history", "kids")
        known = {row["user_key"]: row for row in _rows(about)}
    nobody = {"history": None, "kids": False}
    return [{**row, **{k: known.get(row["user_key"], nobody)[k] for k in nobody}} for row in sample]


def _audience(read: Reader, policy_id: str) -> Row | None:
    """Members known, those with an override, and overrides; members without one have no row in user_assignments."""
    if not policy_id:
        return None
    changed = F.size("title_ids")
    sums = [F.count_if(changed > 0).alias("overridden"), F.coalesce(F.sum(changed), F.lit(0)).alias("overrides")]
    row = _newest_assignments(read, policy_id).agg(F.count("*").alias("assigned"), *sums).collect()[0]
    members = _newest_taste(read).count()
    return {"members": max(members, row["assigned"]), "overridden": row["overridden"], "overrides": row["overrides"]}


def _overrides(read: Reader, policy_id: str) -> list[Row]:
    pairs = F.explode(F.arrays_zip("title_ids", "artwork_ids")).alias("pair")
    rows = _newest_assignments(read, policy_id).select("region", pairs)
    cells = rows.groupBy(
        "region", F.col("pair.title_ids").alias("title_id"), F.col("pair.artwork_ids").alias("artwork_id")
    )
    return _rows(cells.agg(F.count("*").alias("members")))


def _decisions(read: Reader) -> Row | None:
    sums = [
        F.count("*").alias("n"),
        F.approx_count_distinct("user_key", 0.01).alias("members"),
        F.coalesce(F.sum("take"), F.lit(0)).alias("takes"),
        F.min("epoch").alias("first"),
        F.max("epoch").alias("last"),
    ]
    row = read("decisions").agg(*sums).collect()[0].asDict()
    return row if row["n"] else None


def _quality(read: Reader) -> list[Row]:
    """Figures of the newest ingest; of several on one day the first by key."""
    rows = _rows(read("data_quality"))
    if not rows:
        return []
    newest = min(rows, key=lambda row: (-row["run_date"].toordinal(), row["run_key"]))
    return sorted((row for row in rows if row["run_key"] == newest["run_key"]), key=lambda row: row["measure"])


def _experiments(read: Reader) -> list[Row]:
    names = read("experiments").select("experiment_id", "name")
    results = (
        read("experiment_results")
        .join(names, on="experiment_id", how="left")
        .orderBy("experiment_id", "variant", "metric")
    )
    return _rows(results.withColumn("name", F.coalesce("name", "experiment_id")))


def _pictures(images: DataFrame, widths: Mapping[str, int], folder: Path) -> dict[str, Picture]:
    """Thumbnails by image hash, made where ``folder`` has none yet; what cannot be decoded is absent."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the report cannot be written to {folder} ({error.strerror}); choose another --report"
        ) from error
    hashes = sorted(widths)
    missing = [key for key in hashes if not (folder / file_name(key, widths[key])).is_file()]
    for start in range(0, len(missing), CHUNK):
        chunk = {key: widths[key] for key in missing[start : start + CHUNK]}
        for row in _thumbnails(images, chunk).collect():
            _write(folder / file_name(row["image_hash"], chunk[row["image_hash"]]), row["content"])
    there = {key for key in hashes if (folder / file_name(key, widths[key])).is_file()}
    sizes = _among(images.select("image_hash", "width", "height"), there).collect() if there else []
    found = {}
    for row in sorted(sizes, key=lambda row: row["image_hash"]):
        width = min(widths[row["image_hash"]], row["width"])
        height = max(1, round(row["height"] * width / row["width"]))
        found[row["image_hash"]] = Picture(file_name(row["image_hash"], widths[row["image_hash"]]), width, height)
    return found


def _among(images: DataFrame, hashes: Iterable[str]) -> DataFrame:
    wanted = images.sparkSession.createDataFrame([(key,) for key in sorted(hashes)], "image_hash string")
    return images.join(wanted, on="image_hash", how="left_semi")


def _thumbnails(images: DataFrame, widths: Mapping[str, int]) -> DataFrame:
    def shrink(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for key, content in zip(batch.column("image_hash"), batch.column("content"), strict=True):
                small = thumbnail(content.as_py(), widths[key.as_py()])
                if small is not None:
                    yield pa.RecordBatch.from_pydict(
                        {"image_hash": [key.as_py()], "content": pa.array([small], pa.binary())}
                    )

    wanted = _among(images.select("image_hash", "content"), widths)
    # Few pictures a task, so that no Arrow batch grows large.
    return wanted.repartition(-(-len(widths) // PER_TASK)).mapInArrow(shrink, "image_hash string, content binary")


def _write(target: Path, content: bytes) -> None:
    """In one step: a run that is killed leaves no half picture to be taken for a whole one."""
    part = target.with_suffix(".part")
    part.write_bytes(content)
    os.replace(part, target)
