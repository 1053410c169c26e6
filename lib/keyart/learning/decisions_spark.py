"""The decisions the response model learns from: which train, what is counted, and the rows their blocks are made of."""

from collections.abc import Sequence

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from keyart.errors import ModelError
from keyart.feedback.windows import Windows
from keyart.learning.contexts import NOWHERE, Contexts
from keyart.learning.decisions import Artworks, Counts
from keyart.tables import Tables

__all__ = ["ORDER", "artworks_of", "cell_counts", "contexts_of", "eligible", "examination_of", "with_vectors"]

ORDER = ["epoch", "title_id"]
"""Of a member's rows within a block; the row with the vectors has no epoch and stands first."""
UNKNOWN = "unknown"
MOST_DEVICES = 8
"""That are told apart, those with the most decisions."""


def artworks_of(artworks: DataFrame) -> Artworks:
    """All artworks, active or not, with the active ones' feature version. ModelError where no title offers a choice."""
    columns = ("title_id", "artwork_id", "features", "feature_version", "active")
    rows = sorted((tuple(row) for row in artworks.select(*columns).collect()), key=lambda row: row[:2])
    versions = {row[3] for row in rows if row[4]}
    if len(versions) > 1:
        raise ModelError(f"active artworks have features of versions {', '.join(sorted(versions))}; run select-artwork")
    rows = [row for row in rows if row[3] in versions]
    titles = [row[0] for row in rows if row[4]]
    if len(set(titles)) == len(titles):
        raise ModelError(
            "no title has two active artworks, so there is nothing to learn; raise select.artworks_per_title"
        )
    title_ids, index = np.unique([row[0] for row in rows], return_inverse=True)
    return Artworks(
        artwork_ids=[row[1] for row in rows],
        title_ids=title_ids.tolist(),
        title_index=index,
        vectors=np.array([row[2] for row in rows], dtype=np.float64),
        active=np.array([row[4] for row in rows], dtype=bool),
        feature_version=versions.pop(),
    )


def eligible(decisions: DataFrame, windows: Windows, held_out: int) -> DataFrame:
    """Decisions of [t0, t1) that train: final, title not started before, a choice, members not held out."""
    return decisions.where(
        (F.col("epoch") >= F.lit(windows.t0))
        & (F.col("epoch") < F.lit(windows.t1))
        & F.col("take").isNotNull()
        & ~F.col("already_started")
        & (F.size("candidate_set") >= 2)
        & (F.col("user_bucket") >= held_out)
    )


def cell_counts(decisions: DataFrame, artwork_ids: Sequence[str]) -> Counts:
    """One aggregation; what comes back is of the catalogue's size times the number of regions."""
    quality = F.coalesce("quality", F.lit(0.0)) * F.col("take")
    found = (
        decisions.groupBy("region", "artwork_id")
        .agg(F.count("*").alias("n"), F.sum("take"), F.sum(quality), F.sum(quality * quality))
        .collect()
    )
    place = {artwork: i for i, artwork in enumerate(artwork_ids)}
    rows = [row for row in found if row["artwork_id"] in place]  # others have features of an older version
    regions = sorted({row["region"] for row in rows})
    sums = np.zeros((4, len(regions), len(artwork_ids)))
    for region, artwork, *values in rows:
        sums[:, regions.index(region), place[artwork]] = values
    return Counts(regions, *sums)


def contexts_of(decisions: DataFrame, smallest: int) -> Contexts:
    """The devices of at least so many members (estimated) and the parts of the day of these decisions, but for what
    would not do as part of a context's name."""
    members = F.approx_count_distinct("user_key").alias("members")
    found = decisions.groupBy("device").agg(F.count("*").alias("n"), members, F.collect_set("day_part").alias("parts"))
    known = found.where(_tells(F.col("device")) & (F.col("members") >= smallest))
    often = known.orderBy(F.desc("n"), "device").limit(MOST_DEVICES)
    rows = often.select("device", F.filter("parts", _tells).alias("parts")).collect()
    parts = {part for row in rows for part in row["parts"]}
    return Contexts(tuple(sorted(row["device"] for row in rows)), tuple(sorted(parts)))


def _tells(name: Column) -> Column:
    return name.isNotNull() & ~name.isin("", UNKNOWN) & ~name.rlike("[|*]")


def with_vectors(decisions: DataFrame, taste: DataFrame, contexts: Contexts = NOWHERE) -> DataFrame:
    """Decisions and, as rows of their own, vectors of ``taste``: a member's vector travels once, not per decision.

    ``context`` is the place among the contexts, -1 where it is none of them.
    """
    device, part = (
        F.array_position(F.array(*map(F.lit, names)).cast("array<string>"), F.col(column)).cast("int") - 1
        for names, column in ((contexts.devices, "device"), (contexts.day_parts, "day_part"))
    )
    context = F.when((device >= 0) & (part >= 0), device * len(contexts.day_parts) + part).otherwise(-1)
    known = decisions.select(
        "user_key",
        "epoch",
        "title_id",
        "artwork_id",
        "region",
        "kids",
        context.cast("short").alias("context"),
        "row",
        "position",
        "ranker_score",
        "take",
        "propensity",
        "candidate_set",
        "candidate_propensities",
        F.xxhash64("candidate_set", "candidate_propensities").alias("design"),
        # Not null: for each row Arrow's writer would go back to the last list that was there.
        *(F.array().cast("array<float>").alias(name) for name in ("factors", "genre_mix")),
    )
    vectors = taste.select("user_key", "factors", "genre_mix", "history")
    return known.unionByName(vectors, allowMissingColumns=True)


def examination_of(tables: Tables) -> dict[str, np.ndarray]:
    """By axis (position, row), the log probability that each place is looked at, relative to the first; NaN: not
    identified. Empty where measure-sessions has not run."""
    found: dict[str, np.ndarray] = {}
    places = tables.read_or_empty("examination").where("probability IS NOT NULL")
    known = [(row["axis"], row["place"], row["probability"]) for row in places.collect()]
    for axis in sorted({axis for axis, _, _ in known}):
        own = {place: np.log(probability) for name, place, probability in known if name == axis}
        found[axis] = np.array([own.get(place, np.nan) for place in range(max(own) + 1)])
    return found
