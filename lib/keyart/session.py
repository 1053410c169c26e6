"""The only place that builds a SparkSession: local, on a cluster, over Spark Connect, or Databricks' own."""

import os
import sys
from collections.abc import Mapping

from pyspark.sql import SparkSession

from keyart.java import check_java
from keyart.settings import SessionSettings

__all__ = ["is_running", "open_session"]

DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}

# On one machine a job is many small Spark jobs: what dominates is planning, JIT and task start, not throughput.
LOCAL = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # Pictures lie in rows: 4,096 of them at a time, as is usual, would not fit a small heap.
    "spark.sql.parquet.columnarReaderBatchSize": "512",
    "spark.sql.session.timeZone": "UTC",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}
# Most of Spark's code runs a few times: the optimising compiler is kept for loops that are ten times hotter than usual,
# so that it speeds up passes over rows and does not compete with planning for the cores. One collector thread and half
# of the heap for young objects: what a pass allocates dies with it.
LOCAL_JVM = " ".join(
    [
        "-XX:+UseSerialGC",
        "-XX:NewRatio=1",
        "-XX:ReservedCodeCacheSize=256m",
        "-XX:Tier4InvocationThreshold=50000",
        "-XX:Tier4MinInvocationThreshold=6000",
        "-XX:Tier4CompileThreshold=150000",
        "-XX:Tier4BackEdgeThreshold=400000",
    ]
)


def open_session(settings: SessionSettings) -> SparkSession:
    """The running session where there is one (Databricks, notebooks, tests), else one as the settings say.

    SetupError, in one line, where Java is missing or of a version Spark cannot use.
    """
    if is_running():
        return SparkSession.getActiveSession() or SparkSession.builder.getOrCreate()
    # Workers start the system's python unless told otherwise.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("keyart")
    if settings.remote and not settings.remote.startswith("local"):
        # The server owns the static options; a client of Spark Connect may only set its own.
        return _configured(builder.remote(settings.remote), dict(settings.options)).getOrCreate()
    check_java()
    options = dict(DELTA)
    if settings.master or settings.remote:
        options |= LOCAL | {
            "spark.driver.memory": settings.driver_memory,
            "spark.driver.extraJavaOptions": LOCAL_JVM,
            "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        }
    options |= settings.options
    if settings.remote:  # local[2] here starts a Connect server of our own beside the client
        return _configured(builder.remote(settings.remote), options).getOrCreate()
    if settings.master:
        builder = builder.master(settings.master)
    spark = _configured(builder, options).getOrCreate()
    spark.sparkContext.setLogLevel(settings.log_level)
    return spark


def is_running() -> bool:
    """Whether someone else started a session and so is the one to stop it."""
    return SparkSession.getActiveSession() is not None or bool(os.environ.get("DATABRICKS_RUNTIME_VERSION"))


def _configured(builder: SparkSession.Builder, options: Mapping[str, str]) -> SparkSession.Builder:
    for key, value in options.items():
        builder = builder.config(key, value)
    return builder
