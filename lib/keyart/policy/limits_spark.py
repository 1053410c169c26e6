"""What the limits of settings.responsibility mean for an assignment: artworks withheld, looks, and what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from keyart.policy.assignment import Overrides
from keyart.policy.limits import kept_by_look, look_of, misleading
from keyart.settings import ResponsibilitySettings
from keyart.tables import Tables

__all__ = ["COSTS", "Limits", "cost_of", "cost_rows", "limits_for", "with_looks", "within_limits"]

NO_LIMIT = 100.0
COSTS = ("members", "overrides", "overrides_kept", "gain", "gain_kept")


@dataclass(frozen=True)
class Limits:
    """Artworks that mislead, and the look (A,) of each artwork where one look's share is limited."""

    most_same_look: float = 1.0
    look: np.ndarray | None = None
    withheld: tuple[str, ...] = ()

    @property
    def said(self) -> tuple[str, ...]:
        """For the policy's row."""
        looks = [f"at most {self.most_same_look:.0%} of a member's titles in one look"] if self.look is not None else []
        return (*looks, *(f"withheld, takes are abandoned: {artwork}" for artwork in self.withheld))


def limits_for(tables: Tables, settings: ResponsibilitySettings, artworks: Sequence[tuple[str, str, int]]) -> Limits:
    """From the settings and, where artworks that mislead are to be withheld, what decisions say of them.

    ``artworks`` are (artwork_id, title_id, rank); a title keeps at least one.
    """
    if settings.most_abandonment >= NO_LIMIT:
        return Limits(settings.most_same_look)
    taken = tables.read_or_empty("decisions").where(F.col("take") == 1)
    sums = [F.count("*").alias("takes"), F.sum(F.col("abandoned").cast("long")).alias("abandoned")]
    rows = {row["artwork_id"]: row for row in taken.groupBy("artwork_id").agg(*sums).collect()}
    known = sorted(artworks)
    takes, abandoned = (
        np.array([rows[a][name] or 0 if a in rows else 0 for a, *_ in known], dtype=np.float64)
        for name in ("takes", "abandoned")
    )
    _, title = np.unique([title for _, title, _ in known], return_inverse=True)
    bad = misleading(takes, abandoned, title, settings.most_abandonment)
    left = np.bincount(title, ~bad)[title] > 0
    return Limits(settings.most_same_look, None, tuple(known[i][0] for i in np.flatnonzero(bad & left)))


def with_looks(tables: Tables, limits: Limits, artwork_ids: np.ndarray) -> Limits:
    """The same with each artwork's look, where that is limited."""
    if limits.most_same_look >= 1:
        return limits
    rows = tables.read("artworks").where("active").select("artwork_id", "moods", "shot_type").collect()
    looks = {row["artwork_id"]: look_of(row["moods"], row["shot_type"]) for row in rows}
    _, look = np.unique([looks[artwork] for artwork in artwork_ids], return_inverse=True)
    return replace(limits, look=look)


def within_limits(found: Overrides, defaults: np.ndarray, limits: Limits) -> Overrides:
    """The overrides that the limits leave, given what members see by default (n, T)."""
    if limits.look is None or not len(found.member):
        return found
    looks = int(limits.look.max()) + 1
    counts = np.zeros((len(defaults), looks))
    np.add.at(counts, (np.repeat(np.arange(len(defaults)), defaults.shape[1]), limits.look[defaults].ravel()), 1)
    new, old = limits.look[found.artwork], limits.look[found.default]
    kept = kept_by_look(found.member, found.gain, new, old, counts, limits.most_same_look)
    return Overrides(found.member[kept], found.title[kept], found.artwork[kept], found.default[kept], found.gain[kept])


def cost_of(members: int, before: Overrides, after: Overrides) -> pa.RecordBatch:
    """One row of sums: members, overrides and expected gain before and after the limits."""
    values = (members, len(before.gain), len(after.gain), before.gain.sum(), after.gain.sum())
    return pa.RecordBatch.from_pydict({name: [float(value)] for name, value in zip(COSTS, values, strict=True)})


def cost_rows(sums: dict[str, float], policy_id: str, withheld: int, day: Any) -> list[dict[str, Any]]:
    """Rows of policy_measures from summed costs: what share of the expected gain, and of overrides, the limits took."""
    gain, overrides = sums["gain"], sums["overrides"]
    values = {
        "gain_lost": 1 - sums["gain_kept"] / gain if gain else 0.0,
        "overrides_lost": 1 - sums["overrides_kept"] / overrides if overrides else 0.0,
        "artworks_withheld": float(withheld),
    }
    always = {"policy_id": policy_id, "behaviour": "limits", "segment": "*", "members": int(sums["members"])}
    none = dict.fromkeys(("lower", "upper", "limit", "within"))
    return [
        {**always, **none, "measure": name, "value": float(f"{value:.10g}"), "from_day": day, "to_day": day}
        for name, value in values.items()
    ]
