"""Members' newest vectors: those of the last training, and of members whom a stream met since then, later ones."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

__all__ = ["newest_vectors"]


def newest_vectors(taste: DataFrame, until: date | None = None) -> DataFrame:
    """Each member's newest row of taste, as of ``until`` or before."""
    rows = taste if until is None else taste.where(F.col("as_of") <= F.lit(until))
    newest = F.max_by(F.struct(*(name for name in rows.columns if name != "user_key")), "as_of").alias("row")
    return rows.groupBy("user_key").agg(newest).select("user_key", "row.*").select(*taste.columns)
