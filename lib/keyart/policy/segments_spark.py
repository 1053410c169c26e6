"""Segments over Spark: found by one task among a bounded sample of members, of whom only centres leave it; stored."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from threadpoolctl import threadpool_limits

from keyart.policy.columns import vectors_of
from keyart.policy.segments import NOBODY, Segments, clusters, named
from keyart.schemas import TABLES
from keyart.tables import Tables
from keyart.tracking import ModelArrays

__all__ = ["learned_segments", "segment_rows", "stored_segments"]

SAMPLE = 20_000
"""Members that segments are found among: the first by user_key, a hash, so as good as drawn."""
USED = ("weights", "features", "member_mean", "member_scale")
FOUND = "centre array<double>, members long"


def learned_segments(members: DataFrame, model: ModelArrays, most: int, smallest: int, seed: int) -> Segments:
    """Segments of some members (rows of taste; kids' profiles are left out) under a response model; the same
    rows give the same segments. One pass over members' keys and vectors, and one task for the sample."""
    if not most:
        return NOBODY
    arrays, nobody = {name: np.array(model.arrays[name]) for name in USED}, (np.empty((0, 0)), np.empty(0, np.int64))

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows = [vectors_of(batch) for batch in batches]
        with threadpool_limits(1):  # a task a core
            centre, count = clusters(np.concatenate(rows), arrays, most, smallest, seed) if rows else nobody
        lists = pa.array(centre.tolist(), pa.list_(pa.float64()))
        yield pa.RecordBatch.from_pydict({"centre": lists, "members": pa.array(count, pa.int64())})

    sample = members.where(~F.col("kids") & (F.col("history") > 0)).orderBy("user_key").limit(SAMPLE)
    columns = sample.select("user_key", "factors", "genre_mix", "history")
    # Sorted once more in its one partition: k-means sums floating-point numbers in the order of rows.
    found = columns.coalesce(1).sortWithinPartitions("user_key").mapInArrow(work, FOUND).collect()
    if not found:
        return NOBODY
    centres = np.array([row["centre"] for row in found], dtype=np.float64)
    about: Mapping[str, Any] = model.about
    shares = np.array([row["members"] for row in found]) / sum(row["members"] for row in found)
    said = named(model.arrays, centres, about["member_names"], about["feature_names"])
    return Segments.of(model.arrays, *said, shares.tolist(), centres)


def segment_rows(tables: Tables, policy_id: str, segments: Segments) -> DataFrame:
    """Rows of policy_segments."""
    columns = zip(segments.names, segments.descriptions, segments.shares, segments.centres.tolist(), strict=True)
    return tables.spark.createDataFrame([(policy_id, *row) for row in columns], TABLES["policy_segments"].schema)


def stored_segments(tables: Tables, policy_id: str, model: ModelArrays) -> Segments:
    """Those of a policy that was written, under the response model that it stands on; none of policies without."""
    rows = tables.read_or_empty("policy_segments").where(F.col("policy_id") == policy_id).orderBy("segment").collect()
    if not rows:
        return NOBODY
    centres = np.array([row["centre"] for row in rows], dtype=np.float64)
    names, said, shares = (tuple(row[name] for row in rows) for name in ("segment", "description", "share"))
    return Segments.of(model.arrays, names, said, shares, centres)
