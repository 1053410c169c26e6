"""Read a delivery of logs into events, impressions, decisions and artwork_stats; what is wrong goes to quarantine."""

import sys

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.feedback.ingest_spark import ingest
from keyart.settings import Settings
from keyart.tables import Tables


def run(spark: SparkSession, settings: Settings) -> None:
    """Ingest ``events.events`` and say what came of it."""
    done = ingest(spark, Tables(spark, settings.tables), settings)
    print(
        f"ingest-events: {done.rows} rows of {settings.events.events}: {done.events} events, "
        f"{done.quarantined} set aside, {done.dropped} dropped (erased, opted out or too old); "
        f"{done.measures.get('decisions', 0):.0f} decisions on these days, "
        f"take fraction {done.measures.get('take_fraction', 0):.4f}"
    )


if __name__ == "__main__":
    sys.exit(run_job("ingest-events"))
