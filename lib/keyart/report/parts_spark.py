"""What pages are made of, as DataFrames: each part of a title's page keeps its title_id, so that a page is one group.

Titles and films are catalogue-sized and come to the driver once; everything below them (shots, signals, candidates,
artworks, assignments) stays in Spark, however large the catalogue is.
"""

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from keyart.catalog.images import IMAGES, UPLOADS
from keyart.report.facts import Row
from keyart.schemas import TABLES
from keyart.settings import ReportSettings
from keyart.tables import Tables

__all__ = ["Reader", "Shown", "rows_of", "title_parts"]

BINS = 240
"""Points of a film's brightness and motion lines."""


class Reader:
    """Tables by name; one that was never written has no rows. Which ones are there was asked once."""

    def __init__(self, tables: Tables, there: set[str]) -> None:
        self.tables = tables
        self.there = there

    def __call__(self, table: str) -> DataFrame:
        if table in self.there:
            return self.tables.read(table)
        return self.tables.spark.createDataFrame([], TABLES[table].schema)


class Shown:
    """The titles that get a page (with a film or an active artwork, the first ``most`` by name) and their films."""

    def __init__(self, read: Reader, most: int) -> None:
        titles = rows_of(read("titles").drop("rights"))
        videos = rows_of(read("videos"))
        painted = rows_of(read("artworks").where("active").groupBy("title_id").agg(F.count("*").alias("n")))
        pictured = {row["title_id"] for row in [*videos, *painted]}
        every = sorted((t for t in titles if t["title_id"] in pictured), key=lambda t: (t["name"], t["title_id"]))
        self.titles: list[Row] = every[:most]
        ids = {row["title_id"] for row in self.titles}
        self.left = len(every) - len(ids)
        self.unpictured = len(titles) - len(every)
        self.videos: list[Row] = [row for row in videos if row["title_id"] in ids]

    def keys(self, spark: SparkSession) -> DataFrame:
        """title_id of each."""
        return F.broadcast(spark.createDataFrame([(t["title_id"],) for t in self.titles], "title_id string"))

    def scans(self, spark: SparkSession) -> DataFrame:
        """title_id, video_id, scan_id of each film's visible scan."""
        found = [(v["title_id"], v["video_id"], v["current_scan_id"]) for v in self.videos if v["current_scan_id"]]
        return F.broadcast(spark.createDataFrame(found, "title_id string, video_id string, scan_id string"))


def rows_of(frame: DataFrame) -> list[Row]:
    """The frame's rows on the driver."""
    return [row.asDict(recursive=True) for row in frame.collect()]


def title_parts(
    read: Reader, shown: Shown, policies: Sequence[str], settings: ReportSettings, only: Sequence[str] | None = None
) -> dict[str, DataFrame]:
    """The parts of title pages by the name they have in ``Facts``; ``only`` some titles' where ids are given."""
    spark = read.tables.spark
    keys, scans = shown.keys(spark), shown.scans(spark)
    if only is not None:
        keys, scans = (frame.where(F.col("title_id").isin(list(only))) for frame in (keys, scans))

    def of_titles(frame: DataFrame) -> DataFrame:
        return frame.join(keys, on="title_id", how="inner")

    def visible(table: str) -> DataFrame:
        # One scan covers many films, and a film may have moved on from it: both ids must fit.
        frame = read(table).drop("title_id")
        return frame.join(scans, on=["video_id", "scan_id"], how="inner")

    assigned = read("region_assignments").where(F.col("policy_id").isin(list(policies)) & (F.col("context") == "*"))
    shots = visible("shots")
    pictures = of_titles(read("candidates").where(F.col("scan_id").isin(IMAGES, UPLOADS)))
    return {
        "titles": of_titles(read("titles").drop("rights")),
        "videos": of_titles(read("videos")),
        "shots": shots,
        "signal": _signal(visible("frames"), shots),
        "candidates": _candidates(visible("candidates").unionByName(pictures), settings),
        "failures": visible("scan_failures"),
        "artworks": of_titles(read("artworks").where("active")),
        "assignments": of_titles(assigned),
        "seen": of_titles(
            read("artwork_stats")
            .groupBy("title_id", "artwork_id")
            .agg(F.sum("n").alias("n"), F.sum("takes").alias("takes"))
        ),
        "crowds": of_titles(_crowds(read("decisions"))),
    }


def _crowds(decisions: DataFrame) -> DataFrame:
    """Members behind an artwork's figures, by region and everywhere; to 2%, exact where they are few."""
    counted = decisions.where(F.col("take").isNotNull() & ~F.col("already_started"))
    return (
        counted.rollup("title_id", "artwork_id", "region")
        .agg(F.approx_count_distinct("user_key", 0.02).alias("members"))
        .where(F.col("artwork_id").isNotNull())
        .select("title_id", "artwork_id", "region", "members")
    )


def _seen(stats: DataFrame) -> DataFrame:
    sums = [F.sum(name).alias(name) for name in ("n", "takes")]
    return stats.groupBy("title_id", "artwork_id").agg(*sums)


def _signal(frames: DataFrame, shots: DataFrame) -> DataFrame:
    """Brightness and motion of each film in BINS stretches of equal length."""
    ends = shots.groupBy("video_id").agg(F.max("end_seconds").alias("end")).where("end > 0")
    place = F.least(F.floor(F.col("seconds") / F.col("end") * BINS), F.lit(BINS - 1)).cast("int")
    return (
        frames.join(ends, on="video_id", how="inner")
        .groupBy("title_id", "video_id", place.alias("bin"))
        .agg(
            F.avg("seconds").alias("seconds"),
            F.avg("luma_mean").alias("luma"),
            F.avg("difference").alias("motion"),
            F.count("*").alias("frames"),
        )
    )


def _candidates(every: DataFrame, settings: ReportSettings) -> DataFrame:
    """The best of each shot, then the second best, up to ``settings.candidates`` a title; faces as a count and size."""
    best = Window.partitionBy("title_id", "video_id", "shot_id").orderBy(F.desc("quality"), "pts")
    order = Window.partitionBy("title_id").orderBy("nth", F.desc("quality"), "video_id", "pts")
    tallest = F.array_max(F.transform("faces", lambda face: face["height"]))
    return (
        every.withColumn("face_count", F.size("faces"))  # null faces: nobody looked yet
        .withColumn("face_height", tallest)
        .drop("features", "feature_version", "faces")
        .withColumn("nth", F.row_number().over(best))
        .withColumn("place", F.row_number().over(order))
        .withColumn("of", F.count("*").over(Window.partitionBy("title_id")))
        .where(F.col("place") <= settings.candidates)
        .drop("nth", "place")
    )
