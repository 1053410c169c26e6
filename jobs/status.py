"""status: what became of the pipeline's newest run, on one screen; writes nothing."""

import sys
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.operations.ledger_spark import known
from keyart.operations.status import as_json, as_text, screen_of
from keyart.pipeline import STAGES, stages_for
from keyart.settings import Settings
from keyart.tables import Tables


def run(spark: SparkSession, settings: Settings) -> int:
    """Print the screen, or the same as JSON."""
    tables = Tables(spark, settings.tables)
    rows = known(tables)
    wanted = {stage.job for stage in stages_for(settings, tables)} | set(rows.last)
    jobs = [stage.job for stage in STAGES if stage.job in wanted]
    beat = settings.pipeline.heartbeat_seconds
    screen = screen_of(settings.tables, jobs, rows.last, rows.done, datetime.now(UTC), beat)
    print(as_json(screen) if settings.pipeline.json else as_text(screen))
    return 0


if __name__ == "__main__":
    sys.exit(run_job("status"))
