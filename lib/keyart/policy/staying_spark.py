"""What members saw under the policy before: read when an assignment is planned, joined when it is written."""

import json
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keyart.policy.assignment import Slate
from keyart.policy.spark import champions, greedy_choices, refused_policies
from keyart.policy.specification import Policy
from keyart.policy.staying import BEFORE, Before
from keyart.tables import Tables

__all__ = ["before_of", "policy_before", "with_choices_before"]


def policy_before(tables: Tables, policy_id: str, inputs: str, as_of: date) -> Policy | None:
    """The policy that members saw: of those within their limits the champion, then those before, then the newest; but
    neither this one nor one of the same inputs, and with taste until ``as_of``.

    An assignment that is made again therefore finds the one it found before.
    """
    refused = refused_policies(tables)
    newest = tables.read_or_empty("policies").orderBy(F.desc("created_at"), "policy_id").collect()
    rows = {row["policy_id"]: row for row in newest}
    for row in [*(rows[name] for name in reversed(champions(tables))), *newest]:
        if row["policy_id"] in refused | {policy_id} or json.loads(row["models"]).get("inputs") == inputs:
            continue
        policy = Policy.parse(row["policy_id"], row["spec"], row["salt"])
        if policy.taste_as_of <= as_of:
            return policy
    return None


def before_of(tables: Tables, policy: Policy, slate: Slate) -> Before:
    """The policy's choices, of the catalogue's size."""
    return Before(policy.policy_id, policy.taste_as_of, greedy_choices(tables, policy), slate)


def with_choices_before(members: DataFrame, tables: Tables, policy_id: str) -> DataFrame:
    """Members with BEFORE: the titles that they had own artwork for, and which, and the segment that they were in."""
    newest = F.max_by(F.struct("title_ids", "artwork_ids", "segment"), "version").alias("own")
    own = tables.read("user_assignments").where(F.col("policy_id") == policy_id).groupBy("user_key").agg(newest)
    lists = [
        F.coalesce(f"own.{name}", F.array().cast("array<string>")).alias(column)
        for name, column in zip(("title_ids", "artwork_ids"), BEFORE[:2], strict=True)
    ]
    lists.append(F.col("own.segment").alias(BEFORE[2]))
    return members.join(own, on="user_key", how="left").select(*members.columns, *lists)
