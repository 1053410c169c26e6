"""maintain: compact the tables, remove rows that are too old and files that nothing needs."""

import sys

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.operations.upkeep import told
from keyart.operations.upkeep_spark import maintain
from keyart.settings import Settings
from keyart.tables import Tables


def run(spark: SparkSession, settings: Settings) -> int:
    """Do the upkeep and say what it saved; 1 where it failed for a table."""
    done = maintain(Tables(spark, settings.tables), settings)
    print("\n".join(told(done)))
    for one in done:
        if one.error:
            print(f"keyart: upkeep of {one.table} failed: {one.error}", file=sys.stderr)
    return int(any(one.error for one in done))


if __name__ == "__main__":
    sys.exit(run_job("maintain"))
