"""analyze-experiment: did it work, for whom, at what price; ship, don't ship or keep running."""

import sys

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.evaluation.experiments.analyze_spark import analyse, write_results
from keyart.evaluation.experiments.findings import summary
from keyart.settings import Settings
from keyart.tables import Tables


def run(spark: SparkSession, settings: Settings) -> int:
    """Compare the variants of a registered experiment and write what is known."""
    tables = Tables(spark, settings.tables)
    rows = analyse(tables, settings)
    write_results(tables, rows)
    print(summary(rows))
    return 0


if __name__ == "__main__":
    sys.exit(run_job("analyze-experiment"))
