"""What events say beside decisions: sessions, how likely each place on the page is looked at, moments of films."""

import sys

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.feedback.examining_spark import AXES, write_examination
from keyart.feedback.moments_spark import write_moments
from keyart.feedback.sessions_spark import write_sessions
from keyart.privacy.rules import kept_from
from keyart.settings import Settings
from keyart.tables import Tables


def run(spark: SparkSession, settings: Settings) -> None:
    """Write sessions, session_stats, examination and moments and say what came of it."""
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    tables = Tables(spark, settings.tables)
    days = write_sessions(tables, kept_from(settings).get("sessions"))
    places = write_examination(tables)
    marked = write_moments(tables, settings.privacy.smallest_cell)
    known = {axis: sum(p["axis"] == axis and p["verdict"] == "ok" for p in places) for axis in AXES}
    of = {axis: sum(p["axis"] == axis for p in places) for axis in AXES}
    print(
        f"measure-sessions: {'nothing new' if days is None else f'sessions of {days[0]} to {days[1]}'}; examination of "
        + ", ".join(f"{known[axis]} of {of[axis]} {axis}s" for axis in AXES)
        + f"; {marked} moments of films"
    )


if __name__ == "__main__":
    sys.exit(run_job("measure-sessions"))
