"""ingest-catalog: read films, items' images and editors' overrides into titles, videos and candidates."""

import sys
from dataclasses import asdict

from pyspark.sql import SparkSession

from keyart.catalog.manifests import combined, read_folder, read_items, read_manifest
from keyart.catalog.overrides_spark import ingest_overrides
from keyart.catalog.spark import ingest_items, ingest_titles
from keyart.cli import run_job
from keyart.errors import InputError
from keyart.paths import Bounds
from keyart.settings import Settings
from keyart.tables import Tables


def run(spark: SparkSession, settings: Settings) -> int:
    """Register the titles; what cannot be read is named and the rest goes on."""
    catalog, tables = settings.catalog, Tables(spark, settings.tables)
    if not any(asdict(catalog).values()):
        raise InputError("ingest-catalog takes --videos FOLDER, --manifest FILE, --images PATH, --overrides FILE")
    bounds = Bounds(settings.sources.roots, settings.sources.schemes)
    bounds = bounds.beside(catalog.videos) if catalog.videos else bounds
    found = read_folder(catalog.videos, bounds) if catalog.videos else []
    named = read_manifest(catalog.manifest, bounds) if catalog.manifest else []
    items, pictures, refused = read_items(catalog.images, bounds) if catalog.images else ([], [], [])
    report = ingest_titles(tables, combined([*found, *items], named))
    lines = [f"unreadable: {line}" for line in report.losses]
    lines.append(f"ingested {report.titles} titles, {report.films} films; {len(report.losses)} films cannot be read")
    lines += ingest_items(tables, pictures, refused).lines if items else []
    lines += ingest_overrides(tables, catalog.overrides, bounds).lines if catalog.overrides else []
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(run_job("ingest-catalog"))
