"""experiment plan: how many members and days it takes; experiment register: write down what will be judged, and how."""

import sys

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.evaluation.experiments.design import design_of, shares_of
from keyart.evaluation.experiments.metrics import metric_named
from keyart.evaluation.experiments.plan_spark import baselines, register
from keyart.evaluation.experiments.power import described, given_baseline, member_plan
from keyart.settings import Settings
from keyart.tables import Tables


def needs_session(settings: Settings) -> bool:
    """A plan from given figures reads no table."""
    return settings.experiment.action == "register" or given_baseline(settings.experiment) is None


def run(spark: SparkSession | None, settings: Settings) -> int:
    """Plan from the logs, or from given figures, and say so; register writes the design with its plan."""
    wanted, metric = settings.experiment, metric_named(settings.experiment.metric)
    given = given_baseline(wanted)
    known = [given] if given else baselines(Tables(spark, settings.tables), metric)
    shares, traffic = shares_of(wanted), (wanted.traffic_to - wanted.traffic_from) * (1 - wanted.holdout)
    plan = member_plan(known, shares, wanted.minimum_effect, wanted.alpha, wanted.power, traffic, wanted.looks)
    print(described(plan, metric.name, wanted.power))
    if wanted.action == "register":
        design = design_of(wanted, plan.members, plan.days)
        register(Tables(spark, settings.tables), design)
        print(f"registered {design.experiment_id}: {' against '.join(reversed(design.variants))}")
    return 0


if __name__ == "__main__":
    sys.exit(run_job("experiment"))
