"""Members' overrides within the limits of responsibility, and what these cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from keyart.policy.assignment import Overrides
from keyart.policy.limits import kept_by_look

__all__ = ["COSTS", "Limits", "cost_of", "cost_rows", "limit_rows", "within_limits", "worth_of"]

COSTS = ("members", "overrides", "overrides_kept", "gain", "gain_kept", "worth_free", "worth_withheld", "worth")
"""What is summed over members to say what the limits cost; worth is expected reward over a title's average
artwork's."""


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


def worth_of(scores: np.ndarray, defaults: np.ndarray, found: Overrides) -> float:
    """Expected reward of what members see, summed over members x titles, relative to the titles' average artwork.

    ``scores`` (n, A) are logs of it, ``defaults`` (n, T) what the levels show.
    """
    shown = defaults.copy()
    shown[found.member, found.title] = found.artwork
    return float(np.exp(np.take_along_axis(scores, shown, axis=1)).sum())


def cost_of(
    members: int, before: Overrides, after: Overrides, free: float, withheld: float, worth: float
) -> dict[str, float]:
    """COSTS of a batch: members, overrides and expected gain before and after the limits; worth without a limit,
    without the artworks withheld, and with all limits."""
    values = (members, len(before.gain), len(after.gain), before.gain.sum(), after.gain.sum(), free, withheld, worth)
    return {name: float(value) for name, value in zip(COSTS, values, strict=True)}


def cost_rows(sums: Mapping[str, float], policy_id: str, withheld: int, day: date) -> list[dict[str, Any]]:
    """Rows of policy_measures from summed costs: what share of the expected reward each limit took, and all of them, of
    members' own gains and of their overrides."""
    gain, overrides = sums["gain"], sums["overrides"]
    free, without, worth = (sums[name] for name in ("worth_free", "worth_withheld", "worth"))
    values = {
        "value_lost": 1 - worth / free if free else 0.0,
        "value_lost_by_most_abandonment": 1 - without / free if free else 0.0,
        "value_lost_by_most_same_look": 1 - worth / without if without else 0.0,
        "gain_lost": 1 - sums["gain_kept"] / gain if gain else 0.0,
        "overrides_lost": 1 - sums["overrides_kept"] / overrides if overrides else 0.0,
        "artworks_withheld": float(withheld),
    }
    return limit_rows(values, policy_id, day, int(sums["members"]))


def limit_rows(values: Mapping[str, float], policy_id: str, day: date, members: int = 0) -> list[dict[str, Any]]:
    """Rows of policy_measures of what limits and exploration cost, to ten digits."""
    always = {"policy_id": policy_id, "behaviour": "limits", "segment": "*", "members": members}
    none = dict.fromkeys(("lower", "upper", "limit", "within"))
    return [
        {**always, **none, "measure": name, "value": float(f"{value:.10g}"), "from_day": day, "to_day": day}
        for name, value in values.items()
    ]
