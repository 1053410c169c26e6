"""assign-artwork: write which artwork each region and each user gets."""

import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from keyart.cli import run_job
from keyart.policy.assign_spark import write_assignment
from keyart.policy.planning_spark import plan_assignment
from keyart.settings import Settings
from keyart.tables import Tables
from keyart.tracking import Tracking


def run(spark: SparkSession, settings: Settings) -> int:
    """Plan from the models, write the levels' distributions and the members' overrides, then the policy."""
    tables = Tables(spark, settings.tables)
    plan = plan_assignment(tables, Tracking(settings.tracking, settings.tables), settings)
    write_assignment(tables, plan)
    mine = tables.read("user_assignments").where(F.col("policy_id") == plan.policy.policy_id)
    own = F.size("title_ids")
    members, overrides = mine.agg(F.count_if(own > 0), F.coalesce(F.sum(own), F.lit(0))).collect()[0]
    slate = plan.slate
    print(
        f"policy {plan.policy.policy_id}: {len(slate.artwork_ids)} artworks of {len(slate.title_ids)} titles in "
        f"{len(plan.levels.cells)} cells; {overrides} overrides for {members} members"
    )
    for name, share, said in zip(plan.segments.names, plan.segments.shares, plan.segments.descriptions, strict=True):
        print(f"segment {name}: {share:.0%} of members, {said}")
    for limit in plan.policy.limits:
        print(f"limit: {limit}")
    for row in tables.read_or_empty("policy_measures").where(F.col("policy_id") == plan.policy.policy_id).collect():
        if row["behaviour"] == "limits":
            print(f"limits cost: {row['measure']} {row['value']:.4g}")
    return 0


if __name__ == "__main__":
    sys.exit(run_job("assign-artwork"))
