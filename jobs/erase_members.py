"""erase-members: remove members everywhere, keep them out, and prove it; or remove what is older than may be kept."""

import sys

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.privacy.erase_spark import erase, expire, proven, requested
from keyart.privacy.words import of_erasure, of_proof, of_retention
from keyart.report.spark import build_report
from keyart.settings import Settings
from keyart.tables import Tables


def run(spark: SparkSession, settings: Settings) -> int:
    """Erase, prove, and say what was found: 1 where a file still holds a member or could not be decoded."""
    tables = Tables(spark, settings.tables)
    if settings.erase.retention:
        print(of_retention(expire(tables, settings)))
        return 0
    request = requested(spark, settings)
    if not settings.erase.prove:
        done = erase(tables, request, settings, lambda: build_report(tables, settings))
        print(of_erasure(request, done.rows, done.days, done.report))
    proof = proven(tables, settings, request)
    print("\n".join(of_proof(request, proof.roots, proof.kinds, proof.size, proof.found, proof.named)))
    return 1 if proof.found else 0


if __name__ == "__main__":
    sys.exit(run_job("erase-members"))
