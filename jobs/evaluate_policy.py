"""evaluate-policy: tell from the logs what a policy would have been worth."""

import sys

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.evaluation.findings import summary
from keyart.evaluation.spark import evaluate, write_evaluations
from keyart.settings import Settings
from keyart.tables import Tables
from keyart.tracking import Tracking


def run(spark: SparkSession, settings: Settings) -> int:
    """Judge the policy's behaviours by the test decisions and write what is known."""
    tables = Tables(spark, settings.tables)
    rows = evaluate(tables, Tracking(settings.tracking, settings.tables), settings)
    write_evaluations(tables, rows)
    print(summary(rows))
    return 0


if __name__ == "__main__":
    sys.exit(run_job("evaluate-policy"))
