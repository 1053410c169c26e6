"""build-report: gather what the pages say from the tables.

Catalogue-sized rows come to the driver; of member-sized tables only sums, and as many members as the settings say. Most
of a small query's time is planning: hence few queries, several at a time, and ids found once instead of joins.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from keyart.errors import ConfigError
from keyart.report.facts import Facts, Row, Source
from keyart.report.site import IMAGES, write_site
from keyart.report.thumbnails_spark import pictures
from keyart.schemas import TABLES
from keyart.settings import Settings
from keyart.tables import Tables
from keyart.vision.features import FEATURE_NAMES, FEATURE_VERSION

__all__ = ["build_report", "gather", "report_folder"]

BINS = 240
"""Points of a film's brightness and motion lines."""
UNSEEN = ("runs",)
"""Tables that say nothing about the catalogue or its members: writing them must not change the pages."""
LANES = 4
"""Queries in flight."""


def report_folder(settings: Settings) -> Path:
    """Where the site goes; ConfigError where it is no local folder, or the tables are none and it is not set."""
    folder, root = settings.report.folder, settings.tables.removeprefix("file:")
    if not folder and ("://" in root or root.startswith("catalog:")):
        raise ConfigError(f"report.folder: set it (--report FOLDER); {settings.tables} has no place beside it")
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
    """Facts for the pages from whichever tables are there; thumbnails that ``folder`` lacks are written to it.

    InputError where ``folder`` cannot be written.
    """
    with ThreadPoolExecutor(LANES) as lanes:
        sources = _sources(tables, lanes)
        read = Reader(tables, {source.name for source in sources})
        catalogue = read.catalogue(settings.report.titles)
        policy = _policy(read)
        policy_id = policy["policy_id"] if policy else ""
        parts: dict[str, Callable[[], Any]] = {
            "shots": lambda: _rows(read.visible("shots", catalogue)),
            "signal": lambda: _signal(read.visible("frames", catalogue), read.visible("shots", catalogue)),
            "candidates": lambda: _candidates(read.visible("candidates", catalogue), settings.report.candidates),
            "failures": lambda: _failures(read("scan_failures")),
            "assignments": lambda: _rows(_of_policy(read("region_assignments"), policy_id).where("context = '*'")),
            "evaluations": lambda: _evaluations(_of_policy(read("evaluations"), policy_id)),
            "measures": lambda: _measures(_of_policy(read("policy_measures"), policy_id)),
            "seen": lambda: _seen(read("artwork_stats")),
            "members": lambda: _members(read, policy_id, settings.report.members),
            "audience": lambda: _audience(read("taste")),
            "overrides": lambda: _overrides(_newest(_of_policy(read("user_assignments"), policy_id))),
            "decisions": lambda: _decisions(read("decisions")),
            "quarantine": lambda: _quarantine(read("quarantine")),
            "quality": lambda: _quality(read("data_quality")),
            "experiments": lambda: _experiments(read),
        }
        running = {name: lanes.submit(part) for name, part in parts.items()}
        found = {name: future.result() for name, future in running.items()}
    widths = {row["image_hash"]: settings.report.candidate_width for row in found["candidates"]}
    widths |= {row["image_hash"]: settings.report.artwork_width for row in catalogue.artworks}
    known = all(row["feature_version"] == FEATURE_VERSION for row in catalogue.artworks)
    return Facts(
        titles=catalogue.titles,
        titles_left=catalogue.left,
        back_catalogue=catalogue.unpictured,
        videos=catalogue.videos,
        artworks=catalogue.artworks,
        policy=policy,
        sources=sources,
        pictures=pictures(read("images"), widths, folder / IMAGES),
        regions=settings.regions,
        feature_names=tuple(FEATURE_NAMES) if known else (),
        claim_level=settings.evaluate.claim_level,
        smallest_cell=settings.privacy.smallest_cell,
        **found,
    )


class Shown:
    """The titles that get a page (with a film or an active artwork, the first ``most`` by name) and what is theirs."""

    def __init__(self, titles: list[Row], videos: list[Row], artworks: list[Row], most: int) -> None:
        pictured = {row["title_id"] for row in [*videos, *artworks]}
        every = sorted((t for t in titles if t["title_id"] in pictured), key=lambda t: (t["name"], t["title_id"]))
        self.titles = every[:most]
        ids = {row["title_id"] for row in self.titles}
        self.left = len(every) - len(ids)
        self.unpictured = len(titles) - len(every)
        self.videos = [row for row in videos if row["title_id"] in ids]
        self.artworks = [row for row in artworks if row["title_id"] in ids]


class Reader:
    """Tables by name; one that was never written has no rows. Which ones are there was asked once."""

    def __init__(self, tables: Tables, there: set[str]) -> None:
        self.tables = tables
        self.there = there

    def __call__(self, table: str) -> DataFrame:
        if table in self.there:
            return self.tables.read(table)
        return self.tables.spark.createDataFrame([], TABLES[table].schema)

    def catalogue(self, most: int) -> Shown:
        """Titles, films and active artworks."""
        titles = _rows(self("titles").drop("rights"))
        return Shown(titles, _rows(self("videos")), _rows(self("artworks").where("active")), most)

    def visible(self, table: str, catalogue: Shown) -> DataFrame:
        """Rows of the scan that each film points at."""
        scans = sorted({row["current_scan_id"] for row in catalogue.videos if row["current_scan_id"]})
        # One scan covers many films, and a film may have moved on from it: both ids must fit.
        pairs = [f"{row['video_id']} {row['current_scan_id']}" for row in catalogue.videos]
        return self(table).where(F.col("scan_id").isin(scans) & F.concat_ws(" ", "video_id", "scan_id").isin(pairs))


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


def _signal(frames: DataFrame, shots: DataFrame) -> list[Row]:
    """Brightness and motion of each film in BINS stretches of equal length."""
    ends = shots.groupBy("video_id").agg(F.max("end_seconds").alias("end")).where("end > 0")
    place = F.least(F.floor(F.col("seconds") / F.col("end") * BINS), F.lit(BINS - 1)).cast("int")
    return _rows(
        frames.join(ends, on="video_id", how="inner")
        .groupBy("video_id", place.alias("bin"))
        .agg(
            F.avg("seconds").alias("seconds"),
            F.avg("luma_mean").alias("luma"),
            F.avg("difference").alias("motion"),
            F.count("*").alias("frames"),
        )
    )


def _candidates(every: DataFrame, most: int) -> list[Row]:
    """The best of each shot, then the second best, up to ``most`` a title."""
    best = Window.partitionBy("title_id", "video_id", "shot_id").orderBy(F.desc("quality"), "pts")
    order = Window.partitionBy("title_id").orderBy("nth", F.desc("quality"), "video_id", "pts")
    return _rows(
        every.drop("features", "feature_version", "faces")
        .withColumn("nth", F.row_number().over(best))
        .withColumn("place", F.row_number().over(order))
        .withColumn("of", F.count("*").over(Window.partitionBy("title_id")))
        .where(F.col("place") <= most)
        .drop("nth", "place")
    )


def _failures(failures: DataFrame) -> list[Row]:
    return sorted(_rows(failures), key=lambda row: (row["uri"], row["scan_id"], row["video_id"], row["segment"]))


def _policy(read: Reader) -> Row | None:
    rows = _rows(read("policies").withColumn("seconds", F.unix_seconds("created_at")))
    newest = min(rows, key=lambda row: (-row["seconds"], row["policy_id"]), default=None)
    return {**newest, "created_at": datetime.fromtimestamp(newest["seconds"], UTC)} if newest else None


def _of_policy(frame: DataFrame, policy_id: str) -> DataFrame:
    return frame.where(F.col("policy_id") == policy_id)


def _evaluations(evaluations: DataFrame) -> list[Row]:
    """The evaluation of the latest days; of several on the same days the first by id."""
    rows = _rows(evaluations)
    if not rows:
        return []
    newest = min(rows, key=lambda row: (-row["to_day"].toordinal(), -row["from_day"].toordinal(), row["evaluation_id"]))
    kept = [row for row in rows if row["evaluation_id"] == newest["evaluation_id"]]
    return sorted(kept, key=lambda r: (r["slice"], r["target"], r["baseline"], r["metric"], r["estimator"]))


def _measures(measures: DataFrame) -> list[Row]:
    return sorted(_rows(measures), key=lambda row: (row["measure"], row["segment"], row["behaviour"]))


def _seen(stats: DataFrame) -> list[Row]:
    return _rows(stats.groupBy("artwork_id").agg(F.sum("n").alias("n"), F.sum("takes").alias("takes")))


def _newest(assignments: DataFrame) -> DataFrame:
    newest = Window.partitionBy("user_key").orderBy(F.desc("version"))
    return assignments.withColumn("nth", F.row_number().over(newest)).where("nth = 1").drop("nth")


def _members(read: Reader, policy_id: str, most: int) -> list[Row]:
    """Members in the order of their keyed hash, which is as good as chance, with what is known of them beside it."""
    assigned = _newest(_of_policy(read("user_assignments"), policy_id)).where(F.size("title_ids") > 0)
    sample = _rows(assigned.orderBy("user_key").limit(most))
    known: dict[str, Row] = {}
    if sample:
        taste = read("taste").where(F.col("user_key").isin([row["user_key"] for row in sample]))
        rows = _rows(taste.select("user_key", "as_of", "taste_version", "history", "kids"))
        known = {r["user_key"]: r for r in sorted(rows, key=lambda r: (r["as_of"], r["taste_version"]))}
    nobody = {"history": None, "kids": False}
    return [{**row, **{k: known.get(row["user_key"], nobody)[k] for k in nobody}} for row in sample]


def _audience(taste: DataFrame) -> Row | None:
    """How many members there were at the newest day that taste is known for."""
    days = _rows(taste.groupBy("as_of", "taste_version").agg(F.count("*").alias("members")))
    return max(days, key=lambda row: (row["as_of"], row["taste_version"]), default=None)


def _overrides(newest: DataFrame) -> list[Row]:
    """Members by override; the row without an artwork counts members with any."""
    pairs = F.transform(F.arrays_zip("title_ids", "artwork_ids"), lambda pair: pair["artwork_ids"])
    anyone = F.when(F.size("title_ids") > 0, F.array(F.lit(None).cast("string"))).otherwise(F.array())
    each = newest.select(F.explode(F.concat(anyone, pairs)).alias("artwork_id"))
    return _rows(each.groupBy("artwork_id").agg(F.count("*").alias("members")))


def _decisions(decisions: DataFrame) -> Row | None:
    sums = [
        F.count("*").alias("n"),
        F.coalesce(F.sum("take"), F.lit(0)).alias("takes"),
        F.min("epoch").alias("first"),
        F.max("epoch").alias("last"),
    ]
    row = decisions.agg(*sums).collect()[0].asDict()
    return row if row["n"] else None


def _quarantine(quarantine: DataFrame) -> list[Row]:
    rows = _rows(quarantine.groupBy("reason").agg(F.count("*").alias("rows")))
    return sorted(rows, key=lambda row: (-row["rows"], row["reason"]))


def _quality(figures: DataFrame) -> list[Row]:
    """Figures of the newest ingest; of several on one day the first by key."""
    rows = _rows(figures)
    newest = min(rows, key=lambda row: (-row["run_date"].toordinal(), row["run_key"]), default=None)
    return sorted((r for r in rows if newest and r["run_key"] == newest["run_key"]), key=lambda r: r["measure"])


def _experiments(read: Reader) -> list[Row]:
    if "experiment_results" not in read.there:
        return []
    names = {row["experiment_id"]: row["name"] for row in _rows(read("experiments"))}
    rows = sorted(
        _rows(read("experiment_results")), key=lambda r: tuple(r[column] for column in TABLES["experiment_results"].key)
    )
    return [{**row, "name": names.get(row["experiment_id"], row["experiment_id"])} for row in rows]
