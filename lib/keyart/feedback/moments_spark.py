"""Moments of a film that viewers paused at, watched again or left at: what playback positions say of its shots.

Only moments that at least k members marked are kept, so the table tells of no single member. ``drawn_to`` turns them
into one number a shot, by which select-artwork raises or lowers the frames in it.
"""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from keyart.feedback.events import REPEATS
from keyart.schemas import MOMENTS
from keyart.tables import Tables

__all__ = ["BIN_SECONDS", "drawn_to", "moments", "write_moments"]

BIN_SECONDS = 5.0
"""Length of a moment: people take a second or two to reach the button."""
KINDS = {"paused": ("pause",), "rewatched": REPEATS, "left": ("stop", "abandon")}
MOST = 0.2
"""Most that what viewers did can raise or lower a shot: a picture must first be a good one."""
LAST = 0.9
"""Share of a film after which everybody leaves, for it ends."""


def moments(events: DataFrame, smallest: int) -> DataFrame:
    """One row a title and moment that at least ``smallest`` members marked; smaller counts stand as 0.

    ``reached`` counts members who are known to have got there: the audience of that moment.
    """
    wanted = [kind for kinds in KINDS.values() for kind in kinds]
    at = F.floor(F.col("position_seconds") / BIN_SECONDS)
    placed = events.where(F.col("title_id").isNotNull() & (F.col("position_seconds") >= 0)).select(
        "user_key", "title_id", "event_type", at.alias("bin")
    )
    did = [
        F.max(F.col("event_type").isin(*kinds).cast("int")).cast("long").alias(name) for name, kinds in KINDS.items()
    ]
    marked = placed.where(F.col("event_type").isin(*wanted)).groupBy("title_id", "bin", "user_key").agg(*did)
    counts = marked.groupBy("title_id", "bin").agg(*[F.sum(name).alias(name) for name in KINDS])
    farthest = placed.groupBy("title_id", "user_key").agg(F.max("bin").alias("bin"))
    ends = farthest.groupBy("title_id", "bin").agg(F.count("*").alias("end"))
    onwards = Window.partitionBy("title_id").orderBy("bin").rowsBetween(0, Window.unboundedFollowing)
    # A moment at which nobody's viewing ends has no row among the ends: both are laid on one line first.
    line = counts.join(ends, on=["title_id", "bin"], how="full").na.fill(0)
    enough = {name: F.when(F.col(name) >= smallest, F.col(name)).otherwise(0) for name in KINDS}
    return (
        line.withColumn("reached", F.sum("end").over(onwards))
        .withColumns(enough)
        .where(" OR ".join(f"{name} > 0" for name in KINDS))
        .withColumn("second", F.col("bin") * BIN_SECONDS)
        .select(*MOMENTS.names)
    )


def write_moments(tables: Tables, smallest: int) -> int:
    """Set the table moments from all events; returns its rows. Moments as they were leave the table as it was."""
    tables.settle("moments", moments(tables.read("events"), smallest))
    return tables.read("moments").count()


def drawn_to(shots: DataFrame, found: DataFrame) -> DataFrame:
    """scan_id, video_id, shot_id, drawn of ``shots`` (with their title_id) in which moments fall: a factor, 1 - MOST to
    1 + MOST.

    Shares of the audience of a moment that paused or went back there, and that left there before the film's last part,
    each relative to the title's largest; of a shot's moments the largest counts.
    """
    whole = Window.partitionBy("title_id")
    end = F.max("end_seconds").over(Window.partitionBy("scan_id", "video_id"))
    first, last = F.floor(F.col("start_seconds") / BIN_SECONDS), F.floor(F.col("end_seconds") / BIN_SECONDS)
    placed = (
        shots.withColumn("_end", end)
        .withColumn("bin", F.explode(F.sequence(first, last)))
        .withColumn("second", F.col("bin") * BIN_SECONDS)
        .where(F.col("second") < F.col("end_seconds"))
        .join(found, on=["title_id", "second"], how="inner")
        .groupBy("title_id", "scan_id", "video_id", "shot_id")
        .agg(
            F.max((F.col("paused") + F.col("rewatched")) / F.col("reached")).alias("drew"),
            F.max(F.when(F.col("second") < LAST * F.col("_end"), F.col("left") / F.col("reached"))).alias("lost"),
        )
    )
    relative = {
        name: F.coalesce(F.try_divide(F.col(name), F.max(name).over(whole)), F.lit(0.0)) for name in ("drew", "lost")
    }
    factor = (1 + MOST * F.col("drew")) * (1 - MOST * F.col("lost"))
    return placed.withColumns(relative).select("scan_id", "video_id", "shot_id", factor.alias("drawn"))
