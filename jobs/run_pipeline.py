"""Run every stage that has something new to read, in order."""

import sys

from keyart.cli import run_job
from keyart.pipeline import run_stages, stages_for
from keyart.tables import Tables


def run(spark, settings) -> int:
    results = run_stages(spark, settings, stages_for(settings, Tables(spark, settings.tables)))
    ran = [result for result in results if not result.skipped]
    print(
        f"pipeline: {len(ran)} stages ran in {sum(r.seconds for r in ran):.0f} s, {len(results) - len(ran)} up to date"
    )
    return 0


if __name__ == "__main__":
    sys.exit(run_job("run-pipeline"))
