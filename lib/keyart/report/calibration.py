"""Whether predictions came true on later days, as charts and tables: of the policy page, its cards and MLflow alike.

Rows are those of ``policy_calibration`` (``learning.calibration.Figure`` as mappings).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keyart.report import wording
from keyart.report.facts import Row
from keyart.report.plots import Plot

__all__ = ["HIGHEST", "LOWEST", "faults", "plots_of", "slope_table"]

ALL = "*"
NORMAL = 1.96
LOWEST, HIGHEST = 0.9, 1.1
"""Slopes between them are near enough to 1."""
SLOPES = {
    "slope of chance": "the whole chance",
    "slope of artwork": "the artwork's share in it",
}
ABOUT = {
    "slopes": "Calibration slopes on later days, with 95% intervals: 1 is honest, below 1 predictions lie too far "
    "apart; the band is 0.9 to 1.1",
    "reliability": "Predicted chance of a take and what came, by tenths of the predicted chance, with 95% intervals",
    "uplift": "Predicted gain of the model's favourite over the drawn artwork and its doubly robust estimate, by "
    "tenths of the predicted gain, with 95% intervals",
}


def plots_of(rows: Iterable[Row]) -> dict[str, Plot]:
    """Charts by name (slopes, reliability, uplift) of what there is, each with its table."""
    known = [row for row in rows if math.isfinite(row["observed"]) and math.isfinite(row["standard_error"])]
    found = {}
    slopes = _slopes(known)
    if slopes:
        points = [_interval(row, f"{_name(row)}: {SLOPES[row['measure']]}") for row in slopes]
        found["slopes"] = Plot("slopes", ABOUT["slopes"], points, *slope_table(known))
    for measure, form in (("reliability", wording.percent), ("uplift", wording.signed_percent)):
        tenths = sorted((r for r in known if (r["measure"], r["region"]) == (measure, ALL)), key=lambda r: r["part"])
        if tenths:
            points = [
                {"predicted": _short(row["predicted"]), **_interval(row, f"tenth {row['part']}")} for row in tenths
            ]
            heads = ("tenth", "decisions", "predicted", "observed", "95% interval")
            cells = [
                (str(r["part"]), wording.count(r["decisions"]), form(r["predicted"], 2), form(r["observed"], 2),
                 " to ".join(form(end, 2) for end in _ends(r)))
                for r in tenths
            ]  # fmt: skip
            found[measure] = Plot("reliability", ABOUT[measure], points, heads, cells)
    return found


def slope_table(rows: Iterable[Row]) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """Heads and a line a region and kind: slope, interval, decisions, where the interval lies beside 0.9 to 1.1."""
    heads = ("region", "slope of", "slope", "95% interval", "decisions", "0.9 to 1.1")
    return heads, [
        (
            _name(row),
            SLOPES[row["measure"]],
            _figure(row["observed"]),
            " to ".join(_figure(end) for end in _ends(row)),
            wording.count(row["decisions"]),
            _where(row),
        )
        for row in _slopes(rows)
    ]


def faults(rows: Iterable[Row]) -> list[str]:
    """Slopes whose whole interval lies outside 0.9 to 1.1, in words."""
    return [
        f"{SLOPES[row['measure']]} is predicted {'too far apart' if row['observed'] < 1 else 'too close together'}"
        f"{'' if row['region'] == ALL else ' in region ' + row['region']}: slope {_figure(row['observed'])} "
        f"({' to '.join(_figure(end) for end in _ends(row))}) on later days"
        for row in _slopes(rows)
        if _where(row) == "outside"
    ]


def _slopes(rows: Iterable[Row]) -> list[Row]:
    """All first, then regions by name; of each the whole chance first."""
    order = list(SLOPES)
    kept = [row for row in rows if row["measure"] in SLOPES]
    return sorted(kept, key=lambda r: (r["region"] != ALL, r["region"], order.index(r["measure"])))


def _where(row: Row) -> str:
    lower, upper = _ends(row)
    if lower > HIGHEST or upper < LOWEST:
        return "outside"
    return "inside" if lower >= LOWEST and upper <= HIGHEST else "overlaps"


def _ends(row: Row) -> tuple[float, float]:
    margin = NORMAL * row["standard_error"]
    return row["observed"] - margin, row["observed"] + margin


def _interval(row: Row, label: str) -> Mapping[str, Any]:
    lower, upper = _ends(row)
    figures = {"value": row["observed"], "lower": lower, "upper": upper}
    return {"label": label, **{k: _short(v) for k, v in figures.items()}, "strong": row["region"] == ALL}


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def _figure(value: float) -> str:
    return f"{value:.2f}".replace("-", wording.MINUS)


def _name(row: Row) -> str:
    return "all regions" if row["region"] == ALL else str(row["region"])
