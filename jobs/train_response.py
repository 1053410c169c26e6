"""train-response: learn what an artwork does to takes and to what is watched, by region and by member, on [t0, t1)."""

import sys
from functools import partial

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.feedback.spark import opted_in, windows_of
from keyart.feedback.windows import holdout_buckets
from keyart.learning import decisions_spark as rows
from keyart.learning.blocks_spark import blocks_of, sum_over
from keyart.learning.decisions import block_builder
from keyart.learning.response_fit import fit_response
from keyart.learning.response_spark import check_enough, register_response, taste_model, told, validation_day
from keyart.settings import Settings
from keyart.tables import Tables


def run(spark: SparkSession, settings: Settings) -> None:
    """Fit offset, region and member level, register the model and say what came of it."""
    tables = Tables(spark, settings.tables)
    decisions, windows = tables.read("decisions"), windows_of(tables.read("decisions"), settings.time)
    artworks = rows.artworks_of(tables.read("artworks"))
    taste, vectors = taste_model(tables, windows, settings)
    chosen = rows.eligible(opted_in(decisions, tables), windows, holdout_buckets(settings.time))
    counts = rows.cell_counts(chosen, artworks.artwork_ids)
    check_enough(counts, windows)
    places = rows.contexts_of(chosen, settings.privacy.smallest_cell)
    late, clip = validation_day(windows), settings.response.weight_clip
    build = block_builder(artworks, counts.regions, taste.model, late, clip, rows.examination_of(tables))
    with blocks_of(rows.with_vectors(chosen, vectors, places), build, rows.ORDER) as blocks:
        total = partial(sum_over, blocks)
        fitted = fit_response(total, artworks, counts, taste.model.arrays, settings.regions, settings.response, places)
    version = register_response(tables, fitted, artworks, taste, windows, settings)
    print(f"train-response: {told(fitted)}; model response {version}")


if __name__ == "__main__":
    sys.exit(run_job("train-response"))
