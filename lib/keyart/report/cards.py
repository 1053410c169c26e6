"""Cards of a release as markdown: what policy and models are made of, do, infer, may not do, and where they fail.

A model card after Mitchell et al. 2019; the policy card says the same of what is served. Both are made from the tables.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keyart.report import calibration, launches, wording
from keyart.report.facts import Facts, Row

__all__ = ["card_files", "conduct", "known_faults", "model_card", "policy_card", "segments"]

ALL = "*"
OWN = "user"
ABOUT = {
    "look_entropy": "variety of looks that a member sees, 0 to 1",
    "genre_entropy": "variety of genres that a member sees, 0 to 1",
    "look_drift": "how far a member's looks move within the days, 0 to 1",
    "genre_drift": "how far a member's genres move within the days, 0 to 1",
    "small_roles": "of pictures of known people, the share that shows small roles only",
    "abandonment": "share of takes left within the first part of the film",
    "take_fraction": "takes per decision",
    "value": "take x quality per decision",
    "swap_rate": "share of decisions that show another artwork than the member saw before",
    "calibration": "observed over promised gain of members' own artwork; 1 is honest",
    "gini": "inequality of exposure over artworks, 0 all alike",
    "coverage": "share of artworks with at least 1% of their title's exposure",
    "look_variety": "variety of looks over the catalogue's exposure, 0 to 1",
    "look_spread": "how different two shown pictures are, over even exposure",
    "outlier_share": "exposure of the most unusual tenth of pictures, over a tenth",
    "alike_scores": "share of artworks that the model cannot tell from their title's best",
    "alike_share": "share of titles whose leading picture has a near twin",
    "niche_exposure": "share of decisions that show niche titles",
    "niche_takes": "share of takes that go to niche titles",
    "prominence": "screen time of the people that pictures show, over their title's lead",
    "niche_creator_exposure": "share of decisions that show titles of niche creators",
    "niche_creator_takes": "share of takes that go to niche creators",
    "creator_gini": "inequality of takes over creators, 0 all alike",
    "representation": "share of the evidence over share of the audience",
}
BY_SEGMENT = ("value", "take_fraction", "abandonment", "small_roles", "look_entropy", "swap_rate", "calibration")
INFERRED = (
    "the mix of genres a member engages with, from plays, stops and searches that name a genre",
    "factors of taste that have no name, from the titles they watched (ALS)",
    "the region they are mostly in, as the logs say it",
    "whether the profile is a kids' profile, as the logs say it: such profiles are never personalised",
)
NOT_INFERRED = (
    "Age, gender, origin, faith, health, orientation and politics are neither read nor inferred, and no sentence to "
    "members names them. What someone watches can still be related to who they are: the measures by segment are there "
    "to see it."
)


def card_files(facts: Facts) -> dict[str, str]:
    """Markdown by file name in the site; none without a policy."""
    if facts.policy is None:
        return {}
    safe = re.sub(r"[^A-Za-z0-9._-]", "-", facts.policy["policy_id"])
    return {f"cards/policy-{safe}.md": policy_card(facts), f"cards/model-{safe}.md": model_card(facts)}


def policy_card(facts: Facts) -> str:
    """What is served, to whom, with which effect and within which limits."""
    assert facts.policy is not None
    policy, spec = facts.policy, _json(facts.policy["spec"])
    limits = [str(limit) for limit in spec.get("limits", ())]
    limits += [f"{row['measure']} {row['limit']}: {_kept(row)}" for row in _own(facts) if row["limit"]]
    costs = [row for row in facts.measures if row["behaviour"] in ("limits", "gate")]
    return _page(
        f"Policy {policy['policy_id']}",
        [
            ("What it is", _pairs({"kind": policy["kind"], "made": wording.moment(policy["created_at"]),
                                   "explores": json.dumps(spec.get("exploration", {}), sort_keys=True),
                                   "parent": policy["parent_policy_id"] or "none"})),
            ("Data used", _data(facts)),
            ("What is inferred about members", [*_bullets(INFERRED), "", NOT_INFERRED]),
            ("What it is worth", _evidence(facts)),
            ("What it does", _table(("measure", "value", "95% interval", "as logged", "at random", "limit"),
                                    [_cells(line) for line in conduct(facts)])),
            ("By segment", _segment_table(facts)),
            ("New titles and artworks", _pairs(dict(launches.told(facts.measures)))
                                        or ["Nothing was launched within the log, or too late to tell."]),
            ("Limits", _bullets(limits)),
            ("What limits and exploration cost",
             _bullets(f"{wording.named(r['measure'])}: {_number(r['value'])}" for r in costs)
             or ["No limit was set that costs anything."]),
            ("Experiments", _bullets(f"{r['name']}, {r['variant']}: {r['verdict']}" for r in facts.experiments
                                     if r["kind"] == "primary") or ["None yet: the figures above are from logs."]),
            ("Known faults", _bullets(known_faults(facts))),
        ],
    )  # fmt: skip


def model_card(facts: Facts) -> str:
    """The models behind the policy."""
    assert facts.policy is not None
    models = _json(facts.policy["models"])
    named = {key: value for key, value in models.items() if isinstance(value, dict)}
    return _page(
        f"Models of policy {facts.policy['policy_id']}",
        [
            ("Models", _table(("model", "registered as", "version", "run"),
                              [(key, v.get("name"), v.get("version"), v.get("run_id")) for key, v in named.items()])),
            ("What they answer", _bullets((
                "taste: which titles a member is near to, and their mix of genres",
                "response: how much more or less a picture brings than its title's average, by region and by member",
            ))),
            ("Not meant for", _bullets((
                "recommending titles: what a title is worth to a member is taken as given",
                "telling anything about a person but which picture they respond to",
            ))),
            ("Data used", _data(facts)),
            ("What is inferred about members", [*_bullets(INFERRED), "", NOT_INFERRED]),
            ("How right they are", _evidence(facts)),
            ("Calibration on later days", _came_true(facts)),
            ("By segment", _segment_table(facts)),
            ("Known faults", _bullets(known_faults(facts))),
        ],
    )  # fmt: skip


def conduct(facts: Facts) -> list[dict[str, Any]]:
    """Measures of the whole audience: each member's own artwork beside the log and chance."""
    found = {(r["measure"], r["behaviour"]): r for r in facts.measures if r["segment"] == ALL}
    return [
        {
            "name": wording.named(name),
            "about": about,
            "value": _number(own["value"]),
            "interval": _interval(own),
            "logged": _number(found.get((name, "logged"), {}).get("value")),
            "uniform": _number(found.get((name, "uniform"), {}).get("value")),
            "limit": f"{own['limit']}: {_kept(own)}" if own["limit"] else wording.NOTHING,
        }
        for name, about in ABOUT.items()
        if (own := found.get((name, OWN))) is not None
    ]


def segments(facts: Facts) -> dict[str, Any]:
    """Measures by segment of each member's own artwork, with intervals."""
    found = {(r["segment"], r["measure"]): r for r in facts.measures if r["behaviour"] == OWN}
    names = [name for name in BY_SEGMENT if any(measure == name for _, measure in found)]
    rows = sorted({segment for segment, measure in found if "=" in segment and measure in names})
    lines = [
        {"name": _words(row), "cells": [_with_interval(found.get((row, name))) for name in names]} for row in rows
    ]  # fmt: skip
    return {"heads": [wording.named(name) for name in names], "lines": lines}


def known_faults(facts: Facts) -> list[str]:
    """What a reader should hold against the figures, as far as the tables tell."""
    outside = [row for row in _own(facts) if row["within"] is False]
    faults = [
        f"outside its limit: {wording.named(r['measure'])} of {r['segment']} is {_number(r['value'])}, not {r['limit']}"
        for r in outside
    ]
    refused: dict[str, set[str]] = {}
    for row in facts.evaluations:
        if row["verdict"] != "ok":
            refused.setdefault(row["slice"], set()).add(row["verdict"].split(":")[0])
    parts: dict[str, list[str]] = {}
    for part, reasons in sorted(refused.items()):
        parts.setdefault("; ".join(sorted(reasons)), []).append("all together" if part == ALL else _words(part))
    faults += [f"no estimate for {', '.join(names)}: {reasons}" for reasons, names in parts.items()]
    measured = {row["measure"] for row in facts.measures}
    if not facts.evaluations:
        faults.append("it was not evaluated yet")
    if not measured:
        faults.append("what it does to members and catalogue was not measured yet (measure-policy)")
    elif "small_roles" not in measured:
        faults.append("people in the pictures are not told apart, so that cast prominence is not measured")
    if measured and "niche_creator_exposure" not in measured:
        faults.append("creators of titles are not in the catalogue, so that their exposure is not measured")
    faults += calibration.faults(facts.calibration)
    for row in (r for r in facts.measures if r["measure"] == "calibration" and r["segment"] == ALL):
        if row["upper"] is not None and row["upper"] < 1:
            faults.append(f"gains are promised too large: observed over promised is {_with_interval(row)}")
    faults.append(
        "values from logs are estimates of single decisions; titles that steal from each other are not in them"
    )
    faults.append(f"groups of fewer than {facts.smallest_cell} members are folded into the whole and have no figures")
    return faults


def _words(segment: str) -> str:
    return segment.replace("=", " ")


def _own(facts: Facts) -> list[Row]:
    return [r for r in facts.measures if r["behaviour"] == OWN or r["measure"] == "representation"]


def _kept(row: Row) -> str:
    return "kept" if row["within"] else "not kept"


def _data(facts: Facts) -> list[str]:
    assert facts.policy is not None
    lines = [f"table {name}, Delta version {v}" for name, v in _json(facts.policy["data_versions"]).items()]
    if facts.decisions:
        row = facts.decisions
        days = f"{wording.day(row['first'])} to {wording.day(row['last'])}"
        lines.append(f"{wording.count(row['n'])} decisions with {wording.count(row['takes'])} takes, {days}")
    if facts.audience:
        lines.append(f"{wording.count(facts.audience['members'])} members, by keyed hash; no names or addresses")
    return _bullets(lines)


def _evidence(facts: Facts) -> list[str]:
    rows = [
        r for r in facts.evaluations
        if (r["target"], r["baseline"], r["metric"], r["estimator"]) == (OWN, "uniform", "reward", "dr")
    ]  # fmt: skip
    if not rows:
        return ["Not evaluated yet."]
    table = [
        (r["slice"], wording.signed_percent(r["lift"]), _span(r["lift_lower"], r["lift_upper"]), wording.count(r["n"]),
         "yes" if r["claim"] else "no", r["verdict"])
        for r in rows
    ]  # fmt: skip
    heads = ("slice", "lift over random artwork", "95% interval", "decisions", "may be claimed", "verdict")
    return _table(heads, table)


def _came_true(facts: Facts) -> list[str]:
    """The charts of the policy page as tables."""
    lines: list[str] = []
    for shown in calibration.plots_of(facts.calibration).values():
        lines += [f"{shown.caption}.", "", *_table(shown.heads, shown.cells), ""]
    return lines[:-1] or ["The model kept none: it was trained by an older keyart, or no day was left to judge it."]


def _span(lower: float | None, upper: float | None) -> str:
    if lower is None or upper is None:
        return wording.NOTHING
    return f"{wording.signed_percent(lower)} to {wording.signed_percent(upper)}"


def _segment_table(facts: Facts) -> list[str]:
    found = segments(facts)
    if not found["lines"]:
        return ["No segment was measured."]
    return _table(("segment", *found["heads"]), [(line["name"], *line["cells"]) for line in found["lines"]])


def _cells(line: Mapping[str, str]) -> tuple[str, ...]:
    what = f"{line['name']} ({line['about']})"
    return (what, line["value"], line["interval"], line["logged"], line["uniform"], line["limit"])


def _number(value: float | None) -> str:
    return wording.NOTHING if value is None else f"{value:.3g}".replace("-", wording.MINUS)


def _interval(row: Row) -> str:
    return wording.NOTHING if row["lower"] is None else f"{_number(row['lower'])} to {_number(row['upper'])}"


def _with_interval(row: Row | None) -> str:
    if row is None:
        return wording.NOTHING
    return _number(row["value"]) + ("" if row["lower"] is None else f" ({_interval(row)})")


def _json(text: str) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _page(title: str, parts: Sequence[tuple[str, Sequence[str]]]) -> str:
    lines = [f"# {_safe(title)}", ""]
    for head, body in parts:
        lines += [f"## {head}", "", *(body or ["Nothing is known."]), ""]
    return "\n".join(lines)


def _bullets(lines: Iterable[str]) -> list[str]:
    return [f"- {_safe(line)}" for line in lines]


def _pairs(values: Mapping[str, Any]) -> list[str]:
    return _bullets(f"{key}: {value}" for key, value in values.items())


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    lines = ["| " + " | ".join(_safe(cell) for cell in row) + " |" for row in rows]
    return [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *lines] if lines else []


def _safe(value: Any) -> str:
    """What the tables hold is text to markdown, never markup."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", str(value).replace("\n", " "))
