"""Ingest what has arrived since the last run, from a folder of files or a Kafka topic."""

import sys

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.feedback.stream_spark import stream
from keyart.settings import Settings


def run(spark: SparkSession, settings: Settings) -> None:
    """Ingest batch by batch and say what came of it."""
    done = stream(spark, settings)
    rows, events, aside = (sum(getattr(one, name) for one in done) for name in ("rows", "events", "quarantined"))
    print(f"stream-feedback: {len(done)} batches, {rows} rows: {events} events, {aside} set aside")


if __name__ == "__main__":
    sys.exit(run_job("stream-feedback"))
