"""The only place that builds a SparkSession: local, on a cluster, over Spark Connect, or Databricks' own."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping

from pyspark.sql import SparkSession

from keyart.errors import SetupError
from keyart.settings import SessionSettings

__all__ = ["check_java", "open_session"]

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
    "spark.sql.session.timeZone": "UTC",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}
LOCAL_JVM = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"


def open_session(settings: SessionSettings) -> SparkSession:
    """The running session where there is one (Databricks, notebooks, tests), else one as the settings say.

    SetupError, in one line, where Java is missing or of a version Spark cannot use.
    """
    running = SparkSession.getActiveSession()
    if running is not None or os.environ.get("DATABRICKS_RUNTIME_VERSION"):
        return running or SparkSession.builder.getOrCreate()
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


def _configured(builder: SparkSession.Builder, options: Mapping[str, str]) -> SparkSession.Builder:
    for key, value in options.items():
        builder = builder.config(key, value)
    return builder


def check_java() -> int:
    """Java's major version; SetupError says what to install where it is missing or neither 17 nor 21."""
    home = os.environ.get("JAVA_HOME")
    java = os.path.join(home, "bin", "java") if home else shutil.which("java")
    want = "install a JDK 17 or 21 (Debian: apt-get install openjdk-17-jdk-headless) or set JAVA_HOME"
    if not java or not os.path.exists(java):
        raise SetupError(f"no Java found{f' in JAVA_HOME={home}' if home else ''}; {want}")
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60)
    except OSError as error:
        raise SetupError(f"{java} does not run ({error}); {want}") from error
    found = re.search(r'version "(\d+)(?:\.(\d+))?', said.stderr + said.stdout)
    if not found:
        raise SetupError(f"{java} does not tell its version; {want}")
    major = int(found[2]) if found[1] == "1" and found[2] else int(found[1])
    if major not in (17, 21):
        raise SetupError(f"{java} is Java {major}; Spark 4.2 here needs 17 or 21: {want}")
    return major
