"""``resolve`` for rows of a DataFrame: the catalogue side travels in the closure, overrides are joined by member."""

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DoubleType, StringType, StructField, StructType

from keyart.errors import LimitError, TableError
from keyart.policy.limits import is_personalised
from keyart.policy.resolve import NO_OVERRIDES, ArtworkResolver, Offer, Override
from keyart.policy.spark import resolver
from keyart.tables import Tables

__all__ = ["ANSWER", "resolved"]

ANSWER = (
    StructField("artwork_id", StringType()),
    StructField("level", StringType()),
    StructField("propensity", DoubleType()),
    StructField("policy_id", StringType()),
    StructField("segment", StringType()),
    StructField("candidate_set", ArrayType(StringType())),
    StructField("candidate_propensities", ArrayType(DoubleType())),
    StructField("refusal", StringType()),
)
"""Columns that ``resolved`` adds; where nothing may be served all are null but refusal, which says why. Of a
member of no segment, and where nothing personal counts, segment is null."""
OWN = ("own_artwork", "own_gain", "own_segment")


def resolved(asked: DataFrame, tables: Tables, policy_id: str = "") -> DataFrame:
    """Rows (user_key, title_id, region, context, epoch, kids) with ANSWER: what ``ArtworkResolver`` says of each.

    Other columns pass through, but for those that ANSWER names; a text column ``surface`` is what ``resolve`` knows by
    that name. The policy is the named one, else the one that serves (``serving_policy``); ModelError without one.
    """
    asked = asked.drop(*(field.name for field in ANSWER))
    catalogue = replace(resolver(tables, policy_id), overrides=NO_OVERRIDES)
    newest = F.max_by(F.struct("title_ids", "artwork_ids", "gains", "segment"), "version").alias("own")
    overrides = (
        tables.read("user_assignments")
        .where(F.col("policy_id") == catalogue.policy.policy_id)
        .groupBy("user_key")
        .agg(newest)
    )
    place = F.array_position("own.title_ids", F.col("title_id")).cast("int")
    own = [F.when(place > 0, F.get(f"own.{column}", place - 1)) for column in ("artwork_ids", "gains")]
    own.append(F.col("own.segment"))

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield _answered(catalogue, batch)

    return (
        asked.join(overrides, on="user_key", how="left")
        .select(*asked.columns, *(column.alias(name) for column, name in zip(own, OWN, strict=True)))
        .mapInArrow(write, StructType([*asked.schema, *ANSWER]))
    )


def _answered(catalogue: ArtworkResolver, batch: pa.RecordBatch) -> pa.RecordBatch:
    offers: dict[tuple, Offer | str] = {}  # members are many, what they can be offered is not
    wanted = ("title_id", "region", "context", "epoch", "kids", *OWN)
    keys = list(zip(*(batch.column(name).to_pylist() for name in wanted), strict=True))
    answers = []
    named = "surface" in batch.schema.names
    surfaces = batch.column("surface").to_pylist() if named else [""] * batch.num_rows
    for user, surface, key in zip(batch.column("user_key").to_pylist(), surfaces, keys, strict=True):
        offer = offers.get(key)
        if offer is None:
            offer = offers[key] = _offered(catalogue, *key)
        answers.append({"refusal": offer} if isinstance(offer, str) else _row(offer, user, surface or ""))
    kinds = {"string": pa.string(), "double": pa.float64()}
    schema = pa.schema(
        [
            (field.name, pa.list_(kinds[field.dataType.elementType.typeName()]))
            if isinstance(field.dataType, ArrayType)
            else (field.name, kinds[field.dataType.typeName()])
            for field in ANSWER
        ]
    )
    found = pa.RecordBatch.from_pylist(answers, schema)
    kept = [name for name in batch.schema.names if name not in OWN]
    columns = [*(batch.column(name) for name in kept), *found.columns]
    return pa.RecordBatch.from_arrays(columns, names=[*kept, *found.schema.names])


def _offered(catalogue: ArtworkResolver, title, region, context, epoch, kids, artwork, gain, segment) -> Offer | str:
    personal = is_personalised(kids)
    own = Override(artwork, gain) if artwork is not None and personal else None
    among = (segment or "") if personal else ""
    try:
        return catalogue.offer(title, region or "unknown", context or "*", own, epoch=epoch, segment=among).of(among)
    except (LimitError, TableError) as error:
        return str(error)


def _row(offer: Offer, user_key: str, surface: str) -> dict[str, object]:
    found = offer.drawn(user_key, surface)
    return {
        "artwork_id": found.artwork_id,
        "level": found.level,
        "propensity": found.propensity,
        "policy_id": found.policy_id,
        "segment": found.segment or None,
        "candidate_set": found.candidate_set,
        "candidate_propensities": found.probabilities,
        "refusal": None,
    }
