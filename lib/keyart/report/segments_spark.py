"""What tastes are given: members by the genre they engage with most, counted by artwork of their own.

These are groups to look at, named by what everyone understands; what a policy assigns to are ``policy.segments``.
"""

import json

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from keyart.report.facts import Row
from keyart.report.parts_spark import Reader

__all__ = ["newest_assignments", "of_policy", "segments"]

MOST = 3
"""Artworks kept of a title and segment: those given to most members."""


def of_policy(frame: DataFrame, policy_id: str) -> DataFrame:
    """The policy's rows."""
    return frame.where(F.col("policy_id") == policy_id)


def newest_assignments(read: Reader, policy_id: str) -> DataFrame:
    """Each member's newest overrides under a policy."""
    newest = Window.partitionBy("user_key").orderBy(F.desc("version"))
    every = of_policy(read("user_assignments"), policy_id)
    return every.withColumn("nth", F.row_number().over(newest)).where("nth = 1").drop("nth")


def segments(read: Reader, policy: Row | None, smallest: int) -> DataFrame:
    """title_id, segment, artwork_id, members, of (the segment's members with any artwork of their own).

    Counts below ``smallest`` are left out; there are none before a policy names the genres of its taste model.
    """
    names = json.loads(policy["models"]).get("segments", []) if policy else []
    empty = "title_id string, segment string, artwork_id string, members long, of long"
    if not names or policy is None:
        return read.tables.spark.createDataFrame([], empty)
    of = json.loads(policy["spec"])["taste"]
    mine = (F.col("taste_version") == of["version"]) & (F.col("as_of").cast("string") == of["as_of"])
    taste = read("taste").where(mine)
    # The condition stands outside: element_at takes a null place for the last one where no element is null.
    most = F.array_max("genre_mix")
    place = F.array_position("genre_mix", most).cast("int")
    genre = F.when(most > 0, F.element_at(F.array(*(F.lit(name) for name in names)), place))
    of_member = taste.select("user_key", genre.alias("segment")).where("segment IS NOT NULL")
    # Their own column segment is what the policy assigned by, not the genre.
    some = newest_assignments(read, policy["policy_id"]).where(F.size("title_ids") > 0).drop("segment")
    own = some.join(of_member, on="user_key", how="inner")
    sizes = own.groupBy("segment").agg(F.count("*").alias("of"))
    pair = F.explode(F.arrays_zip("title_ids", "artwork_ids")).alias("pair")
    given = [
        F.col("pair.title_ids").alias("title_id"),
        F.col("segment"),
        F.col("pair.artwork_ids").alias("artwork_id"),
    ]
    counted = own.select("segment", pair).groupBy(*given).agg(F.count("*").alias("members"))
    order = Window.partitionBy("title_id", "segment").orderBy(F.desc("members"), "artwork_id")
    return (
        counted.where(F.col("members") >= smallest)
        .withColumn("nth", F.row_number().over(order))
        .where(F.col("nth") <= MOST)
        .join(F.broadcast(sizes), on="segment", how="inner")
        .select("title_id", "segment", "artwork_id", "members", "of")
    )
