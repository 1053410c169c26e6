"""Experiments: each test's verdict, its difference over the days, its metrics and segments, and whether it is sound."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from keyart.report import wording
from keyart.report.catalogue import Catalogue
from keyart.report.facts import Row
from keyart.report.plots import Plot

__all__ = ["experiments_page"]

SUSPECT = 0.001
"""A sample-ratio p below this says that the split is broken (Fabijan et al. 2019)."""
BLOCKS = {
    "primary": "What decides",
    "secondary": "Further metrics",
    "guardrail": "Guardrails",
    "incrementality": "Against frozen artwork",
    "stealing": "Titles steal from each other",
    "cost": "Cost",
    "quantile": "Quantiles",
}
HEADS = (
    "metric",
    "variant",
    "members",
    "control",
    "variant's",
    "difference",
    "95% interval",
    "always valid",
    "adjusted p",
    "verdict",
)


def experiments_page(catalogue: Catalogue) -> dict[str, Any]:
    """What templates/experiments.html shows."""
    rows = sorted(catalogue.facts.experiments, key=lambda r: (r["name"], r["experiment_id"]))
    groups = groupby(rows, key=lambda r: (r["name"], r["experiment_id"]))
    return {"experiments": [_experiment(name, key, list(found)) for (name, key), found in groups]}


def _experiment(name: str, key: str, rows: Sequence[Row]) -> dict[str, Any]:
    ratio = min((row["sample_ratio_p"] for row in rows), default=1.0)
    return {
        "name": name,
        "id": key,
        "verdicts": [(r["variant"], r["verdict"], _tone(r["verdict"])) for r in rows if r["kind"] == "primary"],
        "ratio": f"{ratio:.3g}",
        "sound": ratio >= SUSPECT,
        "sides": [(r["variant"], wording.count(r["members"])) for r in rows if r["kind"] in ("control", "primary")],
        "trend": _trend([r for r in rows if r["kind"] == "novelty"]),
        "novelty": [(r["variant"], r["verdict"]) for r in rows if r["kind"] == "trend"],
        "blocks": [
            {"title": title, "heads": HEADS, "lines": [_line(r) for r in found]}
            for kind, title in BLOCKS.items()
            if (found := [r for r in rows if r["kind"] == kind])
        ],
        "segments": _segments([r for r in rows if r["kind"] == "segment"]),
    }


def _tone(verdict: str) -> str:
    """The tag's colour: good to ship, bad not to ship or to believe, else plain."""
    bad = verdict.startswith(("don't ship", "invalid"))
    return "flag" if bad else "yes" if verdict.startswith("ship") else ""


def _trend(rows: Sequence[Row]) -> Plot | None:
    if not rows:
        return None
    ordered = sorted(rows, key=lambda r: (r["variant"], r["day"]))
    points = [
        {"day": r["day"], "variant": r["variant"], "value": r["difference"], "lower": r["lower"], "upper": r["upper"]}
        for r in ordered
    ]
    cells = [(r["variant"], str(r["day"]), _figure(r["difference"]), _range(r["lower"], r["upper"])) for r in ordered]
    caption = f"Difference in {wording.named(ordered[0]['metric'])} by day since exposure, with 95% intervals"
    return Plot("trend", caption, points, ("variant", "day", "difference", "95% interval"), cells)


def _segments(rows: Sequence[Row]) -> Plot | None:
    known = [r for r in rows if r["relative"] is not None and r["relative_lower"] is not None]
    if not known:
        return None
    names = [r["segment"].replace("=", " ") for r in known]
    points = [
        {"label": f"{name}, {r['variant']}", "value": r["relative"], "lower": r["relative_lower"],
         "upper": r["relative_upper"], "strong": r["verdict"] in ("better", "worse")}
        for name, r in zip(names, known, strict=True)
    ]  # fmt: skip
    cells = [
        (name, r["variant"], wording.count(r["members"]), wording.signed_percent(r["relative"]),
         _percents(r["relative_lower"], r["relative_upper"]), _p(r["adjusted_p"]), r["verdict"])
        for name, r in zip(names, known, strict=True)
    ]  # fmt: skip
    heads = ("segment", "variant", "members", "difference", "95% interval", "adjusted p", "verdict")
    return Plot(
        "intervals", "Difference in the deciding metric within segments, relative to control", points, heads, cells
    )


def _line(row: Row) -> tuple[str, ...]:
    return (
        wording.named(row["metric"]),
        row["variant"],
        wording.count(row["members"]),
        _figure(row["control_mean"]),
        _figure(row["mean"]),
        wording.signed_percent(row["relative"]) if row["relative"] is not None else _figure(row["difference"]),
        _percents(row["relative_lower"], row["relative_upper"])
        if row["relative_lower"] is not None
        else _range(row["lower"], row["upper"]),
        _range(row["sequential_lower"], row["sequential_upper"]),
        _p(row["adjusted_p"]),
        row["verdict"] + (f" ({row['correction']})" if row["correction"] else ""),
    )


def _figure(value: float | None) -> str:
    return wording.NOTHING if value is None else f"{value:.4g}".replace("-", wording.MINUS)


def _range(lower: float | None, upper: float | None) -> str:
    return wording.NOTHING if lower is None or upper is None else f"{_figure(lower)} to {_figure(upper)}"


def _percents(lower: float | None, upper: float | None) -> str:
    if lower is None or upper is None:
        return wording.NOTHING
    return f"{wording.signed_percent(lower)} to {wording.signed_percent(upper)}"


def _p(value: float | None) -> str:
    return wording.NOTHING if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"
