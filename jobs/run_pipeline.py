"""Run every stage that has something new to read, in the order of what they depend on."""

import sys

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.operations.lines import failure_lines
from keyart.pipeline import run_stages, stages_for
from keyart.settings import Settings
from keyart.tables import Tables


def run(spark: SparkSession, settings: Settings) -> int:
    """Run the graph and say what came of it; 1 where a stage failed, with a line for each."""
    results = run_stages(spark, settings, stages_for(settings, Tables(spark, settings.tables)))
    failures = failure_lines([(result.job, result.state, result.error) for result in results])
    for line in failures:
        print(f"keyart: {line}", file=sys.stderr)
    ran = [result for result in results if result.state == "done"]
    print(
        f"pipeline: {len(ran)} stages ran in {sum(result.seconds for result in ran):.0f} s, "
        f"{sum(result.skipped for result in results)} up to date"
        + (f", {len(failures)} failed, {sum(r.state == 'blocked' for r in results)} blocked" if failures else "")
    )
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(run_job("run-pipeline"))
