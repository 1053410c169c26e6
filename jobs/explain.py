"""explain: what a member sees of a title, the artworks side by side, and what decided, in words."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.errors import InputError
from keyart.report.choice import choice_page, choice_text
from keyart.report.choice_spark import explain_choice
from keyart.settings import Settings
from keyart.tables import Tables


def run(spark: SparkSession, settings: Settings) -> int:
    """Print the explanation; with --out also write it beside the pictures as one HTML file."""
    day = settings.assign.day or datetime.now(UTC).date()
    found, pictures = explain_choice(Tables(spark, settings.tables), settings, day)
    for line in choice_text(found):
        print(line)
    if settings.explain.out:
        target = Path(settings.explain.out)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(choice_page(found, pictures), encoding="utf-8")
        except OSError as error:
            raise InputError(f"{target} cannot be written ({error.strerror}); choose another --out") from error
        print(f"  pictures: {target}")
    return 0


if __name__ == "__main__":
    sys.exit(run_job("explain"))
