"""export-member: write all that the tables hold of one member as JSON."""

import sys

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.privacy.export_spark import export, wanted, write
from keyart.settings import Settings
from keyart.tables import Tables


def run(spark: SparkSession, settings: Settings) -> int:
    """Gather the member's rows, write them, and say how many there are."""
    request, path = wanted(settings)
    found = export(Tables(spark, settings.tables), request)
    write(found, path)
    rows = ", ".join(f"{len(table['rows'])} {name}" for name, table in found["tables"].items())
    print(f"export-member: {rows}: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(run_job("export-member"))
