"""Geometry of the marks inside tables: intervals on a common axis, as percentages of the column's width (0 left).

The templates draw them; every mark's figures stand as text beside it. Charts that stand alone are in ``plots``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Axis", "Bar", "Estimate", "IntervalChart", "film_colour", "interval_chart", "nice_ticks"]


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval, and what is written beside it; a None value is a row without a mark."""

    label: str
    value: float | None
    lower: float | None = None
    upper: float | None = None
    cells: tuple[str, ...] = ()
    strong: bool = False


@dataclass(frozen=True)
class Bar:
    """An estimate's mark: point and whiskers as percentages of the width; None where there is nothing to draw."""

    estimate: Estimate
    point: float | None
    left: float | None
    width: float | None
    sign: str
    """above, below or unclear: where the interval lies against zero."""


@dataclass(frozen=True)
class Axis:
    """Ticks as (percentage of the width, value), and where zero lies."""

    ticks: tuple[tuple[float, float], ...]
    zero: float | None


@dataclass(frozen=True)
class IntervalChart:
    """Bars on one axis."""

    bars: tuple[Bar, ...]
    axis: Axis


def nice_ticks(low: float, high: float, about: int = 5) -> tuple[float, ...]:
    """About ``about`` round numbers (1, 2 or 5 times a power of ten apart) from ``low`` to ``high``.

    >>> nice_ticks(0.0, 10.0)
    (0.0, 2.0, 4.0, 6.0, 8.0, 10.0)
    """
    if not high > low:
        return (low,)
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(round(k * step, 12) + 0.0 for k in range(first, last + 1))


def interval_chart(estimates: Sequence[Estimate]) -> IntervalChart:
    """Place estimates on one axis that holds zero and every interval, with a little air at both ends.

    Where no estimate has a value the axis is empty.
    """
    ends = [v for e in estimates for v in (e.value, e.lower, e.upper) if v is not None and math.isfinite(v)]
    if not ends:
        return IntervalChart(tuple(Bar(e, None, None, None, "unclear") for e in estimates), Axis((), None))
    low, high = min(0.0, *ends), max(0.0, *ends)
    air = (high - low) * 0.06 or 0.01
    low, high = low - air, high + air

    def place(value: float | None) -> float | None:
        if value is None or not math.isfinite(value):
            return None
        return round(100 * (value - low) / (high - low), 3)

    bars = []
    for estimate in estimates:
        left, right = place(estimate.lower), place(estimate.upper)
        width = None if left is None or right is None else round(right - left, 3)
        bars.append(Bar(estimate, place(estimate.value), left, width, _sign(estimate)))
    ticks = tuple((place(tick) or 0.0, tick) for tick in nice_ticks(low, high, 4))
    return IntervalChart(tuple(bars), Axis(ticks, place(0.0) if low <= 0 <= high else None))


def _sign(estimate: Estimate) -> str:
    if estimate.lower is not None and estimate.lower > 0:
        return "above"
    if estimate.upper is not None and estimate.upper < 0:
        return "below"
    return "unclear"


def film_colour(luma: float, warmth: float) -> str:
    """A shot's tone as a CSS colour: its mean luma, tinted by its warmth (BT.601 with Cr = -Cb = warmth, strengthened).

    >>> film_colour(0.5, 0.0)
    '#808080'
    """
    luma, tint = float(np.clip(luma, 0.0, 1.0)), float(np.clip(1.6 * warmth, -0.35, 0.35))
    channels = (luma + 1.402 * tint, luma - 0.37 * tint, luma - 1.772 * tint)
    return "#" + "".join(f"{int(np.clip(channel, 0, 1) * 255 + 0.5):02x}" for channel in channels)
