"""scan-videos: decode every frame once into frames, shots, candidates and pictures; unchanged films are skipped."""

import sys

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.settings import Settings
from keyart.tables import Tables
from keyart.video.foresight_spark import foresee
from keyart.video.spark import scan_films


def run(spark: SparkSession, settings: Settings) -> int:
    """Scan what changed since the last time; 1 where more was lost than the settings allow."""
    tables = Tables(spark, settings.tables)
    if settings.scan.plan:
        print(*foresee(tables, settings.scan, settings.session.master), sep="\n")
        return 0
    report = scan_films(tables, settings.scan)
    for line in report.losses:
        print(f"lost: {line}")
    resumed = f", {report.resumed} of them before an earlier run ended" if report.resumed else ""
    print(
        f"scanned {report.films - report.unreadable} films "
        f"({report.unchanged} unchanged, {report.unreadable} unreadable): {report.frames} frames{resumed}, "
        f"{report.shots} shots, {report.candidates} candidates; {report.lost} frames lost ({report.lost_share:.2%})"
    )
    return int(report.lost_share > settings.scan.lost_share)


if __name__ == "__main__":
    sys.exit(run_job("scan-videos"))
