"""evaluate-policy: tell from the logs what policies would have been worth."""

import sys

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.evaluation.examination_spark import plan_evaluation
from keyart.evaluation.findings import summary
from keyart.evaluation.spark import evidence_of, plan_lines, rows_of, write_evaluations
from keyart.settings import Settings
from keyart.tables import Tables
from keyart.tracking import Tracking


def run(spark: SparkSession, settings: Settings) -> int:
    """Judge the policies' behaviours by the test decisions and write what is known."""
    tables = Tables(spark, settings.tables)
    plan = plan_evaluation(tables, Tracking(settings.tracking, settings.tables), settings)
    found = evidence_of(tables, plan, settings)
    rows = rows_of(tables, plan, found, settings)
    write_evaluations(tables, rows)
    print(summary(rows))
    if settings.evaluate.plan_width:
        print("\n".join(plan_lines(plan, found, settings.evaluate.plan_width)))
    return 0


if __name__ == "__main__":
    sys.exit(run_job("evaluate-policy"))
