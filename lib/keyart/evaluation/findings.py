"""From evidence to rows of the evaluations table: estimates, paired lifts, claims, and refusals in words."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from keyart.evaluation.estimators import (
    ESTIMATORS,
    difference,
    effective_size,
    interval,
    lift,
    mean_weight,
    standard_error,
)
from keyart.evaluation.replay import LAYOUT, Evidence
from keyart.settings import EvaluateSettings

__all__ = ["COMPARISONS", "REPORTED", "findings", "summary"]

COMPARISONS = (
    ("uniform", "uniform"),
    ("global", "uniform"),
    ("region", "uniform"),
    ("region", "global"),
    ("user", "uniform"),
    ("user", "region"),
    ("user", "global"),
)
"""Target and what its lift is relative to; a target against itself has an estimate and no lift."""

REPORTED = ("ips", "snips", "dm", "dr")
SUSPECT = 5.0
"""Standard errors that the mean weight may lie from 1 before the logged propensities are called wrong."""


def findings(
    name: str, evidence: Evidence, settings: EvaluateSettings, smallest_cell: int, refusal: str | None = None
) -> Iterator[dict[str, Any]]:
    """One row a comparison, estimator and metric of a slice; ``refusal`` refuses all of them.

    The direct method claims nothing: its interval knows only the members, not the model's error. For it, ``ess`` is the
    number of decisions and the largest weight is 1.
    """
    moments = evidence.moments
    for target, baseline in COMPARISONS:
        verdict = refusal or _verdict(evidence, (target, baseline), settings, smallest_cell)
        for estimator in REPORTED:
            weighted = estimator != "dm"
            for metric in LAYOUT.metrics:
                row = {
                    "target": target,
                    "baseline": baseline,
                    "estimator": estimator,
                    "metric": metric,
                    "slice": name,
                    "n": round(evidence.seen - evidence.left_out),
                    "members": moments.members,
                    **dict.fromkeys(("estimate", "lower", "upper", "lift", "lift_lower", "lift_upper")),
                    "claim": False,
                    "ess": effective_size(moments, LAYOUT, target) if weighted else evidence.seen - evidence.left_out,
                    "max_weight": float(evidence.largest[LAYOUT.targets.index(target)]) if weighted else 1.0,
                    "verdict": verdict,
                }
                if verdict == "ok":
                    row |= _figures(evidence, target, baseline, estimator, metric, settings.claim_level)
                yield {key: _rounded(value) for key, value in row.items()}


def _figures(
    evidence: Evidence, target: str, baseline: str, estimator: str, metric: str, claim_level: float
) -> dict[str, Any]:
    moments, estimate = evidence.moments, ESTIMATORS[estimator]
    found = estimate(moments, LAYOUT, target, metric)
    lower, upper = interval(found, moments)
    figures: dict[str, Any] = {"estimate": found.value, "lower": lower, "upper": upper}
    if target == baseline:
        return figures
    base = estimate(moments, LAYOUT, baseline, metric)
    if base.value > 0:
        relative = lift(found, base)
        low, high = interval(relative, moments)
        figures |= {"lift": relative.value, "lift_lower": low, "lift_upper": high}
        figures["claim"] = estimator != "dm" and interval(relative, moments, claim_level)[0] > 0
    else:  # nothing to be relative to; the difference may still be told from zero
        figures["claim"] = estimator != "dm" and interval(difference(found, base), moments, claim_level)[0] > 0
    return figures


def _verdict(evidence: Evidence, targets: tuple[str, str], settings: EvaluateSettings, smallest_cell: int) -> str:
    """ "ok", or the first reason why nothing can be said."""
    moments = evidence.moments
    if not evidence.seen:
        return "no decisions"
    share = evidence.left_out / evidence.seen
    if share > settings.largest_no_overlap:
        return (
            f"no overlap: in {share:.0%} of the decisions the logged policy could not have shown what this one shows "
            f"(at most {settings.largest_no_overlap:.0%} allowed)"
        )
    if moments.members < smallest_cell:
        return f"too few members: {moments.members} of {smallest_cell} needed"
    for target in targets:
        size = effective_size(moments, LAYOUT, target)
        if size < settings.smallest_ess:
            needed = f"effective {size:.0f} of {settings.smallest_ess:.0f} needed"
            return f"too few decisions that agree with {target}: {needed}"
        weight = mean_weight(moments, LAYOUT, target)
        if abs(weight.value - 1) > SUSPECT * standard_error(weight, moments) + 1e-9:
            return (
                f"weights for {target} average {weight.value:.3f}, not 1: the logged propensities are not those served"
            )
    return "ok"


def _rounded(value: Any) -> Any:
    """Ten significant digits, so that sums added in another order give the same row; not a number becomes null."""
    if not isinstance(value, float | np.floating):
        return bool(value) if isinstance(value, np.bool_) else value
    return float(f"{value:.10g}") if np.isfinite(value) else None


def summary(rows: Iterable[Mapping[str, Any]]) -> str:
    """The line a user reads: the reward of each behaviour against an even draw, by DR over all decisions."""
    found = [
        row
        for row in rows
        if (row["slice"], row["estimator"], row["metric"], row["baseline"]) == ("*", "dr", "reward", "uniform")
    ]
    said = []
    for row in found:
        if row["verdict"] != "ok":
            said.append(f"{row['target']}: {row['verdict']}")
        elif row["lift"] is not None:
            span = f"{row['lift_lower']:+.1%} to {row['lift_upper']:+.1%}"
            said.append(f"{row['target']} {row['lift']:+.1%} ({span}{', claimed' if row['claim'] else ''})")
    if not found:
        return "nothing to evaluate"
    about = "policy {policy_id} on {n} decisions of {members} members".format(**found[0])
    return f"{about}, reward against uniform: {'; '.join(said) or 'nothing to say'}"
