"""What members engaged with, from events: watched titles, searched genres, regions; and blocks to learn taste from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from keyart.errors import ModelError
from keyart.feedback.windows import Windows
from keyart.learning.blocks import Arrays
from keyart.learning.members import title_genres
from keyart.settings import TasteSettings

__all__ = ["Catalogue", "block_builder", "catalogue_of", "engagement"]

WATCHED = ("play", "stop", "complete", "abandon")


@dataclass(frozen=True)
class Catalogue:
    """Titles in the order of their factors, and how they split over genres."""

    title_ids: list[str]
    genres: list[str]
    shares: np.ndarray  # (titles, genres)


def catalogue_of(titles: DataFrame) -> Catalogue:
    """All titles, films or not, by id. ModelError where there are none, or one is there twice."""
    rows = sorted((row["title_id"], row["genres"]) for row in titles.select("title_id", "genres").collect())
    if not rows:
        raise ModelError("there are no titles; run ingest-catalog first")
    twice = [title for (title, _), (following, _) in pairwise(rows) if title == following]
    if twice:
        raise ModelError(f"titles names {twice[0]!r} twice ({len(twice)} such titles); run ingest-catalog again")
    genres = sorted({genre for _, names in rows for genre in names})
    return Catalogue([title for title, _ in rows], genres, title_genres([names for _, names in rows], genres))


def engagement(
    events: DataFrame,
    running_times: DataFrame,
    windows: Windows,
    genres: Sequence[str],
    default_seconds: float,
    settings: TasteSettings,
) -> DataFrame:
    """What each member did before t0 (``early``) and before t1 (``late``), one row a member, kind and name.

    ``title``: quality in [0, 1]; ``genre``: searches that name it; ``region``: events there. Null: none by that day.
    ``running_times`` are title_id, running_seconds.
    """
    seen = events.where(F.col("event_date") < F.lit(windows.t1)).withColumn(
        "is_early", F.col("event_date") < F.lit(windows.t0)
    )
    return (
        _watched(seen, running_times, default_seconds, settings)
        .unionByName(_searched(seen, genres))
        .unionByName(_regions(seen))
        .withColumn("mark", F.xxhash64("user_key", "kind", "name", F.round("early", 6)))
    )


def _watched(seen: DataFrame, running_times: DataFrame, default_seconds: float, settings: TasteSettings) -> DataFrame:
    # What is not a time counts for nothing; to Spark NaN is larger than any number.
    seconds = F.col("watched_seconds")
    watched = F.when(~F.isnan(seconds) & (seconds > 0), seconds).otherwise(0.0)
    complete = (F.col("event_type") == "complete").cast("int")

    def sums(when: Column, name: str) -> list[Column]:
        return [
            F.sum(F.when(when, watched)).alias(f"{name}_seconds"),
            F.max(F.when(when, complete)).alias(f"{name}_complete"),
        ]

    def quality(name: str) -> Column:
        seconds, done = F.col(f"{name}_seconds"), F.col(f"{name}_complete")
        running = F.coalesce("running_seconds", F.lit(default_seconds))
        return (
            F.when(done == 1, 1.0)
            .when(seconds > 0, F.least(F.lit(1.0), seconds / running))
            .when(seconds.isNotNull(), settings.play_quality)
            .alias(name)
        )

    return (
        seen.where(F.col("event_type").isin(*WATCHED) & F.col("title_id").isNotNull())
        .groupBy("user_key", "user_bucket", "title_id")
        .agg(*sums(F.col("is_early"), "early"), *sums(F.lit(True), "late"))
        .join(running_times, "title_id", how="left")
        .select(
            "user_key",
            "user_bucket",
            F.lit("title").alias("kind"),
            F.col("title_id").alias("name"),
            quality("early"),
            quality("late"),
            F.lit(False).alias("kids"),
        )
    )


def _searched(seen: DataFrame, genres: Sequence[str]) -> DataFrame:
    query = F.lower(F.trim("query"))
    words = F.array_distinct(F.concat(F.split(query, r"[^\p{L}\p{N}-]+"), F.array(query)))
    return (
        seen.where((F.col("event_type") == "search") & F.col("query").isNotNull())
        .select("user_key", "user_bucket", "is_early", F.explode(words).alias("name"))
        .where(F.col("name").isin(*genres))
        .groupBy("user_key", "user_bucket", "name")
        .agg(*_counts())
        .select(
            "user_key", "user_bucket", F.lit("genre").alias("kind"), "name", "early", "late", F.lit(False).alias("kids")
        )
    )


def _regions(seen: DataFrame) -> DataFrame:
    return (
        seen.groupBy("user_key", "user_bucket", F.coalesce("region", F.lit("")).alias("name"))
        .agg(*_counts(), F.coalesce(F.max("kids"), F.lit(False)).alias("kids"))
        .select("user_key", "user_bucket", F.lit("region").alias("kind"), "name", "early", "late", "kids")
    )


def _counts() -> list[Column]:
    early = F.count(F.when(F.col("is_early"), 1))
    return [F.nullif(early, F.lit(0)).cast("double").alias("early"), F.count("*").cast("double").alias("late")]


def block_builder(catalogue: Catalogue) -> Callable[[pa.Table], Arrays]:
    """Turns the engagement rows of whole members, in any order, into a block as ``taste`` describes it."""
    title_ids, genres = pa.array(catalogue.title_ids), pa.array(catalogue.genres, pa.string())

    def build(rows: pa.Table) -> Arrays:
        keys = rows.column("user_key").combine_chunks().dictionary_encode()
        member = np.asarray(keys.indices)
        first = np.flatnonzero(np.diff(np.maximum.accumulate(member), prepend=-1))
        kind = rows.column("kind")
        title = np.asarray(pc.fill_null(pc.index_in(rows.column("name"), title_ids), -1))
        seen = np.flatnonzero(np.asarray(pc.equal(kind, "title")) & (title >= 0))
        seen = seen[np.argsort(member[seen].astype(np.int64) * len(title_ids) + title[seen])]
        is_region, is_genre = np.asarray(pc.equal(kind, "region")), np.asarray(pc.equal(kind, "genre"))
        value = {name: rows.column(name).to_numpy() for name in ("early", "late")}  # null becomes NaN
        regions = rows.column("name").filter(pc.equal(kind, "region")).to_pylist()
        region = np.array([name.encode() for name in regions], dtype=np.bytes_)
        genre = np.asarray(pc.fill_null(pc.index_in(rows.column("name"), genres), 0))
        block: Arrays = {
            "user_key": np.array(keys.dictionary.to_pylist(), dtype=np.bytes_),
            "user_bucket": rows.column("user_bucket").to_numpy()[first].astype(np.uint8),
            "kids": np.bincount(member, rows.column("kids").to_numpy().astype(float)) > 0,
            "present": np.bincount(member[is_region], np.isfinite(value["early"][is_region]), len(first)) > 0,
            "member": member[seen].astype(np.int32),
            "title": title[seen].astype(np.int32),
            "mark": rows.column("mark").to_numpy()[np.isfinite(value["early"])].view(np.uint64).sum(keepdims=True),
        }
        for as_of in ("early", "late"):
            block[as_of] = value[as_of][seen].astype(np.float32)
            searched = np.zeros((len(first), len(catalogue.genres)))
            np.add.at(searched, (member[is_genre], genre[is_genre]), np.nan_to_num(value[as_of][is_genre]))
            block[f"searched_{as_of}"] = searched.astype(np.float32)
            block[f"region_{as_of}"] = _most_frequent(
                member[is_region],
                region,
                np.nan_to_num(value[as_of][is_region]),
                len(first),
            )
        return block

    return build


def _most_frequent(member: np.ndarray, names: np.ndarray, counts: np.ndarray, members: int) -> np.ndarray:
    """(members,) name with the largest count, the first of equals; empty where a member has none."""
    order = np.lexsort((names, -counts, member))
    leading = order[np.flatnonzero(np.diff(member[order], prepend=-1))]
    leading = leading[counts[leading] > 0]
    found = np.zeros(members, dtype=names.dtype)
    found[member[leading]] = names[leading]
    return found
