"""Make up logs of any size: members, what they were shown and did, and faults on demand."""

import sys

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.demo.simulate_spark import simulate
from keyart.settings import Settings
from keyart.tables import Tables


def run(spark: SparkSession, settings: Settings) -> None:
    """Write ``simulate.out`` and say what is in it."""
    made = simulate(spark, Tables(spark, settings.tables), settings)
    catalogue = "made up" if made.invented else "found"
    print(f"simulate: {made.rows} rows in {settings.simulate.out}; a catalogue of {made.titles} titles was {catalogue}")


if __name__ == "__main__":
    sys.exit(run_job("simulate"))
