"""Whether a candidate may become champion: the paired difference with a corrected bound, and the checks around it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import NormalDist
from typing import Any

from keyart.evaluation.estimators import difference, dr, effective_size, standard_error
from keyart.evaluation.findings import verdict_of
from keyart.evaluation.paired import CANDIDATE, CHAMPION
from keyart.evaluation.replay import Evidence
from keyart.policy.champions import PROMOTE, ROLLBACK
from keyart.settings import EvaluateSettings, PromoteSettings

__all__ = [
    "Check",
    "Comparison",
    "calibrated",
    "compare",
    "enough",
    "exposed",
    "gains",
    "in_time",
    "told",
    "tried_before",
]

SLOPES = ("chance", "artwork")
Z95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Check:
    """One condition of a promotion, with its figures in words."""

    name: str
    passed: bool
    reason: str


@dataclass(frozen=True)
class Comparison:
    """The paired difference in reward a decision, candidate minus champion, and one-sided bounds at ``level``."""

    difference: float
    lower: float
    upper: float
    level: float
    tried: int  # comparisons so far, this one among them
    champion: float  # the champion's reward a decision


def compare(evidence: Evidence, level: float, tried: int, metric: str = "reward") -> Comparison:
    """Doubly robust, both policies on the same decisions, clustered by member: var a + var b - 2 cov.

    The k-th comparison may err in (1 - level) / (k (k + 1)): however many follow, whatever their dependence,
    these add up to 1 - level (Bonferroni, spent over a sequence without an end). Candidates that are no better than
    the champion are otherwise promoted sooner or later by chance.
    """
    moments, layout = evidence.moments, evidence.layout
    champion = dr(moments, layout, CHAMPION, metric)
    found = difference(dr(moments, layout, CANDIDATE, metric), champion)
    corrected = 1 - (1 - level) / (tried * (tried + 1))
    reach = NormalDist().inv_cdf(corrected) * standard_error(found, moments)
    return Comparison(found.value, found.value - reach, found.value + reach, corrected, tried, champion.value)


def gains(found: Comparison, settings: PromoteSettings) -> Check:
    """Whether the lower bound lies above minus the margin, a share of the champion's reward."""
    margin = settings.margin * found.champion
    passed = found.lower > -margin  # false for what is not a number
    said = (
        f"paired difference {found.difference:+.3g} of {found.champion:.3g} reward a decision, lower "
        f"{found.level:.2%} bound {found.lower:+.3g} (comparison {found.tried}), must exceed {-margin:+.3g}"
    )
    return Check("difference", passed, said)


def in_time(first_test_day: date, trained_until: Mapping[str, date | None]) -> Check:
    """Whether test days begin after what each policy's model was trained and tuned on (by policy, exclusive end)."""
    late = []
    for policy, end in trained_until.items():
        if end is None:
            late.append(f"the run of {policy}'s response model does not say up to when it learned")
        elif first_test_day < end:
            late.append(f"{policy} learned from days before {end}, test days begin on {first_test_day}: set time.t1")
    return Check("later days", not late, "; ".join(late) or f"test days begin on {first_test_day}, after all training")


def enough(evidence: Evidence, settings: EvaluateSettings, smallest_cell: int, rate: float | None) -> list[Check]:
    """Effective sample sizes, and the overlap verdict that evaluations have, of both policies."""
    if not evidence.seen:
        return [Check("overlap", False, "no decisions")]
    sizes = {name: effective_size(evidence.moments, evidence.layout, name) for name in evidence.layout.targets}
    said = " and ".join(f"{size:.0f} of the {name}" for name, size in sizes.items())
    verdict = verdict_of(evidence, (CANDIDATE, CHAMPION), settings, smallest_cell, rate)
    return [
        Check(
            "effective sample size",
            min(sizes.values()) >= settings.smallest_ess,
            f"{said}, {settings.smallest_ess:.0f} needed",
        ),
        Check("overlap", verdict == "ok", verdict),
    ]


def calibrated(metrics: Mapping[str, float], settings: PromoteSettings) -> Check:
    """Whether the model's slopes on later days may lie in their bounds: refused where a 95% interval lies outside.

    ``metrics`` are those of the model's run. The slope of chances must be known; that of the artwork's share is not
    where no member effect was found.
    """
    if "validation_chance_slope" not in metrics:
        return Check("calibration", False, "the model's run has no slope of later days: run train-response")
    said, passed = [], True
    for name in SLOPES:
        slope = metrics.get(f"validation_{name}_slope")
        if slope is None:
            continue
        reach = Z95 * metrics.get(f"validation_{name}_slope_sd", 0.0)
        passed = passed and slope - reach <= settings.highest_slope and slope + reach >= settings.lowest_slope
        said.append(f"{name} slope {slope:.2f} +- {reach:.2f}")
    bounds = f"{settings.lowest_slope:g} to {settings.highest_slope:g} allowed"
    return Check("calibration", passed, f"{', '.join(said)}, {bounds}")


def exposed(measured: Iterable[Mapping[str, Any]], limits: Sequence[str]) -> Check:
    """Whether the candidate keeps the limits of ``responsibility.limits``, by its rows of policy_measures."""
    rows = [row for row in measured if row["behaviour"] == "user" or row["measure"] == "representation"]
    outside = [row for row in rows if row["within"] is False]
    if outside:
        each = (f"{r['measure']} ({r['segment']}) is {r['value']:.3g}, allowed {r['limit']}" for r in outside)
        return Check("limits", False, "; ".join(each))
    if limits and not rows:
        return Check("limits", False, "limits are set and the policy was not measured: run measure-policy")
    return Check("limits", True, f"within {len(limits)} limits" if limits else "no limit is set")


def tried_before(rows: Iterable[Mapping[str, Any]], champion: str | None, days: tuple[date, date]) -> int:
    """Comparisons with this champion on days that overlap: each look counts, also at a candidate seen before."""
    return sum(
        row["action"] != ROLLBACK
        and row["champion_id"] == champion
        and row["from_day"] < days[1]
        and days[0] < row["to_day"]
        for row in rows
    )


def told(row: Mapping[str, Any]) -> str:
    """A row of promotions in a line."""
    against = row["champion_id"] or "an even draw"
    if row["action"] == ROLLBACK:
        return f"{row['policy_id']} is champion again, instead of {against}"
    checks = {check["name"]: check for check in json.loads(row["checks"])}
    if row["action"] == PROMOTE:
        return f"{row['policy_id']} is champion, compared with {against}: {checks['difference']['reason']}"
    failed = "; ".join(f"{name}: {check['reason']}" for name, check in checks.items() if not check["passed"])
    return f"{row['policy_id']} refused, compared with {against}; {failed}"
