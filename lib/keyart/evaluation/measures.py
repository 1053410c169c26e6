"""From a policy's figures to rows of policy_measures: values with intervals, gaps between segments, limits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, nan
from typing import Any

import numpy as np

from keyart.errors import ConfigError
from keyart.evaluation import concentration
from keyart.evaluation.estimators import Moments
from keyart.evaluation.launches import Launch, launch_figures
from keyart.evaluation.responsibility import MEASURES, calibration, entropy, gap, measure

__all__ = [
    "CATALOGUE_MEASURES",
    "GAPS",
    "LAUNCH_MEASURES",
    "Findings",
    "Limit",
    "Pictures",
    "breaches",
    "limits_of",
    "measure_rows",
]

ALL = "*"
GAPS = ("small_roles", "prominence", "abandonment", "take_fraction", "value")
"""Measures whose largest difference between segments is given too."""
CATALOGUE_MEASURES = {
    "gini": "inequality of exposure over artworks, 0 all alike",
    "coverage": "share of artworks that get at least 1% of their title's exposure",
    "look_variety": "variety of looks over the whole catalogue's exposure, 0 to 1",
    "look_spread": "how different two pictures met by chance are, over even exposure",
    "outlier_share": "exposure of the most unusual tenth of pictures, over a tenth",
    "alike_share": "share of titles whose leading picture has a near twin of another title",
    "alike_scores": "share of artworks that the model cannot tell from their title's best",
    "niche_exposure": "share of decisions that show niche titles",
    "niche_takes": "share of takes that go to niche titles",
    "niche_creator_exposure": "share of decisions that show titles of niche creators",
    "niche_creator_takes": "share of takes that go to niche creators",
    "creator_gini": "inequality of takes over creators, 0 all alike",
}
LAUNCH_MEASURES = {
    "launches": "new titles, and new artworks of old ones, that have lived long enough to be judged",
    "cold_days": "days from a launch until it is served at 90% of its eventual value, the median",
    "cold_gain_days": "days from a launch until 90% of its eventual gain over an even draw, the median",
    "cold_value": "value some days after the launch, over the eventual one",
}
"""Of all of the log and of whatever served, not of the days and the policy that are judged."""


@dataclass(frozen=True)
class Findings:
    """What the pass brought back, by behaviour: moments by segment, exposure of artworks (A,), takes by title (T,)."""

    moments: Mapping[tuple[str, str], Moments]
    exposure: Mapping[str, np.ndarray]
    takes: Mapping[str, np.ndarray]
    gains: Mapping[str, Moments]  # of overrides, by segment
    members: Mapping[str, int]  # of the decisions, by segment
    audience: Mapping[str, int]  # of all members, by region
    alike: float = nan  # share of artworks that score like their title's best
    launches: Sequence[Launch] = ()  # of the whole log


@dataclass(frozen=True)
class Pictures:
    """The catalogue's side: features (A, F), title (A,) and look (A,) of each artwork; shares (T, C) of creators in
    titles, no columns where nobody says who they are."""

    features: np.ndarray
    title: np.ndarray
    look: np.ndarray
    creators: np.ndarray


@dataclass(frozen=True)
class Limit:
    """Lowest and highest value allowed."""

    low: float
    high: float
    text: str


def limits_of(said: Mapping[str, str]) -> dict[str, Limit]:
    """From settings.responsibility.limits; ConfigError names the measure that is unknown or cannot be read."""
    known = {*MEASURES, *CATALOGUE_MEASURES, *(f"{name}_gap" for name in GAPS), "calibration", "representation"}
    found = {}
    for name, text in said.items():
        low, dots, high = text.partition("..")
        try:
            limit = Limit(float(low or -inf), float(high or inf), text)
        except ValueError:
            dots = ""
        if name not in known or not dots:
            raise ConfigError(f"responsibility.limits.{name} is {text!r}; write low..high of one of {sorted(known)}")
        found[name] = limit
    return found


def measure_rows(
    found: Findings, pictures: Pictures, limits: Mapping[str, Limit], niche_share: float, smallest: int
) -> list[dict[str, Any]]:
    """All rows but policy and days; segments of fewer than ``smallest`` members are folded into the whole."""
    rows = [*_by_segment(found, smallest), *_gaps(found, smallest), *_gains(found, smallest)]
    rows.append(_row("user", "alike_scores", ALL, (found.alike,)))
    rows += [*_catalogue(found, pictures, niche_share), *_representation(found, smallest)]
    rows += [
        _row("logged", said["measure"], said["segment"], said["values"]) for said in launch_figures(found.launches)
    ]
    return [_judged(row, limits.get(row["measure"])) for row in rows if isfinite(row["value"])]


def breaches(rows: list[dict[str, Any]], behaviour: str = "user") -> list[str]:
    """What lies outside its limit, in words: for gates and for the one who runs the job."""
    return [
        f"{row['measure']}{'' if row['segment'] == ALL else ' of ' + row['segment']} is {row['value']:.3g}, allowed is "
        f"{row['limit']}"
        for row in rows
        if row["within"] is False and (row["behaviour"] == behaviour or row["measure"] == "representation")
    ]


def _judged(row: dict[str, Any], limit: Limit | None) -> dict[str, Any]:
    inside = None if limit is None else bool(limit.low <= row["value"] <= limit.high)
    ends = {key: row.get(key) if isfinite(row.get(key) or 0.0) else None for key in ("lower", "upper")}
    return {"members": 0, **row, **ends, "limit": limit.text if limit else None, "within": inside}


def _row(behaviour: str, name: str, segment: str, values: tuple[float, ...], members: int = 0) -> dict[str, Any]:
    value, lower, upper = values if len(values) == 3 else (values[0], inf, inf)
    return {
        "behaviour": behaviour,
        "measure": name,
        "segment": segment,
        # Ten significant digits, so that sums added in another order give the same row.
        "value": float(f"{value:.10g}"),
        "lower": float(f"{lower:.10g}"),
        "upper": float(f"{upper:.10g}"),
        "members": members,
    }


def _by_segment(found: Findings, smallest: int) -> Iterator[dict[str, Any]]:
    for (behaviour, segment), moments in sorted(found.moments.items()):
        if segment == ALL or moments.members >= smallest:
            for name in MEASURES:
                yield _row(behaviour, name, segment, measure(moments, name), moments.members)


def _gaps(found: Findings, smallest: int) -> Iterator[dict[str, Any]]:
    groups: dict[tuple[str, str], dict[str, Moments]] = {}
    for (behaviour, segment), moments in found.moments.items():
        dimension, equals, _ = segment.partition("=")
        if equals and moments.members >= smallest:
            groups.setdefault((behaviour, dimension), {})[segment] = moments
    for (behaviour, dimension), group in sorted(groups.items()):
        for name in GAPS:
            values = gap(group, name)
            if values is not None:
                yield _row(behaviour, f"{name}_gap", dimension, values, sum(m.members for m in group.values()))


def _gains(found: Findings, smallest: int) -> Iterator[dict[str, Any]]:
    for segment, moments in sorted(found.gains.items()):
        if segment == ALL or moments.members >= smallest:
            yield _row("user", "calibration", segment, calibration(moments), moments.members)


def _catalogue(found: Findings, pictures: Pictures, niche_share: float) -> Iterator[dict[str, Any]]:
    titles = len(found.takes["logged"])
    niche = concentration.niche_titles(found.takes["logged"], niche_share)
    looks = int(pictures.look.max(initial=0)) + 1
    # Only what could be shown in these days counts, not what was withdrawn before.
    there = found.exposure["uniform"] > 0
    pictures = Pictures(pictures.features[there], pictures.title[there], pictures.look[there], pictures.creators)
    niche_creators = concentration.niche_titles(found.takes["logged"] @ pictures.creators, niche_share)
    artworks = np.bincount(pictures.look, minlength=looks)
    for behaviour, exposure in sorted(found.exposure.items()):
        exposure, takes = exposure[there], found.takes[behaviour]
        shown = np.bincount(pictures.title, exposure, minlength=titles)
        by_look = np.bincount(pictures.look, exposure, minlength=looks)
        values = {
            "gini": concentration.gini(exposure),
            "coverage": concentration.coverage(exposure, pictures.title),
            "look_variety": float(entropy(by_look[artworks > 0][None, :])[0]),
            "look_spread": concentration.spread(pictures.features, exposure),
            "outlier_share": concentration.outlier_share(pictures.features, exposure),
            "alike_share": concentration.alike_share(pictures.features, pictures.title, exposure),
            "niche_exposure": _part(shown, niche),
            "niche_takes": _part(takes, niche),
            "niche_creator_exposure": _part(shown @ pictures.creators, niche_creators),
            "niche_creator_takes": _part(takes @ pictures.creators, niche_creators),
            "creator_gini": concentration.gini(takes @ pictures.creators) if pictures.creators.size else nan,
        }
        for name, value in values.items():
            yield _row(behaviour, name, ALL, (value,))


def _part(amounts: np.ndarray, of: np.ndarray) -> float:
    """What of the whole belongs to these; NaN of nothing."""
    return float(amounts[of].sum() / amounts.sum()) if amounts.sum() else nan


def _representation(found: Findings, smallest: int) -> Iterator[dict[str, Any]]:
    """Share of a region among the members that evidence comes from, over its share of the audience."""
    inside = {name: n for name, n in found.members.items() if name.startswith("region=")}
    total, audience = sum(inside.values()), sum(found.audience.values())
    for segment, n in sorted(inside.items()):
        known = found.audience.get(segment.removeprefix("region="), 0)
        if n >= smallest and known:
            yield _row("logged", "representation", segment, (n / total / (known / audience),), n)
