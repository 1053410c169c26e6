"""train-taste: learn title factors from what members watched before t0; fold every member in as of t0 and t1."""

import sys

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.feedback.spark import opted_in, running, windows_of
from keyart.feedback.windows import holdout_buckets
from keyart.learning.blocks_spark import blocks_of
from keyart.learning.engagement_spark import block_builder, catalogue_of, engagement
from keyart.learning.taste_spark import learn, register_taste, registered_taste, taste_rows
from keyart.settings import Settings
from keyart.tables import Tables
from keyart.tracking import Tracking


def run(spark: SparkSession, settings: Settings) -> None:
    """Learn taste, or take what was learned, write the members' rows, register the model and say what came of it."""
    tables = Tables(spark, settings.tables)
    Tracking(settings.tracking, settings.tables)  # an MLflow that is down is said before hours of learning
    windows = windows_of(tables.read("decisions"), settings.time)
    catalogue = catalogue_of(tables.read("titles"))
    known = registered_taste(catalogue, settings) if settings.taste.fold_in_only else None
    catalogue = known.catalogue if known else catalogue
    unknown = settings.events.default_duration_seconds
    events = opted_in(tables.read("events"), tables)
    rows = engagement(events, running(tables), windows, catalogue.genres, unknown, settings.taste)
    with blocks_of(rows, block_builder(catalogue)) as blocks:
        held_out, folder = holdout_buckets(settings.time), settings.session.shared_folder_or_none()
        learned = known or learn(blocks, catalogue, windows, held_out, settings.taste, folder)
        days = f"as_of IN (DATE'{windows.t0}', DATE'{windows.t1}')"
        tables.replace("taste", taste_rows(blocks, learned, {"early": windows.t0, "late": windows.t1}), days)
    if not known:
        register_taste(tables, learned, windows, settings)
    print(f"train-taste: {learned}; vectors as of {windows.t0} and {windows.t1}")


if __name__ == "__main__":
    sys.exit(run_job("train-taste"))
