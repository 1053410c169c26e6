"""Who was exposed to which variant since when: for joining further figures to an experiment, member by member."""

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import IntegerType, StringType, StructField, StructType

from keyart.evaluation.experiments.design import Design
from keyart.evaluation.experiments.randomisation import HOLDOUT

__all__ = ["exposures", "with_variants"]


def exposures(decisions: DataFrame, design: Design) -> DataFrame:
    """One row an exposed member: user_key, first_ts and first_day of their first decision in the experiment, decisions,
    arm (0 is control, -2 the frozen holdout) and variant. Immature decisions expose like all others."""
    before_end = F.col("epoch") < F.lit(design.to_day) if design.to_day else F.lit(True)
    shown = decisions.where((F.col("epoch") >= F.lit(design.from_day)) & before_end)
    members = shown.groupBy("user_key").agg(
        F.min("first_ts").alias("first_ts"), F.min("epoch").alias("first_day"), F.count("*").alias("decisions")
    )
    return with_variants(members, design).select("user_key", "first_ts", "first_day", "decisions", "arm", "variant")


def with_variants(members: DataFrame, design: Design) -> DataFrame:
    """Members (one row each, with a user_key) with their arm and variant; those outside the experiment are left out.

    The salt stays inside the workers' function and out of query plans.
    """
    split, names = design.split, {HOLDOUT: "holdout", **dict(enumerate(design.variants))}

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            arms = split.arms(batch.column("user_key").to_pylist())
            columns = {name: batch.column(name) for name in batch.schema.names}
            columns["arm"] = pa.array(arms, pa.int32())
            columns["variant"] = pa.array([names.get(arm) for arm in arms.tolist()], pa.string())
            yield pa.RecordBatch.from_pydict(columns)

    schema = StructType([*members.schema, StructField("arm", IntegerType()), StructField("variant", StringType())])
    return members.mapInArrow(work, schema).where(F.col("variant").isNotNull())
