"""Launches of a log: the days of titles with something new, from artwork_stats."""

from datetime import date, timedelta

import numpy as np
from pyspark.sql import functions as F

from keyart.evaluation.launches import Launch, Log, launches
from keyart.tables import Tables

__all__ = ["launches_of"]

MOST = 2000
"""Titles with something new that are looked at, those with the most decisions: no more numbers reach the driver."""
SUMS = ("w", "w2", "wr", "w2r2")


def launches_of(tables: Tables) -> tuple[list[Launch], tuple[date, date] | None]:
    """What was launched within the log, and the log's days (the last exclusive); None without one."""
    stats = tables.read_or_empty("artwork_stats").where("n > 0")
    span = stats.agg(F.min("event_date").alias("first"), F.max("event_date").alias("last")).collect()[0]
    if span["first"] is None:
        return [], None
    artworks = stats.groupBy("title_id", "artwork_id").agg(
        F.min("event_date").alias("first"), F.sum("n").alias("n"), *(F.sum(name).alias(name) for name in SUMS)
    )
    new = (
        artworks.groupBy("title_id")
        .agg(F.max("first").alias("newest"), F.sum("n").alias("n"))
        .where(F.col("newest") > F.lit(span["first"]))
        .orderBy(F.desc("n"), "title_id")
        .limit(MOST)
        .select("title_id")
    )
    seen = artworks.join(F.broadcast(new), on="title_id", how="left_semi").orderBy("title_id", "artwork_id").toPandas()
    by_day = (
        stats.join(F.broadcast(new), on="title_id", how="left_semi")
        .groupBy("artwork_id", F.datediff("event_date", F.lit(span["first"])).alias("day"))
        .agg(F.sum("n").alias("n"))
        .toPandas()
    )
    days = (span["first"], span["last"] + timedelta(days=1))
    if seen.empty:
        return [], days
    place = {artwork: a for a, artwork in enumerate(seen["artwork_id"])}
    n = np.zeros((len(seen), (days[1] - days[0]).days))
    n[by_day["artwork_id"].map(place), by_day["day"]] = by_day["n"]
    title = np.unique(seen["title_id"], return_inverse=True)[1]
    return launches(Log(title, n, *(seen[name].to_numpy(np.float64) for name in SUMS))), days
