"""publish: write a policy as an immutable, checksummed bundle that the service answers from."""

import sys

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.serving.policy_bundle import bundles_folder, discard
from keyart.serving.publish_spark import publish
from keyart.settings import Settings
from keyart.tables import Tables


def run(spark: SparkSession, settings: Settings) -> int:
    """Write the bundle unless it is there, point to it, remove those beyond publish.keep and what broken runs left."""
    done = publish(Tables(spark, settings.tables), bundles_folder(settings), settings.publish)
    print(f"{done.path}: {'written' if done.written else 'was there'}")
    print(f"keyart serve --bundle {done.path.parent} answers from it")
    for path in done.older:
        discard(path)
        print(f"{path}: removed, older than the newest {settings.publish.keep}")
    for path in done.left:
        discard(path)
        print(f"{path}: removed, left by a run that broke off")
    return 0


if __name__ == "__main__":
    sys.exit(run_job("publish"))
