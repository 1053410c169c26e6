"""explain-artwork: what a picture shows in numbers and words, why it was chosen or not, and who is shown it."""

import sys
from pathlib import Path

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.errors import InputError
from keyart.report.explanation import page, text
from keyart.report.explanation_spark import explain_artwork
from keyart.settings import Settings
from keyart.tables import Tables


def run(spark: SparkSession, settings: Settings) -> int:
    """Print the explanation; with --out also write it beside its picture as one HTML file."""
    found, content, mime = explain_artwork(Tables(spark, settings.tables), settings.explain.artwork_id)
    where = "missing" if content is None else f"{mime}, {len(content):,} bytes; --out FILE.html shows it"
    if settings.explain.out:
        target = Path(settings.explain.out)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(page(found, content), encoding="utf-8")
        except OSError as error:
            raise InputError(f"{target} cannot be written ({error.strerror}); choose another --out") from error
        where = str(target)
    for line in text(found, where):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(run_job("explain-artwork"))
