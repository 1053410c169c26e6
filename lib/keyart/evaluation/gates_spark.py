"""What it costs that limits refuse a policy: its worth from logs, beside that of the one which goes on being served."""

from collections.abc import Sequence
from typing import Any

from pyspark.sql import functions as F

from keyart.errors import ModelError
from keyart.evaluation.measures import breaches
from keyart.policy.spark import serving_policy
from keyart.tables import Tables

__all__ = ["gate_rows", "refusal_lines"]

TARGETS = ("served", "user")


def gate_rows(tables: Tables, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Where ``rows`` of policy_measures, written already, break a limit: what refusing the policy costs, as a row more.

    The value is the relative reward that members miss: the refused policy's over the other's, both by DR against an
    even draw on the same test days (evaluate-policy with evaluate.policy_id=all); no row where either has no estimate.
    """
    if not breaches(list(rows)):
        return []
    policy_id = rows[0]["policy_id"]
    try:
        other = serving_policy(tables).policy_id
    except ModelError:
        return []
    lifts = _lifts(tables, (policy_id, other), rows[0])
    target = next((name for name in TARGETS if {(policy_id, name), (other, name)} <= lifts.keys()), None)
    if target is None or other == policy_id:
        return []
    lost = (1 + lifts[policy_id, target]) / (1 + lifts[other, target]) - 1
    none = dict.fromkeys(("lower", "upper", "limit", "within"))
    about = {
        "behaviour": "gate",
        "measure": "value_refused",
        "segment": "*",
        "members": 0,
        "value": float(f"{lost:.10g}"),
    }
    return [{**{key: rows[0][key] for key in ("policy_id", "from_day", "to_day")}, **none, **about}]


def refusal_lines(tables: Tables, rows: Sequence[dict[str, Any]]) -> list[str]:
    """For the one who runs measure-policy: what is refused, what is served instead, and what that costs."""
    if not breaches(list(rows)):
        return []
    policy_id = rows[0]["policy_id"]
    try:
        other = serving_policy(tables).policy_id
    except ModelError as error:
        return [f"policy {policy_id} is not served; {error}"]
    cost = next((row["value"] for row in rows if row["behaviour"] == "gate"), None)
    said = "what that costs is not known: evaluate both (evaluate.policy_id=all)"
    if cost is not None:
        said = f"by DR members miss {cost:+.2%} of reward"
    return [f"policy {policy_id} is not served; {other} is: {said}"]


def _lifts(tables: Tables, policies: tuple[str, ...], about: dict[str, Any]) -> dict[tuple[str, str], float]:
    found = tables.read_or_empty("evaluations").where(
        F.col("policy_id").isin(*policies)
        & (F.col("from_day") == F.lit(about["from_day"]))
        & (F.col("to_day") == F.lit(about["to_day"]))
        & F.expr("estimator = 'dr' AND metric = 'reward' AND baseline = 'uniform' AND slice = '*' AND lift IS NOT NULL")
    )
    return {(row["policy_id"], row["target"]): row["lift"] for row in found.collect()}
