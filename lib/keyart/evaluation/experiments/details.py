"""What stands beside the tests: novelty, quantiles, price, stealing, and what all of it adds to frozen artwork."""

from collections.abc import Sequence
from functools import reduce
from math import inf, isfinite
from operator import add
from typing import Any

import numpy as np
from scipy.stats import norm

from keyart.evaluation.experiments.comparison import Effect, ratio
from keyart.evaluation.experiments.design import Design
from keyart.evaluation.experiments.gathered import (
    ALL,
    CONTROL,
    LEVEL,
    Gathered,
    comparison_row,
    effect_of,
    variants,
)
from keyart.evaluation.experiments.metrics import METRICS, metric_named, unit
from keyart.evaluation.experiments.novelty import Novelty, novelty
from keyart.evaluation.experiments.quantiles import quantile_difference
from keyart.evaluation.experiments.randomisation import HOLDOUT
from keyart.evaluation.experiments.stealing import stealing

__all__ = ["detail_rows", "novelty_of", "price_of"]


def detail_rows(design: Design, found: Gathered, quantiles: Sequence[float]) -> list[dict[str, Any]]:
    """Rows of experiment_results that no verdict rests on."""
    rows = [*_holdout(design, found), *_novelty_rows(design, found), *_quantile_rows(design, found, quantiles)]
    return [*rows, *_cost_rows(design, found), *_stealing_rows(found)]


def _quantile_rows(design: Design, found: Gathered, quantiles: Sequence[float]) -> list[dict[str, Any]]:
    rows = []
    control = found.sketches.get(CONTROL)
    for arm in variants(design):
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


def price_of(design: Design, found: Gathered, arm: int) -> tuple[float, float, Effect | None]:
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
    for arm in variants(design):
        price, gained, effect = price_of(design, found, arm)
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


def novelty_of(design: Design, found: Gathered, arm: int) -> Novelty | None:
    """The primary metric's effect by day since exposure; None where it has none or an arm is missing."""
    sides = [found.days.get(place) for place in (CONTROL, arm)]
    if any(side is None or side.members < 2 for side in sides):
        return None
    return novelty(sides[0], sides[1])  # type: ignore[arg-type]


def _novelty_rows(design: Design, found: Gathered) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for arm in variants(design):
        curve = novelty_of(design, found, arm)
        if curve is None:
            continue
        base = {"kind": "novelty", "variant": design.variants[arm], "metric": design.metric}
        for day in np.flatnonzero(np.isfinite(curve.effect)):
            effect, half = float(curve.effect[day]), 1.96 * float(curve.error[day])
            bounds = {"difference": effect, "lower": effect - half, "upper": effect + half}
            rows.append({**base, "day": int(day), **bounds, "verdict": "effect on this day since exposure"})
        fading = curve.slope * float(np.nanmean(curve.effect)) < 0
        word = "no trend told from 0" if curve.p_value > 0.05 else "fades" if fading else "grows"
        half = 1.96 * curve.slope_error
        trend = {"difference": curve.slope, "lower": curve.slope - half, "upper": curve.slope + half}
        rows.append({**base, "kind": "trend", **trend, "p_value": curve.p_value, "verdict": f"by day: {word}"})
    return rows


def _holdout(design: Design, found: Gathered) -> list[dict[str, Any]]:
    """Incrementality: every variant against the members who keep frozen artwork."""
    rows = []
    for name in dict.fromkeys((design.metric, "minutes")):
        for arm in range(len(design.variants)):
            effect = effect_of(found, metric_named(name), arm, base=HOLDOUT)
            if effect is not None:
                row = comparison_row("incrementality", design, arm, metric_named(name), effect)
                rows.append({**row, "verdict": "against frozen artwork"})
    return rows
