"""ingest-catalog: read a folder of films, a manifest or both into titles and videos."""

import sys

from pyspark.sql import SparkSession

from keyart.catalog.manifests import combined, read_folder, read_manifest
from keyart.catalog.spark import ingest_titles
from keyart.cli import run_job
from keyart.errors import InputError
from keyart.settings import Settings
from keyart.tables import Tables


def run(spark: SparkSession, settings: Settings) -> int:
    """Register the titles; films that cannot be read are named and the rest goes on."""
    catalog = settings.catalog
    if not (catalog.videos or catalog.manifest):
        raise InputError("ingest-catalog takes --videos FOLDER, --manifest FILE or both")
    found = read_folder(catalog.videos) if catalog.videos else []
    named = read_manifest(catalog.manifest) if catalog.manifest else []
    report = ingest_titles(Tables(spark, settings.tables), combined(found, named))
    for line in report.losses:
        print(f"unreadable: {line}")
    print(f"ingested {report.titles} titles, {report.films} films; {len(report.losses)} films cannot be read")
    return 0


if __name__ == "__main__":
    sys.exit(run_job("ingest-catalog"))
