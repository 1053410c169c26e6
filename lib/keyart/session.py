"""The only place that builds a SparkSession: local, on a cluster, over Spark Connect, or Databricks' own.

And the only one that asks a session how far it is, which goes by other ways with Spark Connect than without.
"""

import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from keyart.java import check_java
from keyart.secrecy import REDACTED, resolved
from keyart.settings import SessionSettings

__all__ = [
    "cores", "following", "is_running", "of_few_rows", "of_small_rows", "open_session", "tasks_under_way", "unprinted",
    "with_options",
]  # fmt: skip

DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}

# On one machine a job is many small Spark jobs: what dominates is planning, JIT and task start, not throughput.
LOCAL = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # The files of a small table, as each version's log has them, are one task's work.
    "spark.databricks.delta.snapshotPartitions": "1",
    # For a page of queries that is not served here, Spark else writes out every plan at length.
    "spark.sql.ui.explainMode": "simple",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # Pictures lie in rows: 4,096 of them at a time, as is usual, would not fit a small heap.
    "spark.sql.parquet.columnarReaderBatchSize": "512",
    # A batch of the stream has more classes than the usual 100: each would be compiled again and again.
    "spark.sql.codegen.cache.maxEntries": "500",
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
        "-XX:ReservedCodeCacheSize=384m",
        "-Xss4m",  # plans are walked by recursion, in larger frames where code is compiled quickly
        "-XX:Tier4InvocationThreshold=50000",
        "-XX:Tier4MinInvocationThreshold=6000",
        "-XX:Tier4CompileThreshold=150000",
        "-XX:Tier4BackEdgeThreshold=400000",
    ]
)


LIGHT_JVM = "-XX:TieredStopAtLevel=1"
"""Only the quick compiler: a job of a minute, most of it in Python, takes a third less of the cores in its JVM."""


def open_session(settings: SessionSettings, light: bool = False) -> SparkSession:
    """The running session where there is one (Databricks, notebooks, tests), else one as the settings say.

    ``light`` is for a job that asks little of the JVM: a session of this machine alone then compiles quickly, not well.

    SetupError, in one line, where Java is missing or of a version Spark cannot use.
    """
    if is_running():
        return SparkSession.getActiveSession() or SparkSession.builder.getOrCreate()
    # Workers start the system's python unless told otherwise.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    given = {name: resolved(value) for name, value in settings.options.items()}
    remote = resolved(settings.remote)
    builder = SparkSession.builder.appName("keyart")
    if settings.remote and not settings.remote.startswith("local"):
        # The server owns the static options; a client of Spark Connect may only set its own.
        return _configured(builder.remote(remote), given).getOrCreate()
    check_java()
    options = DELTA | REDACTED
    master = settings.master or ("" if settings.remote or _is_configured() else "local[*]")
    if master or settings.remote:
        options |= LOCAL | {
            "spark.driver.memory": settings.driver_memory,
            "spark.driver.extraJavaOptions": f"{LOCAL_JVM} {LIGHT_JVM}" if light else LOCAL_JVM,
            "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        }
    options |= given
    if settings.remote:  # local[2] here starts a Connect server of our own beside the client
        return _configured(builder.remote(remote), options).getOrCreate()
    if master:
        builder = builder.master(master)
    spark = _configured(builder, options).getOrCreate()
    spark.sparkContext.setLogLevel(settings.log_level)
    return spark


def _is_configured() -> bool:
    """Whether someone else says where Spark runs: spark-submit, the environment, or a cluster's own files."""
    if any(os.environ.get(name) for name in ("PYSPARK_GATEWAY_PORT", "SPARK_REMOTE", "SPARK_CONF_DIR")):
        return True
    return Path(os.environ.get("SPARK_HOME") or "nowhere", "conf", "spark-defaults.conf").is_file()


BATCH_BYTES = "spark.sql.execution.arrow.maxBytesPerBatch"
INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}


@contextmanager
def of_small_rows(spark: SparkSession) -> Iterator[None]:
    """While the body runs actions on rows of some hundred bytes: Arrow batches are bounded by their rows alone.

    Spark else asks every column for its size after every row, which takes as long as writing them. Where a session does
    not let the option be set, batches stay as they are.
    """
    with with_options(spark, {BATCH_BYTES: str(2**31 - 1)}):
        yield


@contextmanager
def of_few_rows(spark: SparkSession, batch_bytes: int) -> Iterator[None]:
    """While the body runs many plans over few rows, which may be of a megabyte: they reach Python ``batch_bytes`` at a
    time, and plans are interpreted, since compiling them would take longer than they do.

    Where a platform does not let an option be set, it stays as it is.
    """
    with with_options(spark, {BATCH_BYTES: str(batch_bytes)} | INTERPRETED):
        yield


@contextmanager
def with_options(spark: SparkSession, options: Mapping[str, str]) -> Iterator[list[str]]:
    """While the body runs the session has these options; it gets the names of those that a platform did not let be
    set. Of the session, not of the thread: bodies that set the same option must not overlap."""
    before, refused = {}, []
    try:
        for name, value in options.items():
            try:
                found = spark.conf.get(name, None)
                spark.conf.set(name, value)
                before[name] = found
            except PySparkException:
                refused.append(name)
        yield refused
    finally:
        for name, found in before.items():
            with suppress(PySparkException):
                spark.conf.unset(name) if found is None else spark.conf.set(name, found)


def is_running() -> bool:
    """Whether someone else started a session and so is the one to stop it."""
    return SparkSession.getActiveSession() is not None or bool(os.environ.get("DATABRICKS_RUNTIME_VERSION"))


@contextmanager
def following(spark: SparkSession, tasks: int, told: Callable[[int], None], seconds: float = 0.5) -> Iterator[None]:
    """While the body runs one action: ``told`` hears how many tasks of its pass of ``tasks`` tasks are done.

    It is called from another thread, with counts that grow; every so many ``seconds`` where Spark has to be asked.
    """
    best = 0

    def count(stages: Iterable[tuple[int, int]]) -> None:
        nonlocal best
        done = max((completed for size, completed in stages if size == tasks), default=0)
        if done > best:
            best = done
            told(done)

    if type(spark).__module__.startswith("pyspark.sql.connect"):

        def hear(stages: Iterable, **_: object) -> None:
            count((stage.num_tasks, stage.num_completed_tasks) for stage in stages)

        connect: Any = spark
        connect.registerProgressHandler(hear)
        try:
            yield
        finally:
            connect.removeProgressHandler(hear)
        return
    context: Any = spark.sparkContext
    group, over = f"keyart-{uuid.uuid4().hex}", threading.Event()
    context.setJobGroup(group, "keyart")
    asking = threading.Thread(target=lambda: _ask(context.statusTracker(), group, over, seconds, count), daemon=True)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()
        context.setLocalProperty("spark.jobGroup.id", None)
        context.setLocalProperty("spark.job.description", None)


def cores(spark: SparkSession) -> int | None:
    """How many cores run tasks; None over Spark Connect, which does not say."""
    if type(spark).__module__.startswith("pyspark.sql.connect"):
        return None
    try:
        return int(spark.sparkContext.defaultParallelism)
    except PySparkException:  # serverless has no context
        return None


def tasks_under_way(spark: SparkSession) -> tuple[int, int] | None:
    """Tasks done and tasks in all of the passes that are running now; None where none is, or Spark does not say."""
    if type(spark).__module__.startswith("pyspark.sql.connect"):
        return None
    try:
        tracker = spark.sparkContext.statusTracker()
        stages = [stage for stage in map(tracker.getStageInfo, tracker.getActiveStageIds()) if stage]
    except PySparkException:
        return None
    if not stages:
        return None
    return sum(stage.numCompletedTasks for stage in stages), sum(stage.numTasks for stage in stages)


@contextmanager
def unprinted(spark: SparkSession) -> Iterator[None]:
    """While the body runs, what Scala prints for this thread, such as VACUUM's figures, goes nowhere.

    Stdout is for the answers of jobs. Over Spark Connect it is the server's own, and where a platform does not let us
    reach the printer things stay as they are.
    """
    console: Any = None
    if not type(spark).__module__.startswith("pyspark.sql.connect"):
        with suppress(Exception):  # a guarded JVM refuses in ways of its own
            jvm: Any = spark.sparkContext._jvm
            console = getattr(getattr(jvm.scala, "Console$"), "MODULE$")
            before = console.out()
            console.setOutDirect(jvm.java.io.PrintStream(jvm.java.io.OutputStream.nullOutputStream()))
    try:
        yield
    finally:
        if console is not None:
            with suppress(Exception):
                console.setOutDirect(before)


def _ask(tracker, group: str, over: threading.Event, seconds: float, count: Callable) -> None:
    """Ask for the stages of a group's jobs until it is over."""
    while not over.wait(seconds):
        jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
        stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
        count((stage.numTasks, stage.numCompletedTasks) for stage in stages if stage)


def _configured(builder: SparkSession.Builder, options: Mapping[str, str]) -> SparkSession.Builder:
    for key, value in options.items():
        builder = builder.config(key, value)
    return builder
