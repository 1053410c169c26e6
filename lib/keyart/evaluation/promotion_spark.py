"""promote: a candidate's try against the champion, written to the table promotions; and the way back.

The table is the truth about who serves. MLflow's aliases follow it: they are set after the row is there, from what the
table says, so that a run that was cut off between the two is made good by the next one.
"""

import hashlib
import json
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from typing import Any

from pyspark.sql import functions as F

from keyart.errors import ModelError
from keyart.evaluation.examination_spark import Evaluation, plan_evaluation
from keyart.evaluation.paired_spark import compared
from keyart.evaluation.promotion import Check, calibrated, compare, enough, exposed, gains, in_time, tried_before
from keyart.policy.champions import PROMOTE, REFUSE, ROLLBACK, rolled_back
from keyart.policy.spark import champions, newest_policy, refused_policies
from keyart.schemas import TABLES
from keyart.settings import Settings
from keyart.tables import Tables
from keyart.tracking import Tracking, set_aliases

__all__ = ["follow", "roll_back", "tried"]

READ = ("decisions", "region_assignments", "user_assignments", "taste")


def tried(tables: Tables, settings: Settings) -> dict[str, Any]:
    """The candidate's row of promotions: written now, or as it was written when the same was asked before."""
    before = _rows(tables)
    stack, named, refused = champions(tables), settings.promote.policy_id, refused_policies(tables)
    candidate, row = newest_policy(tables, named)
    # Compared with what is served: a champion outside its limits is not.
    champion = next((name for name in reversed(stack) if name not in refused), None)
    policy_id = candidate.policy_id
    if policy_id == champion:
        return next(r for r in reversed(before) if (r["action"], r["policy_id"]) == (PROMOTE, policy_id))
    tracking = Tracking(settings.tracking, settings.tables)
    pair = ",".join(name for name in (policy_id, champion) if name)
    judged = replace(settings.evaluate, policy_id=pair, behaviours=("served",), slices=(), pages=False)
    plan = plan_evaluation(tables, tracking, replace(settings, evaluate=judged))
    metrics, limits = tracking.said(json.loads(row["models"])["response"]["run_id"])[1], settings.responsibility.limits
    measured = [
        r.asDict()
        for r in tables.read_or_empty("policy_measures").where(F.col("policy_id") == policy_id).collect()
        if r["within"] is not None or r["behaviour"] == "user"
    ]
    first = [
        in_time(plan.windows.t1, _trained_until(tables, tracking, [policy_id, champion] if champion else [policy_id])),
        _taste_in_time(plan),
        calibrated(metrics, settings.promote),
        exposed(measured, tuple(limits)),
    ]
    if not named and policy_id in rolled_back(before):
        first.append(Check("rolled back", False, f"{policy_id} was rolled back: name it with --policy to try it again"))
    promotion_id = _id(tables, plan, policy_id, champion, settings, first, before)
    known = next((r for r in before if r["promotion_id"] == promotion_id), None)
    if known is not None:
        return known
    evidence = compared(tables, plan, replace(settings, evaluate=judged))
    days = plan.windows.t1, plan.windows.end
    count = 1 + tried_before(before, champion, days)
    found = compare(evidence, settings.promote.level, count)
    checks = [
        *first,
        *enough(evidence, settings.evaluate, settings.privacy.smallest_cell, plan.about.earlier_rate),
        gains(found, settings.promote),
    ]
    return _write(
        tables,
        {
            "promotion_id": promotion_id,
            "number": len(before) + 1,
            "action": PROMOTE if all(check.passed for check in checks) else REFUSE,
            "policy_id": policy_id,
            "champion_id": champion,
            "from_day": days[0],
            "to_day": days[1],
            "difference": _number(found.difference),
            "lower": _number(found.lower),
            "upper": _number(found.upper),
            "level": found.level,
            "tried": count,
            "checks": json.dumps([asdict(check) for check in checks]),
        },
    )


def roll_back(tables: Tables, leaving: str = "") -> dict[str, Any]:
    """Let the champion before serve again; ModelError where there is none. Reads no model and no log.

    Where ``leaving`` was rolled back already, nothing is done and that row is returned: a rollback that names it may be
    asked for twice.
    """
    before = _rows(tables)
    stack = champions(tables)
    if leaving and stack and leaving != stack[-1]:
        ended = [r for r in before if (r["action"], r["champion_id"]) == (ROLLBACK, leaving)]
        if not ended:
            raise ModelError(f"{leaving} is not champion, {stack[-1]} is: there is nothing to roll back")
        return ended[-1]
    if len(stack) < 2:
        raise ModelError(f"nothing to roll back to: {stack[0] + ' is the first' if stack else 'there is no'} champion")
    number = len(before) + 1
    nothing = dict.fromkeys(("from_day", "to_day", "difference", "lower", "upper", "level", "tried"))
    about = {"promotion_id": f"rollback-{number}", "number": number, "action": ROLLBACK, "checks": "[]"}
    return _write(tables, {**nothing, **about, "policy_id": stack[-2], "champion_id": stack[-1]})


def follow(tables: Tables, settings: Settings) -> str:
    """Point MLflow's aliases champion and previous at the models of the policies that the table names.

    "" or why they could not be set: the next run sets them.
    """
    wanted: dict[str, dict[str, str | None]] = {}
    stack = champions(tables)
    for alias, policy_id in zip(("champion", "previous"), reversed(stack), strict=False):
        models = json.loads(newest_policy(tables, policy_id)[1]["models"])
        wanted[alias] = {models[kind]["name"]: models[kind]["version"] for kind in ("response", "taste")}
    if len(stack) == 1:
        wanted["previous"] = dict.fromkeys(wanted["champion"])
    return set_aliases(settings.tracking, settings.tables, wanted) if wanted else ""


def _rows(tables: Tables) -> list[dict[str, Any]]:
    return sorted((row.asDict() for row in tables.read_or_empty("promotions").collect()), key=lambda r: r["number"])


def _write(tables: Tables, row: dict[str, Any]) -> dict[str, Any]:
    """By its key, so that nothing is written twice."""
    schema, full = TABLES["promotions"].schema, {**row, "at": datetime.now(UTC)}
    frame = tables.spark.createDataFrame([tuple(full[name] for name in schema.names)], schema)
    tables.merge("promotions", frame, update=False)
    return full


def _trained_until(tables: Tables, tracking: Tracking, policies: list[str]) -> dict[str, date | None]:
    """The day after the last one that each policy's response model learned and was tuned on; None where unknown."""
    found: dict[str, date | None] = {}
    for policy_id in policies:
        run = json.loads(newest_policy(tables, policy_id)[1]["models"])["response"]["run_id"]
        end = tracking.said(run)[0].get("t1")
        found[policy_id] = date.fromisoformat(end) if end else None
    return found


def _taste_in_time(plan: Evaluation) -> Check:
    late = [
        f"{p.policy_id} knows taste up to {p.taste_as_of}" for p in plan.policies if p.taste_as_of > plan.windows.t1
    ]
    return Check("taste", not late, "; ".join(late) or "taste is of before the test days")


def _id(
    tables: Tables,
    plan: Evaluation,
    policy_id: str,
    champion: str | None,
    settings: Settings,
    first: list[Check],
    before: list[dict[str, Any]],
) -> str:
    """Of everything the decision depends on but the count of candidates, which the decision itself changes."""
    rollbacks = sum(row["action"] == ROLLBACK for row in before)
    versions = {table: tables.data_version(table) for table in READ}
    given = {**asdict(settings.promote), "policy_id": "", "rollback": False}
    about = [policy_id, champion, plan.windows, plan.reward_model, versions, given, asdict(settings.evaluate)]
    key = json.dumps(
        [*about, settings.privacy.smallest_cell, [asdict(check) for check in first], rollbacks], default=str
    )
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _number(value: float) -> float | None:
    return float(f"{value:.10g}") if value == value else None
