"""measure-policy: what a policy does to members and catalogue, against the limits that were set."""

import sys

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.errors import LimitError
from keyart.evaluation.gates_spark import gate_rows, refusal_lines
from keyart.evaluation.measures import breaches
from keyart.evaluation.responsibility_spark import measure_policy, write_measures
from keyart.settings import Settings
from keyart.tables import Tables


def run(spark: SparkSession, settings: Settings) -> int:
    """Measure the policy on the test days, write what was found and say what lies outside its limits."""
    tables = Tables(spark, settings.tables)
    rows = measure_policy(tables, settings)
    write_measures(tables, rows)
    outside = breaches(rows)
    if refused := gate_rows(tables, rows):
        rows += refused
        write_measures(tables, rows)
    for line in outside:
        print(f"outside its limit: {line}")
    for line in refusal_lines(tables, rows):
        print(line)
    print(
        f"measure-policy: policy {rows[0]['policy_id']}, {len(rows)} measures on [{rows[0]['from_day']}, "
        f"{rows[0]['to_day']}), {len(outside)} outside their limits of {len(settings.responsibility.limits)} set"
    )
    if outside and settings.responsibility.enforce:
        raise LimitError(f"policy {rows[0]['policy_id']} is outside {len(outside)} of its limits: {'; '.join(outside)}")
    return 0


if __name__ == "__main__":
    sys.exit(run_job("measure-policy"))
