"""build-report: write the page people look at."""

import sys

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.report.spark import build_report
from keyart.settings import Settings
from keyart.tables import Tables


def run(spark: SparkSession, settings: Settings) -> int:
    """Gather what the tables say, write the site and name its first page."""
    page, facts = build_report(Tables(spark, settings.tables), settings)
    print(
        f"build-report: {len(facts.titles)} titles, {len(facts.artworks)} artworks, {len(facts.pictures)} pictures: "
        f"open {page}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(run_job("build-report"))
