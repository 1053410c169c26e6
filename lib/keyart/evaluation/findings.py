"""From evidence to rows of the evaluations table: estimates, paired lifts, claims, and refusals in words."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from keyart.evaluation.bootstrap import boot_interval
from keyart.evaluation.estimators import (
    ESTIMATORS,
    PAGE_ESTIMATORS,
    Functional,
    Layout,
    Moments,
    difference,
    effective_size,
    effective_takes,
    interval,
    lift,
    mean_weight,
    standard_error,
)
from keyart.evaluation.precision import Plan, plan_of
from keyart.evaluation.replay import LAYOUT, Evidence
from keyart.evaluation.targets import GREEDY
from keyart.settings import EvaluateSettings

__all__ = ["COMPARISONS", "REPORTED", "findings", "plans", "summary", "thin_overlap", "verdict_of"]

COMPARISONS = (
    ("uniform", "uniform"),
    ("global", "uniform"),
    ("region", "uniform"),
    ("region", "global"),
    ("context", "uniform"),
    ("context", "region"),
    ("segment", "uniform"),
    ("segment", "region"),
    ("segment", "context"),
    ("user", "uniform"),
    ("user", "region"),
    ("user", "context"),
    ("user", "segment"),
    ("user", "global"),
    ("served", "uniform"),
)
"""Target and what its lift is relative to; a target against itself has an estimate and no lift."""

REPORTED = tuple(ESTIMATORS)
UNCLAIMED = ("dm", "replay", "clipped", "switch")
"""Their intervals know the members and the draw, not the bias."""
SUSPECT = 5.0
"""Standard errors that the mean weight may lie from 1 before the logged propensities are called wrong."""
NUMBERS = ("estimate", "lower", "upper", "boot_lower", "boot_upper")
LIFTS = ("lift", "lift_lower", "lift_upper", "lift_boot_lower", "lift_boot_upper")

Estimator = Callable[..., Functional]


def findings(
    name: str,
    evidence: Evidence,
    settings: EvaluateSettings,
    smallest_cell: int,
    refusal: str | None = None,
    rate: float | None = None,
) -> Iterator[dict[str, Any]]:
    """One row a comparison, estimator and metric of a slice; ``refusal`` refuses all of them. ``rate`` as in
    ``thin_overlap``.

    Where the evidence holds pages, also the page's outcome by the page estimators, as metrics ``page reward`` and
    ``page take``. The direct method claims nothing: its interval knows only the members, not the model's error. For it,
    ``ess`` is the number of decisions and the largest weight is 1.
    """
    known = set(evidence.layout.targets)
    for pair in (pair for pair in COMPARISONS if known.issuperset(pair)):
        verdict = refusal or verdict_of(evidence, pair, settings, smallest_cell, rate)
        for estimator in REPORTED:
            for metric in LAYOUT.metrics:
                yield _row(name, evidence, pair, estimator, metric, metric, ESTIMATORS[estimator], verdict, settings)
        if evidence.layout.extras:
            verdict = verdict if verdict != "ok" else _page_verdict(evidence, pair, settings, rate)
            for estimator, function in PAGE_ESTIMATORS.items():
                for metric in LAYOUT.metrics:
                    yield _row(name, evidence, pair, estimator, metric, f"page {metric}", function, verdict, settings)


def plans(evidence: Evidence, width: float, metric: str = "reward") -> dict[str, Plan]:
    """What the log must explore for an interval of this width, by greedy target."""
    return {
        target: plan_of(evidence.moments, evidence.layout, target, metric, width)
        for target in evidence.layout.targets
        if target in GREEDY
    }


def _row(
    name: str,
    evidence: Evidence,
    pair: tuple[str, str],
    estimator: str,
    metric: str,
    shown_metric: str,
    function: Estimator,
    verdict: str,
    settings: EvaluateSettings,
) -> dict[str, Any]:
    moments, layout = evidence.moments, evidence.layout
    target, baseline = pair
    weighted, pages = estimator != "dm", shown_metric != metric
    at, largest = layout.targets.index(target), evidence.largest_page if pages else evidence.largest
    row = {
        "target": target,
        "baseline": baseline,
        "estimator": estimator,
        "metric": shown_metric,
        "slice": name,
        "n": round(float(layout.unit("pages") @ moments.sums) if pages else evidence.seen - evidence.left_out),
        "members": moments.members,
        **dict.fromkeys((*NUMBERS, *LIFTS)),
        "claim": False,
        "ess": effective_size(moments, layout, target, pages) if weighted else evidence.seen - evidence.left_out,
        "max_weight": float(largest[at]) if weighted else 1.0,
        "verdict": verdict,
    }
    if verdict == "ok":
        row |= _figures(evidence, pair, function, metric, estimator not in UNCLAIMED, settings)
    return {key: _rounded(value) for key, value in row.items()}


def _figures(
    evidence: Evidence,
    pair: tuple[str, str],
    function: Estimator,
    metric: str,
    claims: bool,
    settings: EvaluateSettings,
) -> dict[str, Any]:
    moments, layout = evidence.moments, evidence.layout
    target, baseline = pair

    def value(sums: np.ndarray, name: str) -> float:
        return function(Moments(moments.members, sums, moments.products), layout, name, metric).value

    found = function(moments, layout, target, metric)
    replicated = [value(sums, target) for sums in evidence.replicated]
    figures: dict[str, Any] = dict(
        zip(NUMBERS, (found.value, *interval(found, moments), *boot_interval(replicated)), strict=True)
    )
    if target == baseline:
        return figures
    base = function(moments, layout, baseline, metric)
    if base.value > 0:
        relative = lift(found, base)
        of_base = [value(sums, baseline) for sums in evidence.replicated]
        ratios = [a / b - 1 for a, b in zip(replicated, of_base, strict=True) if b > 0]
        between = interval(relative, moments)
        figures |= dict(zip(LIFTS, (relative.value, *between, *boot_interval(ratios)), strict=True))
        figures["claim"] = claims and interval(relative, moments, settings.claim_level)[0] > 0
    else:  # nothing to be relative to; the difference may still be told from zero
        figures["claim"] = claims and interval(difference(found, base), moments, settings.claim_level)[0] > 0
    return figures


def verdict_of(
    evidence: Evidence, targets: tuple[str, str], settings: EvaluateSettings, smallest_cell: int, rate: float | None
) -> str:
    """ "ok", or the first reason why nothing can be said of these targets; ``rate`` as in ``thin_overlap``."""
    moments, layout = evidence.moments, evidence.layout
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
        largest = float(evidence.largest[layout.targets.index(target)])
        if refused := thin_overlap(moments, layout, target, largest, settings, rate):
            return refused
    return "ok"


def thin_overlap(
    moments: Moments,
    layout: Layout,
    target: str,
    largest: float,
    settings: EvaluateSettings,
    rate: float | None = None,
) -> str | None:
    """Why the weights carry no estimate of this target, or None; ``largest`` is the largest weight.

    Few takes with large weights make any estimate of a rare outcome: the layout's last metric is the take. How many
    takes there will be is told by ``rate``, takes a decision known before these decisions were made. A limit on the
    takes that came would keep the logs in which there happened to be many, and their estimates would be too high.
    Without ``rate`` nothing better than the log's own is known: estimates of logs just above the limit are then too
    high by about a quarter of their standard deviation. With it doubly robust estimates show no such bias; plain IPS,
    which follows the weights that were drawn, keeps an eighth. Where the limits come from: docs/decisions/0006.
    """
    size = effective_size(moments, layout, target)
    if size < settings.smallest_ess:
        return f"too few decisions that agree with {target}: effective {size:.0f} of {settings.smallest_ess:.0f} needed"
    weight = mean_weight(moments, layout, target)
    if abs(weight.value - 1) > SUSPECT * standard_error(weight, moments) + 1e-9:
        return f"weights for {target} average {weight.value:.3f}, not 1: the logged propensities are not those served"
    takes = _takes(moments, layout, rate)
    share = largest / (takes + largest)
    if share > settings.largest_weight_share:
        limit = f"(at most {settings.largest_weight_share:.0%} allowed)"
        return f"one take of weight {largest:.1f} would be {share:.0%} of all that is known of {target} {limit}"
    known = effective_takes(moments, layout, target, takes / float(layout.unit("n") @ moments.sums))
    if known < settings.smallest_takes:
        return f"too few takes that agree with {target}: about {known:.0f} of {settings.smallest_takes:.0f} needed"
    return None


def _takes(moments: Moments, layout: Layout, rate: float | None) -> float:
    """Takes that the decisions should bring; the layout's last metric is the take."""
    if rate is None:
        return float(layout.unit("r", layout.metrics[-1]) @ moments.sums)
    return rate * float(layout.unit("n") @ moments.sums)


def _page_verdict(evidence: Evidence, targets: tuple[str, str], settings: EvaluateSettings, rate: float | None) -> str:
    moments, layout = evidence.moments, evidence.layout
    for target in targets:
        size = effective_size(moments, layout, target, pages=True)
        if size < settings.smallest_ess:
            needed = f"effective {size:.0f} of {settings.smallest_ess:.0f} needed"
            return f"too few pages that agree with {target}: {needed}"
        largest = float(evidence.largest_page[layout.targets.index(target)])
        takes = _takes(moments, layout, rate)
        share = largest / (takes + largest)
        if share > settings.largest_weight_share:
            return f"one take on the page of weight {largest:.1f} would be {share:.0%} of all that is known of {target}"
    return "ok"


def _rounded(value: Any) -> Any:
    """Ten significant digits, so that sums added in another order give the same row; not a number becomes null."""
    if not isinstance(value, float | np.floating):
        return bool(value) if isinstance(value, np.bool_) else value
    return float(f"{value:.10g}") if np.isfinite(value) else None


def summary(rows: Iterable[Mapping[str, Any]]) -> str:
    """The lines a user reads, one a policy: the reward of each behaviour against an even draw, by DR over all
    decisions."""
    policies: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if (row["slice"], row["estimator"], row["metric"], row["baseline"]) == ("*", "dr", "reward", "uniform"):
            policies.setdefault(row["policy_id"], []).append(row)
    if not policies:
        return "nothing to evaluate"
    return "\n".join(_line(found) for found in policies.values())


def _line(found: list[Mapping[str, Any]]) -> str:
    said = []
    for row in found:
        if row["verdict"] != "ok":
            said.append(f"{row['target']}: {row['verdict']}")
        elif row["lift"] is not None:
            span = f"{row['lift_lower']:+.1%} to {row['lift_upper']:+.1%}"
            said.append(f"{row['target']} {row['lift']:+.1%} ({span}{', claimed' if row['claim'] else ''})")
    about = "policy {policy_id} on {n} decisions of {members} members".format(**found[0])
    return f"{about}, reward against uniform: {'; '.join(said) or 'nothing to say'}"
