"""Cells of decisions for ``examining``, and the table examination."""

import numpy as np
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from keyart.feedback.examining import examined
from keyart.schemas import EXAMINATION
from keyart.tables import Tables

__all__ = ["AXES", "cells", "write_examination"]

AXES = ("position", "row")
PLACES = 40
"""Places beyond count as the last."""
SCORES = 10
"""A title is compared with itself within so many bands of the recommender's score: where it stands is not chance."""
ACCURACY = 0.01


def cells(decisions: DataFrame, axis: str) -> DataFrame:
    """group, place, n, takes: final decisions on titles not started, a group being a title in one region, band of the
    recommender's score and place on the other axis."""
    other = next(name for name in AXES if name != axis)
    counted = decisions.where(F.col("take").isNotNull() & ~F.col("already_started") & F.col(axis).isNotNull())
    group = F.xxhash64("title_id", "region", _band(counted), F.coalesce(other, F.lit(-1)))
    return (
        counted.groupBy(group.alias("group"), F.least(F.lit(PLACES - 1), axis).alias("place"))
        .agg(F.count("*").alias("n"), F.sum(F.col("take").cast("long")).alias("takes"))
        .select("group", "place", "n", "takes")
    )


def write_examination(tables: Tables) -> list[Row]:
    """Set the table examination from all decisions; returns its rows."""
    decisions = tables.read("decisions")
    rows = [row for axis in AXES for row in _axis(cells(decisions, axis), axis)]
    frame = tables.spark.createDataFrame(rows, EXAMINATION)
    tables.settle("examination", frame)
    return frame.collect()


def _band(decisions: DataFrame) -> Column:
    """0 to SCORES - 1, -1 where the log has no score."""
    shares = [step / SCORES for step in range(1, SCORES)]
    borders = decisions.approxQuantile("ranker_score", shares, ACCURACY)
    above = [(F.col("ranker_score") > border).cast("int") for border in borders]
    band = sum(above[1:], above[0]) if above else F.lit(0)
    return F.coalesce(band, F.lit(-1))


def _axis(found: DataFrame, axis: str) -> list[tuple]:
    found = found.where("place >= 0").persist()
    try:
        sums = found.groupBy("place").agg(F.sum("n"), F.sum("takes")).collect()  # PLACES rows at most
        several = found.groupBy("group").agg(F.count("*").alias("places"), F.sum("takes").alias("taken"))
        # Groups at one place, or without takes, compare nothing. Those that do: titles x regions x bands, at most.
        table = found.join(several.where("places > 1 AND taken > 0"), on="group", how="left_semi").toArrow()
    finally:
        found.unpersist()
    if not sums:
        return []
    group, place, n, takes = (table.column(name).to_numpy() for name in ("group", "place", "n", "takes"))
    _, group = np.unique(group, return_inverse=True)
    places = max(row[0] for row in sums) + 1
    answer = examined(group, place.astype(np.int64), n, takes, places)
    totals = np.zeros((2, places), dtype=np.int64)
    for at, seen, taken in sums:
        totals[:, at] = seen, taken
    rows = []
    for at in np.flatnonzero(totals[0]):
        chance, sd = float(answer.probability[at]), float(answer.log_sd[at])
        there = np.isfinite(chance)
        verdict = "ok" if there else "not identified"
        counts = int(totals[0][at]), int(totals[1][at])
        rows.append((axis, int(at), *counts, chance if there else None, sd if there else None, verdict))
    return rows
