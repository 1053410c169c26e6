"""What the off-policy evaluation says, as rows that pages show: the headline, targets by estimator, slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keyart.report import wording
from keyart.report.charts import Estimate, IntervalChart, interval_chart
from keyart.report.facts import Facts, Row

__all__ = ["Headline", "estimators", "headline", "ladder", "slices", "table"]

TARGETS = {
    "uniform": "any artwork, at random",
    "logged": "what was served",
    "global": "one best artwork for everyone",
    "region": "the best artwork in each region",
    "context": "the best artwork in each region on the device and at that time of day",
    "segment": "the best artwork for each taste segment of a region",
    "user": "the best artwork for each member",
    "served": "the same, with the policy's exploration",
}
ESTIMATORS = {
    "dr": "doubly robust",
    "snips": "self-normalised inverse propensity",
    "ips": "inverse propensity",
    "sndr": "doubly robust, self-normalised",
    "switch": "doubly robust, the model where weights are large",
    "clipped": "inverse propensity, clipped",
    "replay": "decisions that agree",
    "dm": "the model alone",
    "page-items": "page as the sum of its titles",
    "page-additive": "page where titles' effects add up",
    "page-ips": "page as a whole",
    "page-snips": "page as a whole, self-normalised",
}
METRICS = {"reward": "reward", "take": "take rate", "page reward": "reward a page", "page take": "takes a page"}
BASELINE = "uniform"
ALL = "*"


@dataclass(frozen=True)
class Headline:
    """The figure a run is known by; ``state`` is claimed, unclaimed or none."""

    state: str
    lift: str
    lower: str
    upper: str
    sentence: str
    claim: str
    figures: tuple[tuple[str, str], ...] = ()


def estimators(facts: Facts) -> list[str]:
    """Those present, the most trusted first."""
    found = {row["estimator"] for row in facts.evaluations}
    return [name for name in ESTIMATORS if name in found] + sorted(found - set(ESTIMATORS))


def _find(facts: Facts, **wanted: str) -> list[Row]:
    return [row for row in facts.evaluations if all(row[key] == value for key, value in wanted.items())]


def _best(facts: Facts, **wanted: str) -> Row | None:
    """The row of the most trusted estimator that says something, else of the most trusted one."""
    rows = sorted(_find(facts, **wanted), key=lambda row: _place(row["estimator"], ESTIMATORS))
    speaking = [row for row in rows if row["lift"] is not None and row["verdict"] == "ok"]
    return next(iter(speaking or rows), None)


def _place(name: str, known: dict[str, str]) -> tuple[int, str]:
    return (list(known).index(name) if name in known else len(known), name)


def headline(facts: Facts) -> Headline:
    """What personal artwork is worth against a random one, and whether that may be claimed."""
    row = _best(facts, target="user", baseline=BASELINE, metric="reward", slice=ALL)
    if row is None:
        return Headline("none", "", "", "", "Nothing has been evaluated yet.", _missing(facts))
    method: str = ESTIMATORS.get(row["estimator"]) or row["estimator"]
    figures = (
        ("decisions", wording.count(row["n"])),
        ("members", wording.count(row["members"])),
        ("effective sample", wording.count(row["ess"])),
        ("estimator", method),
        ("days", f"{wording.day(row['from_day'])} up to {wording.day(row['to_day'])}"),
    )
    if row["lift"] is None:
        return Headline("none", "", "", "", "The logs cannot carry an estimate.", _sentence(row["verdict"]), figures)
    lift, lower, upper = (wording.signed_percent(row[key]) for key in ("lift", "lift_lower", "lift_upper"))
    level = f"{100 * facts.claim_level:g}%"
    if row["claim"]:
        state, claim = "claimed", f"A lift may be claimed: the {level} interval lies above zero."
    else:
        why = "" if row["verdict"] == "ok" else f" ({row['verdict']})"
        state, claim = "unclaimed", f"A claim needs the {level} interval to lie above zero; it does not{why}."
    sentence = "in reward when each member's artwork is chosen for them, against any of the title's artworks at random"
    return Headline(state, lift, lower, upper, sentence, claim, figures)


def _missing(facts: Facts) -> str:
    if facts.policy is not None:
        return "The policy is there; run evaluate-policy to learn what it is worth."
    if facts.decisions is not None:
        return "Logs are there; train, assign and evaluate to learn what personal artwork is worth."
    return "Films come first: once members' logs are ingested, this is where the measured lift stands."


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _estimate(row: Row, label: str, strong: bool = False) -> Estimate:
    """A row of a chart of lifts: the lift, its interval or why there is none, and the decisions."""
    lift, lower, upper = row["lift"], row["lift_lower"], row["lift_upper"]
    said = row["verdict"] if lift is None else _range(wording.signed_percent(lower), wording.signed_percent(upper))
    cells = (wording.signed_percent(lift), said, wording.count(row["n"]))
    return Estimate(label, lift, lower, upper, cells, strong)


def _range(lower: str, upper: str) -> str:
    return wording.NOTHING if wording.NOTHING in (lower, upper) else f"{lower} to {upper}"


def ladder(facts: Facts, metric: str = "reward") -> IntervalChart | None:
    """Lift over uniform of each target, from one picture for all to one for each member; None without an evaluation."""
    targets = sorted({row["target"] for row in facts.evaluations}, key=lambda name: _place(name, TARGETS))
    estimates = []
    for target in targets:
        row = None if target == BASELINE else _best(facts, target=target, baseline=BASELINE, metric=metric, slice=ALL)
        if row is not None:
            estimates.append(_estimate(row, TARGETS.get(target, target), strong=target == "user"))
    return interval_chart(estimates) if estimates else None


def slices(facts: Facts, target: str = "user", metric: str = "reward") -> dict[str, IntervalChart]:
    """Lift over uniform within parts of the decisions, one chart a dimension such as region."""
    parts: dict[str, list[str]] = {}
    for name in sorted({row["slice"] for row in _find(facts, target=target, baseline=BASELINE, metric=metric)}):
        dimension, equals, value = name.partition("=")
        if equals:
            parts.setdefault(dimension, []).append(value)
    charts = {}
    for dimension, values in parts.items():
        wanted = [
            (value, _best(facts, target=target, baseline=BASELINE, metric=metric, slice=f"{dimension}={value}"))
            for value in values
        ]
        charts[dimension] = interval_chart([_estimate(row, value) for value, row in wanted if row is not None])
    return charts


def table(facts: Facts) -> list[dict[str, Any]]:
    """Targets by estimator for every metric and baseline over all decisions."""
    blocks = []
    whole = _find(facts, slice=ALL)
    for metric in sorted({row["metric"] for row in whole}, key=lambda name: _place(name, METRICS)):
        for baseline in sorted({row["baseline"] for row in whole}, key=lambda name: _place(name, TARGETS)):
            rows = [row for row in whole if (row["metric"], row["baseline"]) == (metric, baseline)]
            about = TARGETS.get(baseline, "")
            block = {"metric": METRICS.get(metric, metric), "baseline": baseline, "about": about, "rows": _lines(rows)}
            blocks += [block] if rows else []
    return blocks


def _lines(rows: Sequence[Row]) -> list[dict[str, Any]]:
    order = sorted(rows, key=lambda r: (_place(r["target"], TARGETS), _place(r["estimator"], ESTIMATORS)))
    return [
        {
            "target": row["target"],
            "about": TARGETS.get(row["target"], ""),
            "estimator": ESTIMATORS.get(row["estimator"], row["estimator"]),
            "estimate": wording.percent(row["estimate"], 2),
            "interval": _range(wording.percent(row["lower"], 2), wording.percent(row["upper"], 2)),
            "lift": wording.signed_percent(row["lift"]),
            "lift_interval": _range(*(wording.signed_percent(row[key]) for key in ("lift_lower", "lift_upper"))),
            "claim": row["claim"],
            "n": wording.count(row["n"]),
            "ess": wording.count(row["ess"]),
            "max_weight": f"{row['max_weight']:.1f}",
            "verdict": row["verdict"],
            "first": index == 0 or order[index - 1]["target"] != row["target"],
        }
        for index, row in enumerate(order)
    ]
