"""promote: let a candidate policy become champion where later logs allow it, or go back to the champion before."""

import sys

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.evaluation.promotion import told
from keyart.evaluation.promotion_spark import follow, roll_back, tried
from keyart.settings import Settings
from keyart.tables import Tables


def run(spark: SparkSession, settings: Settings) -> int:
    """Compare and decide, or roll back; then let MLflow's aliases follow. 1 where the candidate is refused."""
    tables = Tables(spark, settings.tables)
    row = roll_back(tables, settings.promote.policy_id) if settings.promote.rollback else tried(tables, settings)
    print(f"promote: {told(row)}")
    if row["action"] != "refuse":
        print("promote: where keyart serve answers, run keyart publish to serve it")
    if problem := follow(tables, settings):
        print(f"promote: MLflow's aliases do not follow yet ({problem}); the next run sets them")
    return 1 if row["action"] == "refuse" else 0


if __name__ == "__main__":
    sys.exit(run_job("promote"))
