"""What other rooms ask the logs for."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keyart.errors import ModelError
from keyart.feedback.decisions_spark import running_times
from keyart.feedback.windows import Windows, resolve_windows
from keyart.settings import TimeSettings
from keyart.tables import Tables

__all__ = ["opted_in", "running", "windows_of"]


def windows_of(decisions: DataFrame, time: TimeSettings) -> Windows:
    """The windows of time for these decisions; ModelError where there are none."""
    row = decisions.agg(F.min("epoch").alias("first"), F.max("epoch").alias("last")).first()
    if row is None or row["first"] is None:
        raise ModelError("there are no decisions; ingest logs whose impressions carry propensities first")
    return resolve_windows(row["first"], row["last"], time)


def opted_in(rows: DataFrame, tables: Tables) -> DataFrame:
    """Rows (with a user_key) of members who did not opt out."""
    if not tables.exists("opt_outs"):
        return rows
    out = tables.read("opt_outs").where("opted_out").select("user_key")
    return rows.join(out, on="user_key", how="left_anti")


def running(tables: Tables) -> DataFrame:
    """title_id, running_seconds of titles with films; frames are read only where a container does not say."""
    videos = tables.read_or_empty("videos")
    untimed = videos.where(F.col("duration_seconds").isNull() & F.col("current_scan_id").isNotNull())
    return running_times(videos, None if untimed.isEmpty() else tables.read_or_empty("frames"))
