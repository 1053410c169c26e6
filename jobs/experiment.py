"""experiment plan: how many members and days it takes; experiment register: write down what will be judged, and how."""

import sys

from pyspark.sql import SparkSession

from keyart.cli import run_job
from keyart.evaluation.experiments.design import design_of, margins_of, shares_of
from keyart.evaluation.experiments.metrics import metric_named
from keyart.evaluation.experiments.plan_spark import baselines, register
from keyart.evaluation.experiments.power import described, given_baseline, guardrail_lines, member_plan
from keyart.settings import Settings
from keyart.tables import Tables


def needs_session(settings: Settings) -> bool:
    """A plan from given figures reads no table."""
    return settings.experiment.action == "register" or given_baseline(settings.experiment) is None


def run(spark: SparkSession | None, settings: Settings) -> int:
    """Plan from the logs, or from given figures, and say so; register writes the design with its plan."""
    wanted, tables, given = settings.experiment, Tables(spark, settings.tables), given_baseline(settings.experiment)
    metric, margins = metric_named(wanted.metric), margins_of(wanted)
    asked = [metric, *map(metric_named, margins)]
    known = {metric.name: [given]} if given else baselines(tables, asked)
    shares, traffic = shares_of(wanted), (wanted.traffic_to - wanted.traffic_from) * (1 - wanted.holdout)
    rates = (wanted.alpha, wanted.power)
    plan = member_plan(known[metric.name], shares, wanted.minimum_effect, *rates, traffic, wanted.looks)
    lines = [] if given else guardrail_lines(plan, known, margins, *rates, wanted.looks)
    print("\n".join([described(plan, metric.name, wanted.power), *lines]))
    if wanted.action == "register":
        design = design_of(wanted, plan.members, plan.days)
        register(tables, design)
        print(f"registered {design.experiment_id}: {' against '.join(reversed(design.variants))}")
    return 0


if __name__ == "__main__":
    sys.exit(run_job("experiment"))
