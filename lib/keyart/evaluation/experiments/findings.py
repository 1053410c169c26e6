"""From moments by arm and segment to rows of experiment_results: what is tested, how it is adjusted, what it means."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import inf, isfinite
from operator import add
from typing import Any

import numpy as np
from scipy.stats import norm

from keyart.evaluation.estimators import Moments
from keyart.evaluation.experiments.comparison import Effect, Line, compare, ratio, value_of
from keyart.evaluation.experiments.design import CONTINUOUS, Design
from keyart.evaluation.experiments.metrics import METRICS, Metric, metric_named, unit
from keyart.evaluation.experiments.multiplicity import benjamini_hochberg, holm
from keyart.evaluation.experiments.novelty import Novelty, novelty
from keyart.evaluation.experiments.quantiles import Sketch, quantile_difference
from keyart.evaluation.experiments.randomisation import HOLDOUT, sample_ratio_p
from keyart.evaluation.experiments.sequential import always_valid_interval, always_valid_p
from keyart.evaluation.experiments.stealing import stealing
from keyart.evaluation.experiments.verdict import BROKEN, HOLDS, OPEN, Evidence, decide

__all__ = ["Gathered", "experiment_rows", "summary"]

ALL = "*"
CONTROL = 0
LEVEL = 0.95


@dataclass(frozen=True)
class Gathered:
    """Everything the pass brought back: moments of COLUMNS by (arm, segment), of days, and sketches by arm."""

    moments: Mapping[tuple[int, str], Moments]
    days: Mapping[int, Moments]
    sketches: Mapping[int, Sketch]
    thresholds: np.ndarray
    elapsed: int  # days of the experiment that the log covers


def experiment_rows(design: Design, found: Gathered, quantiles: Sequence[float], smallest: int) -> list[dict[str, Any]]:
    """Rows of experiment_results; segments of fewer than ``smallest`` members a side are left out."""
    seen = [_members(found, arm) for arm in range(len(design.variants))]
    ratio_p = sample_ratio_p(seen, design.split.shares)
    rows = [*_primary(design, found, ratio_p), *_secondary(design, found), *_guardrail_rows(design, found)]
    rows += [*_holdout(design, found), *_segments(design, found, smallest), *_novelty_rows(design, found)]
    rows += [*_quantile_rows(design, found, quantiles), *_cost_rows(design, found), *_stealing_rows(found)]
    always = {"experiment_id": design.experiment_id, "sample_ratio_p": ratio_p}
    return [{key: _finite(value) for key, value in {**EMPTY, **row, **always}.items()} for row in rows]


EMPTY: dict[str, Any] = {
    "segment": ALL, "day": -1, "members": 0, "mean": 0.0, "control_mean": None, "difference": None, "lower": None,
    "upper": None, "relative": None, "relative_lower": None, "relative_upper": None, "p_value": None,
    "sequential_lower": None, "sequential_upper": None, "sequential_p": None, "adjusted_p": None, "correction": None,
    "variance_kept": None, "margin": None, "verdict": "",
}  # fmt: skip


def summary(rows: Iterable[Mapping[str, Any]]) -> str:
    """The lines a user reads: each variant's verdict."""
    lines = [f"{row['variant']}: {row['verdict']}" for row in rows if row["kind"] == "primary" and row["day"] == -1]
    return "\n".join(lines) or "no variant has members yet"


def effect_of(found: Gathered, metric: Metric, arm: int, segment: str = ALL, base: int = CONTROL) -> Effect | None:
    """An arm against another in a segment; None where one of them has fewer than two members."""
    sides = [found.moments.get((place, segment)) for place in (base, arm)]
    if any(side is None or side.members < 2 for side in sides):
        return None
    before = metric.covariate
    line: Line = (unit(metric.top), unit(metric.bottom))
    covariate = (unit(before[0]), unit(before[1])) if before else None
    return compare(sides[0], sides[1], line, covariate)  # type: ignore[arg-type]


def tau2_of(effect: Effect, design: Design) -> float:
    """The mixture's variance: the square of the effect that the experiment was planned for."""
    return (design.rules.minimum_effect * effect.control) ** 2


def p_of(effect: Effect | None, design: Design) -> float:
    """The p-value that the design's way of looking asks for."""
    if effect is None or not effect.known:
        return 1.0
    if design.rules.looks == CONTINUOUS:
        return always_valid_p(effect.difference, effect.variance, tau2_of(effect, design))
    return effect.p_value()


def relative_interval(effect: Effect, design: Design, alpha: float, tau: float | None = None) -> tuple[float, float]:
    """Of the relative effect, of level 1 - alpha, valid for the design's way of looking."""
    if design.rules.looks != CONTINUOUS:
        return effect.relative_interval(1 - alpha)
    if not (effect.known and isfinite(effect.relative_variance)):
        return -inf, inf
    spread = design.rules.minimum_effect if tau is None else tau
    return always_valid_interval(effect.relative, effect.relative_variance, spread**2, 1 - alpha)


def _row(kind: str, design: Design, arm: int, metric: Metric, effect: Effect, segment: str = ALL) -> dict[str, Any]:
    variant = "holdout" if arm == HOLDOUT else design.variants[arm]
    lower, upper = effect.interval(LEVEL)
    low, high = effect.relative_interval(LEVEL)
    tau2 = tau2_of(effect, design)
    first, last = always_valid_interval(effect.difference, effect.variance, tau2, LEVEL)
    return {
        "kind": kind, "variant": variant, "metric": metric.name, "segment": segment, "members": effect.members[1],
        "mean": effect.variant, "control_mean": effect.control, "difference": effect.difference, "lower": lower,
        "upper": upper, "relative": effect.relative, "relative_lower": low, "relative_upper": high,
        "p_value": effect.p_value(), "sequential_lower": first, "sequential_upper": last,
        "sequential_p": always_valid_p(effect.difference, effect.variance, tau2), "variance_kept": effect.kept,
    }  # fmt: skip


def _variants(design: Design) -> range:
    return range(1, len(design.variants))


def _members(found: Gathered, arm: int) -> int:
    side = found.moments.get((arm, ALL))
    return side.members if side else 0


def _primary(design: Design, found: Gathered, ratio_p: float) -> list[dict[str, Any]]:
    metric, rules = metric_named(design.metric), design.rules
    effects = {arm: effect_of(found, metric, arm) for arm in _variants(design)}
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
        said = decide(evidence, rules.alpha, rules.minimum_effect, rules.most_per_minute, rules.looks)
        correction = f"Holm over {len(effects)} variants" if len(effects) > 1 else "one comparison"
        row = _row("primary", design, arm, metric, effect)
        rows.append({**row, "adjusted_p": float(p), "correction": correction, "verdict": str(said)})
    return rows


def _evidence(design: Design, found: Gathered, arm: int, effect: Effect, p: float, ratio_p: float) -> Evidence:
    rules, sign = design.rules, metric_named(design.metric).better
    good = effect if sign > 0 else effect.turned()
    lower, upper = relative_interval(good, design, rules.alpha / len(_variants(design)))
    fading = _novelty_of(design, found, arm)
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
        cost_per_minute=_price(design, found, arm)[0] if rules.cost_per_1000_decisions else None,
        trend_p=fading.p_value if fading else 1.0,
        trend=sign * fading.slope if fading else 0.0,
    )


def _reached(design: Design, found: Gathered) -> bool:
    """The planned days have passed and the planned members have come; without a plan, the last day has."""
    rules = design.rules
    days = rules.days or ((design.to_day - design.from_day).days if design.to_day else 0)
    if not days or found.elapsed < days:
        return False
    return all(_members(found, arm) >= wanted for arm, wanted in enumerate(rules.members))


def _secondary(design: Design, found: Gathered) -> list[dict[str, Any]]:
    tests = [
        (arm, metric_named(name), effect)
        for name in design.rules.secondary
        for arm in _variants(design)
        if (effect := effect_of(found, metric_named(name), arm)) is not None
    ]
    return _discoveries("secondary", design, [(arm, metric, ALL, effect) for arm, metric, effect in tests])


def _segments(design: Design, found: Gathered, smallest: int) -> list[dict[str, Any]]:
    metric = metric_named(design.metric)
    names = sorted({segment for _, segment in found.moments if segment != ALL})
    tests = [
        (arm, metric, name, effect)
        for name in names
        for arm in _variants(design)
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
        row = _row(kind, design, arm, metric, effect, segment)
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
        good = effect if metric.better > 0 else effect.turned()
        # One-sided tests: that it holds at alpha (all must hold), that it is broken at alpha over their number.
        lower = relative_interval(good, design, 2 * alpha, margin)[0]
        upper = relative_interval(good, design, 2 * alpha / len(design.rules.guardrails), margin)[1]
        states[name] = (HOLDS if lower > -margin else BROKEN if upper < -margin else OPEN, effect)
    return states


def _guardrail_rows(design: Design, found: Gathered) -> list[dict[str, Any]]:
    return [
        {
            **_row("guardrail", design, arm, metric_named(name), effect),
            "margin": design.rules.guardrails[name],
            "correction": "one-sided non-inferiority; all must hold",
            "verdict": state,
        }
        for arm in _variants(design)
        for name, (state, effect) in _guardrails(design, found, arm).items()
    ]


def _holdout(design: Design, found: Gathered) -> list[dict[str, Any]]:
    """Incrementality: every variant against the members who keep frozen artwork."""
    rows = []
    for name in dict.fromkeys((design.metric, "minutes")):
        for arm in range(len(design.variants)):
            effect = effect_of(found, metric_named(name), arm, base=HOLDOUT)
            if effect is not None:
                row = _row("incrementality", design, arm, metric_named(name), effect)
                rows.append({**row, "verdict": "against frozen artwork"})
    return rows


def _novelty_of(design: Design, found: Gathered, arm: int) -> Novelty | None:
    sides = [found.days.get(place) for place in (CONTROL, arm)]
    if any(side is None or side.members < 2 for side in sides):
        return None
    return novelty(sides[0], sides[1])  # type: ignore[arg-type]


def _novelty_rows(design: Design, found: Gathered) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for arm in _variants(design):
        curve = _novelty_of(design, found, arm)
        if curve is None:
            continue
        base = {"kind": "novelty", "variant": design.variants[arm], "metric": design.metric}
        for day in np.flatnonzero(np.isfinite(curve.effect)):
            effect, half = float(curve.effect[day]), 1.96 * float(curve.error[day])
            bounds = {"difference": effect, "lower": effect - half, "upper": effect + half}
            rows.append({**base, "day": int(day), **bounds, "verdict": "effect on this day since exposure"})
        word = "no trend told from 0" if curve.p_value > 0.05 else "fades" if curve.slope < 0 else "grows"
        half = 1.96 * curve.slope_error
        trend = {"difference": curve.slope, "lower": curve.slope - half, "upper": curve.slope + half}
        rows.append({**base, "kind": "trend", **trend, "p_value": curve.p_value, "verdict": f"by day: {word}"})
    return rows


def _quantile_rows(design: Design, found: Gathered, quantiles: Sequence[float]) -> list[dict[str, Any]]:
    rows = []
    control = found.sketches.get(CONTROL)
    for arm in _variants(design):
        variant = found.sketches.get(arm)
        if control is None or variant is None or min(control.n, variant.n) < 2:
            continue
        for p in quantiles:
            difference, lower, upper = quantile_difference(control, variant, p, found.thresholds, LEVEL)
            word = "not told from 0" if lower <= 0 <= upper else "longer" if difference > 0 else "shorter"
            rows.append(
                {
                    "kind": "quantile", "variant": design.variants[arm], "metric": f"minutes_per_take_q{100 * p:g}",
                    "members": variant.members, "mean": variant.quantile(p, found.thresholds),
                    "control_mean": control.quantile(p, found.thresholds), "difference": difference, "lower": lower,
                    "upper": upper, "correction": "none; one look", "verdict": word,
                }
            )  # fmt: skip
    return rows


def _price(design: Design, found: Gathered, arm: int) -> tuple[float, float, Effect | None]:
    """Cost of an incremental minute, minutes gained per 1,000 decisions, and the effect on minutes."""
    effect = effect_of(found, METRICS["minutes"], arm)
    side = found.moments.get((arm, ALL))
    if effect is None or side is None:
        return inf, 0.0, None
    decisions = ratio(side, unit("decisions"), unit("members")).value
    gained = 1000 * effect.difference / decisions if decisions else 0.0
    return (design.rules.cost_per_1000_decisions / gained if gained > 0 else inf), gained, effect


def _cost_rows(design: Design, found: Gathered) -> list[dict[str, Any]]:
    rows = []
    for arm in _variants(design):
        price, gained, effect = _price(design, found, arm)
        if effect is None or not effect.known:
            continue
        scale = 1000 / ratio(found.moments[arm, ALL], unit("decisions"), unit("members")).value
        lower, upper = (scale * bound for bound in effect.interval(LEVEL))
        cost = design.rules.cost_per_1000_decisions
        said = f"{cost:g} buys {gained:+.3g} minutes"
        row = {"kind": "cost", "variant": design.variants[arm], "metric": "minutes_per_1000_decisions"}
        word = f"{said}: {price:.3g} a minute" if isfinite(price) and cost else said if cost else "no price was set"
        rows.append({**row, "members": effect.members[1], "mean": cost, "difference": gained, "lower": lower,
                     "upper": upper, "verdict": word})  # fmt: skip
    return rows


def _stealing_rows(found: Gathered) -> list[dict[str, Any]]:
    """Within members, whatever their arm: what the drawn artwork did to its title and to all titles together."""
    sides = [moments for (arm, segment), moments in found.moments.items() if segment == ALL and arm >= 0]
    if not sides:
        return []
    whole = reduce(add, sides)
    steal = stealing(whole)
    parts = {
        "own_title": (steal.own, steal.own_error, "effect of the favourite artwork on its own title's reward"),
        "all_titles": (steal.total, steal.total_error, "its effect on the member's whole day"),
        "stolen_share": (steal.stolen, steal.stolen_error, "of the own title's gain, what other titles lost"),
    }
    return [
        {
            "kind": "stealing", "variant": "within members", "metric": name, "members": whole.members, "mean": value,
            "difference": value, "lower": value - 1.96 * error, "upper": value + 1.96 * error,
            "p_value": None if not error > 0 else float(2 * norm.sf(abs(value) / error)), "verdict": about,
        }
        for name, (value, error, about) in parts.items()
        if isfinite(value)
    ]  # fmt: skip


def _finite(value: Any) -> Any:
    """Ten significant digits; what is not a finite number becomes null."""
    if not isinstance(value, float | np.floating):
        return value
    return float(f"{value:.10g}") if isfinite(value) else None
