"""What the policy is and what is known about it: off-policy estimates, calibration, what regions favour, lineage."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from keyart.evaluation.promotion import told
from keyart.policy.champions import standing
from keyart.policy.contexts import DAY_PART, DEVICE
from keyart.report import calibration, cards, evidence, launches, wording
from keyart.report.catalogue import Catalogue
from keyart.report.facts import Row
from keyart.report.plots import Plot
from keyart.vision.words import phrase

__all__ = ["policy_page"]

NORMAL = 1.96
"""Standard deviations from a weight to the ends of its interval."""
TRIES = 8
"""Tries for champion that the page tells of."""
FEATURES = 16
"""Features of the map of what regions favour: those on which regions differ most, or that matter most everywhere."""


ON_SCALE = (
    "look_entropy", "genre_entropy", "look_drift", "genre_drift", "swap_rate", "small_roles", "abandonment",
    "gini", "coverage", "look_variety", "alike_share", "niche_exposure", "niche_takes",
)  # fmt: skip
"""Measures of conduct between 0 and 1, a member's first, then the catalogue's."""
BEHAVIOURS = {cards.OWN: "each member's own", "logged": "as logged", "uniform": "at random"}


def policy_page(catalogue: Catalogue) -> dict[str, Any]:
    """What templates/policy.html shows."""
    facts = catalogue.facts
    policy = facts.policy
    return {
        "policy": policy,
        "created": wording.moment(policy["created_at"]) if policy else None,
        "spec": flat(policy["spec"]) if policy else [],
        "models": flat(policy["models"]) if policy else [],
        "data_versions": flat(policy["data_versions"]) if policy else [],
        "champion": (standing(facts.promotions) or (None,))[-1],
        "tries": _tries(facts.promotions),
        "headline": evidence.headline(facts),
        "ladder": evidence.ladder(facts),
        "blocks": evidence.table(facts),
        "slices": evidence.slices(facts),
        "favours": _favours(catalogue),
        "by_context": _by_context(catalogue),
        "calibration": _calibration(facts.measures),
        "came_true": list(calibration.plots_of(facts.calibration).values()),
        "launches": launches.told(facts.measures),
        "launch_curve": launches.curve(facts.measures),
        "costs": [
            (wording.named(r["measure"]), f"{r['value']:.3g}") for r in facts.measures if r["behaviour"] == "limits"
        ],
        "decisions": _decisions(facts.decisions),
        "conduct": cards.conduct(facts),
        "beside": _beside(facts.measures),
        "segments": cards.segments(facts),
        "faults": cards.known_faults(facts) if policy else [],
        "cards": sorted(cards.card_files(facts)),
    }


def _tries(promotions: Sequence[Row]) -> list[tuple[str, str, str]]:
    """When, what was decided and why, newest first."""
    newest = sorted(promotions, key=lambda row: -row["number"])[:TRIES]
    return [(wording.moment(row["at"]), row["action"], told(row)) for row in newest]


def flat(text: str) -> list[tuple[str, str]]:
    """A JSON object as (path, value) lines in its own order; text that is no JSON object is one line.

    >>> flat('{"limits": {"changes": 2}, "levels": ["user", "region"]}')
    [('limits · changes', '2'), ('levels', 'user, region')]
    """
    try:
        tree = json.loads(text)
    except ValueError:
        tree = text
    if not isinstance(tree, dict):
        return [("", str(tree))] if tree not in (None, "") else []
    return list(_lines(tree, ()))


def _lines(tree: Mapping[str, Any], path: tuple[str, ...]):
    for key, value in tree.items():
        here = (*path, wording.named(str(key)))
        if isinstance(value, dict) and path and not any(isinstance(item, dict | list) for item in value.values()):
            yield " · ".join(here), ", ".join(f"{name} {item}" for name, item in value.items())
        elif isinstance(value, dict):
            yield from _lines(value, here)
        elif isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
            yield " · ".join(here), ", ".join(map(str, value))
        else:
            yield " · ".join(here), value if isinstance(value, str) else json.dumps(value)


def _favours(catalogue: Catalogue) -> Plot | None:
    """Weights of features by region, with what their intervals add and take away where that is known."""
    rows = [r for r in catalogue.facts.weights if r["level"] == "region"]
    regions = [region.name for region in catalogue.regions if any(r["cell"] == region.name for r in rows)]
    caption = "Weight of each feature by region: change in log reward a standard deviation of the feature"
    return _weights(rows, regions, caption)


def _by_context(catalogue: Catalogue) -> Plot | None:
    """What devices and parts of the day add to these weights, where the model claims that they differ."""
    rows = [r for r in catalogue.facts.weights if r["level"] in (DEVICE, DAY_PART)]
    cells = [cell for _, cell in sorted({(r["level"] != DEVICE, r["cell"]) for r in rows})]
    caption = "What a device or a part of the day adds to each feature's weight, against the average decision"
    return _weights(rows, cells, caption)


def _weights(rows: Sequence[Row], regions: Sequence[str], caption: str) -> Plot | None:
    weights = {(r["cell"], r["feature"]): r["weight"] for r in rows}
    margins = {(r["cell"], r["feature"]): NORMAL * r["sd"] for r in rows if r.get("sd") is not None}
    if not regions:
        return None
    found = {
        name: [weights.get((region, name), 0.0) for region in regions] for name in sorted({name for _, name in weights})
    }
    order = sorted(found, key=lambda name: (-max(map(abs, found[name])) - (max(found[name]) - min(found[name])), name))
    points, cells = [], []
    for name in order[:FEATURES]:
        texts = []
        for region, value in zip(regions, found[name], strict=True):
            margin = margins.get((region, name))
            texts.append(_weight(value, margin))
            points.append({"region": region, "feature": phrase(name), "weight": round(value, 5), "text": texts[-1]})
            points[-1]["unsure"] = margin is not None and abs(value) <= margin
        cells.append((phrase(name), *texts))
    if margins:
        caption += "; ± reaches 1.96 standard deviations, about a 95% interval; brackets mean that 0 is within"
    return Plot("weights", caption, points, ("feature", *regions), cells)


def _weight(value: float, margin: float | None) -> str:
    """A weight, and in brackets where its interval holds 0.

    >>> _weight(0.2, None), _weight(0.2, 0.05), _weight(0.01, 0.05)
    ('+0.200', '+0.200 ± 0.050', '(+0.010 ± 0.050)')
    """
    text = f"{value:+.3f}".replace("-", wording.MINUS)
    if margin is None:
        return text
    return f"({text} ± {margin:.3f})" if abs(value) <= margin else f"{text} ± {margin:.3f}"


def _beside(measures: Sequence[Row]) -> Plot | None:
    """Measures that lie between 0 and 1: each member's own artwork, the log and chance on one line."""
    found = {(r["measure"], r["behaviour"]): r["value"] for r in measures if r["segment"] == cards.ALL}
    points = [
        {"label": wording.named(name), "value": round(found[name, behaviour], 4), "who": who}
        for name in ON_SCALE
        for behaviour, who in BEHAVIOURS.items()
        if (name, cards.OWN) in found and found.get((name, behaviour)) is not None
    ]
    return (
        Plot("beside", "Each member's own artwork beside the log and chance, from 0 to 1", points) if points else None
    )


def _calibration(measures: Sequence[Row]) -> Plot | None:
    """Observed over promised gain, for all and by segment; 1 is honest."""
    rows = [r for r in measures if r["measure"] == "calibration" and r["lower"] is not None]
    if not rows:
        return None
    rows = sorted(rows, key=lambda r: (r["segment"] != "*", r["segment"]))
    names = ["all members" if r["segment"] == "*" else r["segment"].replace("=", " ") for r in rows]
    points = [
        {"label": name, "value": r["value"], "lower": r["lower"], "upper": r["upper"], "strong": r["segment"] == "*"}
        for name, r in zip(names, rows, strict=True)
    ]
    cells = [
        (
            name,
            f"{r['value']:.2f}",
            f"{r['lower']:.2f} to {r['upper']:.2f}".replace("-", wording.MINUS),
            wording.count(r["members"]),
        )
        for name, r in zip(names, rows, strict=True)
    ]
    caption = "Gain observed in the logs over gain promised by the model; 1 is honest"
    return Plot("ratios", caption, points, ("who", "observed over promised", "95% interval", "members"), cells)


def _ratio(value: float) -> str:
    return f"{value:.2f}".replace("-", wording.MINUS)


def _decisions(row: Row | None) -> list[tuple[str, str]]:
    if row is None:
        return []
    return [
        ("decisions", wording.count(row["n"])),
        ("takes", wording.count(row["takes"])),
        ("take fraction", wording.percent(row["takes"] / row["n"], 2) if row["n"] else wording.NOTHING),
        ("first day", wording.day(row["first"])),
        ("last day", wording.day(row["last"])),
    ]
