"""What the pass over the members brought back, and what is made of it: effects, p-values, intervals, a row."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np

from keyart.evaluation.estimators import Moments
from keyart.evaluation.experiments.comparison import Effect, Line, compare
from keyart.evaluation.experiments.design import CONTINUOUS, Design
from keyart.evaluation.experiments.metrics import Metric, unit
from keyart.evaluation.experiments.quantiles import Sketch
from keyart.evaluation.experiments.randomisation import HOLDOUT
from keyart.evaluation.experiments.sequential import always_valid_interval, always_valid_p

__all__ = [
    "ALL",
    "CONTROL",
    "LEVEL",
    "Gathered",
    "comparison_row",
    "effect_of",
    "members_of",
    "p_of",
    "relative_interval",
    "variants",
]

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


def comparison_row(
    kind: str, design: Design, arm: int, metric: Metric, effect: Effect, segment: str = ALL
) -> dict[str, Any]:
    """A row of experiment_results about one comparison, before it is adjusted and judged."""
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


def variants(design: Design) -> range:
    """Arms that are compared with control."""
    return range(1, len(design.variants))


def members_of(found: Gathered, arm: int) -> int:
    """Members of an arm who were exposed."""
    side = found.moments.get((arm, ALL))
    return side.members if side else 0
