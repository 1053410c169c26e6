"""serve: answer over HTTP which artwork a member sees, from the bundle that publish wrote."""

import sys

from keyart.cli import run_job
from keyart.serving.server import serve
from keyart.settings import Settings


def needs_session(settings: Settings) -> bool:
    """No Spark is needed."""
    return False


def run(spark, settings: Settings) -> int:
    """Until the process is asked to end."""
    return serve(settings)


if __name__ == "__main__":
    sys.exit(run_job("serve"))
