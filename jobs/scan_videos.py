"""scan-videos: decode every frame once into frames, shots, candidates and pictures; unchanged films are skipped."""

import sys

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.settings import Settings
from keyart.tables import Tables
from keyart.video.spark import scan_films


def run(spark: SparkSession, settings: Settings) -> int:
    """Scan what changed since the last time; 1 where every film that was due is unreadable."""
    report = scan_films(Tables(spark, settings.tables), settings.scan)
    for line in report.losses:
        print(f"lost: {line}")
    print(
        f"scanned {report.films - report.unreadable} films "
        f"({report.unchanged} unchanged, {report.unreadable} unreadable): {report.frames} frames, "
        f"{report.shots} shots, {report.candidates} candidates"
    )
    return 1 if report.films and report.unreadable == report.films and not report.unchanged else 0


if __name__ == "__main__":
    sys.exit(run_job("scan-videos"))
