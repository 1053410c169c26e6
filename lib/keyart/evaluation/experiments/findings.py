"""From moments by arm and segment to rows of experiment_results: what is tested, how it is adjusted, what it means."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from keyart.evaluation.experiments.comparison import Effect, value_of
from keyart.evaluation.experiments.design import Design
from keyart.evaluation.experiments.details import detail_rows, novelty_of, price_of
from keyart.evaluation.experiments.gathered import (
    ALL,
    CONTROL,
    Gathered,
    comparison_row,
    effect_of,
    members_of,
    p_of,
    relative_interval,
    variants,
)
from keyart.evaluation.experiments.metrics import Metric, metric_named, unit
from keyart.evaluation.experiments.multiplicity import benjamini_hochberg, holm
from keyart.evaluation.experiments.randomisation import sample_ratio_p
from keyart.evaluation.experiments.verdict import ABSENT, BROKEN, HOLDS, OPEN, Evidence, decide

__all__ = ["EMPTY", "experiment_rows", "finite", "summary"]


def experiment_rows(design: Design, found: Gathered, quantiles: Sequence[float], smallest: int) -> list[dict[str, Any]]:
    """Rows of experiment_results; segments of fewer than ``smallest`` members a side are left out."""
    seen = [members_of(found, arm) for arm in range(len(design.variants))]
    ratio_p = sample_ratio_p(seen, design.split.shares)
    rows = [*_primary(design, found, ratio_p, smallest), *_secondary(design, found), *_guardrail_rows(design, found)]
    rows += [*_segments(design, found, smallest), *detail_rows(design, found, quantiles)]
    always = {"experiment_id": design.experiment_id, "sample_ratio_p": ratio_p}
    return [{key: finite(value) for key, value in {**EMPTY, **row, **always}.items()} for row in rows]


EMPTY: dict[str, Any] = {
    "segment": ALL, "day": -1, "members": 0, "mean": None, "control_mean": None, "difference": None, "lower": None,
    "upper": None, "relative": None, "relative_lower": None, "relative_upper": None, "p_value": None,
    "sequential_lower": None, "sequential_upper": None, "sequential_p": None, "adjusted_p": None, "correction": None,
    "variance_kept": None, "margin": None, "shrunk": None, "verdict": "",
}  # fmt: skip


def summary(rows: Iterable[Mapping[str, Any]]) -> str:
    """The lines a user reads: each variant's verdict."""
    lines = [f"{row['variant']}: {row['verdict']}" for row in rows if row["kind"] == "primary" and row["day"] == -1]
    return "\n".join(lines) or "no variant has members yet"


def _primary(design: Design, found: Gathered, ratio_p: float, smallest: int) -> list[dict[str, Any]]:
    metric, rules = metric_named(design.metric), design.rules
    effects = {arm: effect_of(found, metric, arm) for arm in variants(design)}
    adjusted = holm(np.array([p_of(effect, design) for effect in effects.values()]))
    rows = []
    control = found.moments.get((CONTROL, ALL))
    if control is not None:
        base = {"kind": "control", "variant": design.variants[0], "metric": metric.name, "members": control.members}
        rows.append({**base, "mean": value_of(control, metric).value, "verdict": "control"})
    for (arm, effect), p in zip(effects.items(), adjusted, strict=True):
        if effect is None:
            continue
        evidence = _evidence(design, found, arm, effect, float(p), ratio_p)
        evidence = replace(evidence, enough=min(effect.members) >= smallest)
        said = decide(evidence, rules.alpha, rules.minimum_effect, rules.most_per_minute, rules.looks)
        correction = f"Holm over {len(effects)} variants" if len(effects) > 1 else "one comparison"
        row = comparison_row("primary", design, arm, metric, effect)
        rows.append({**row, "adjusted_p": float(p), "correction": correction, "verdict": str(said)})
    return rows


def _evidence(design: Design, found: Gathered, arm: int, effect: Effect, p: float, ratio_p: float) -> Evidence:
    rules, sign = design.rules, metric_named(design.metric).better
    good = effect if sign > 0 else effect.turned()
    lower, upper = relative_interval(good, design, rules.alpha / len(variants(design)))
    fading = novelty_of(design, found, arm)
    arms = [found.moments[key] for key in ((CONTROL, ALL), (arm, ALL))]
    total = sum(float(unit("decisions") @ side.sums) for side in arms)
    foreign = sum(float(unit("foreign") @ side.sums) for side in arms)
    return Evidence(
        sample_ratio_p=ratio_p,
        foreign=foreign / total if total else 0.0,
        adjusted_p=p,
        effect=good.relative,
        lower=lower,
        upper=upper,
        guardrails={name: state for name, (state, _) in _guardrails(design, found, arm).items()},
        reached=_reached(design, found),
        cost_per_minute=price_of(design, found, arm)[0] if rules.cost_per_1000_decisions else None,
        trend_p=fading.p_value if fading else 1.0,
        trend=sign * fading.slope if fading else 0.0,
    )


def _reached(design: Design, found: Gathered) -> bool:
    """The planned days have passed and the planned members have come; without a plan, the last day has."""
    rules = design.rules
    days = rules.days or ((design.to_day - design.from_day).days if design.to_day else 0)
    if not days or found.elapsed < days:
        return False
    return all(members_of(found, arm) >= wanted for arm, wanted in enumerate(rules.members))


def _secondary(design: Design, found: Gathered) -> list[dict[str, Any]]:
    tests = [
        (arm, metric_named(name), effect)
        for name in design.rules.secondary
        for arm in variants(design)
        if (effect := effect_of(found, metric_named(name), arm)) is not None
    ]
    return _discoveries("secondary", design, [(arm, metric, ALL, effect) for arm, metric, effect in tests])


def _segments(design: Design, found: Gathered, smallest: int) -> list[dict[str, Any]]:
    metric = metric_named(design.metric)
    names = sorted({segment for _, segment in found.moments if segment != ALL})
    tests = [
        (arm, metric, name, effect)
        for name in names
        for arm in variants(design)
        if (effect := effect_of(found, metric, arm, name)) is not None and min(effect.members) >= smallest
    ]
    return _discoveries("segment", design, tests)


def _discoveries(kind: str, design: Design, tests: Sequence[tuple[int, Metric, str, Effect]]) -> list[dict[str, Any]]:
    """Rows of many tests at once, adjusted for the false-discovery rate."""
    if not tests:
        return []
    adjusted = benjamini_hochberg(np.array([p_of(effect, design) for *_, effect in tests]))
    rows = []
    for (arm, metric, segment, effect), p in zip(tests, adjusted, strict=True):
        better = effect.difference * metric.better > 0
        word = "not told from 0" if p > design.rules.alpha else "better" if better else "worse"
        row = comparison_row(kind, design, arm, metric, effect, segment)
        correction = f"Benjamini-Hochberg over {len(tests)} tests"
        rows.append({**row, "adjusted_p": float(p), "correction": correction, "verdict": word})
    return rows


def _guardrails(design: Design, found: Gathered, arm: int) -> dict[str, tuple[str, Effect]]:
    """State and effect of each guardrail, the effect signed so that more is better."""
    states = {}
    alpha = design.rules.alpha
    for name, margin in design.rules.guardrails.items():
        metric = metric_named(name)
        effect = effect_of(found, metric, arm)
        if effect is None:
            continue
        sides = [found.moments[place, ALL].sums for place in (CONTROL, arm)]
        if not any(unit(metric.top) @ sums for sums in sides) or not any(unit(metric.bottom) @ sums for sums in sides):
            states[name] = (ABSENT, effect)
            continue
        good = effect if metric.better > 0 else effect.turned()
        # One-sided tests: that it holds at alpha (all must hold), that it is broken at alpha over their number.
        lower = relative_interval(good, design, 2 * alpha, margin)[0]
        upper = relative_interval(good, design, 2 * alpha / len(design.rules.guardrails), margin)[1]
        states[name] = (HOLDS if lower > -margin else BROKEN if upper < -margin else OPEN, effect)
    return states


def _guardrail_rows(design: Design, found: Gathered) -> list[dict[str, Any]]:
    return [
        {
            **comparison_row("guardrail", design, arm, metric_named(name), effect),
            "margin": design.rules.guardrails[name],
            "correction": "one-sided non-inferiority; all must hold",
            "verdict": state,
        }
        for arm in variants(design)
        for name, (state, effect) in _guardrails(design, found, arm).items()
    ]


def finite(value: Any) -> Any:
    """Ten significant digits; what is not a finite number becomes null."""
    if not isinstance(value, float | np.floating):
        return value
    return float(f"{value:.10g}") if isfinite(value) else None
