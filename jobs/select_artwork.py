"""select-artwork: look closely at the candidates of the current scans and choose a small diverse set per title."""

import sys

from keyart.cli import run_job
from keyart.selection.closer import find_closer
from keyart.selection.spark import select_artwork
from keyart.selection.variants_spark import unready
from keyart.settings import Settings
from keyart.tables import Tables
from keyart.vision.faces import find_model


def run(spark, settings: Settings) -> int:
    """Fill the candidates' features, scores and verdicts and write the titles' artworks."""
    model = find_model(settings.select.models_folder, settings.select.yunet)
    closer = find_closer(settings.select.text, settings.select.cast, settings.select.plugins)
    tables = Tables(spark, settings.tables)
    for line in unready(tables, settings.select):
        print(f"select-artwork: {line}")
    done = select_artwork(tables, settings.select, model, closer)
    for title in done.empty:
        print(f"select-artwork: title {title} has no candidate: no shot of its film could be read")
    print(
        f"select-artwork: {done.titles} titles, {done.candidates} candidates ({done.computed} looked at now, "
        f"{done.unreadable} unreadable), {done.artworks} artworks, {done.variants} variants, {done.retired} retired"
    )
    return 0


if __name__ == "__main__":
    sys.exit(run_job("select-artwork"))
