"""What is measured of a member, and the metrics made of it: sums over members, and ratios of such sums.

A metric that rests on clicks alone (takes) is there to be looked at; decisions rest on what was watched.
"""

from dataclasses import dataclass

import numpy as np

from keyart.errors import ConfigError

__all__ = ["COLUMNS", "FACTS", "METRICS", "Metric", "metric_named", "place", "unit"]

FACTS = (
    "decisions", "takes", "reward", "minutes", "abandoned", "watched", "sessions", "active_days", "cancels",
    "randomised", "weight", "weighted_reward", "foreign",
)  # fmt: skip
"""Additive figures of a member's day. ``watched`` are minutes from anywhere, ``minutes`` those after takes;
``randomised`` decisions could have gone either way, ``weight`` and ``weighted_reward`` are theirs (see stealing);
``foreign`` decisions were served by a policy that is not the arm's."""

BEFORE = ("decisions", "takes", "reward", "minutes", "abandoned", "watched", "sessions", "active_days")
"""Those that are also summed up before the experiment, for CUPED."""

COLUMNS = (
    "members", *FACTS, "could_return", "returned", "cancelled", "titles", "days", "weighted_totals",
    *(f"before_{fact}" for fact in BEFORE),
)  # fmt: skip
"""Figures of a member, over their days in the experiment: ``returned`` on a later day than the first, ``titles``
different ones taken, ``weighted_totals`` the sum over days of weight x the day's reward."""


@dataclass(frozen=True)
class Metric:
    """Sum of ``top`` over sum of ``bottom``; ``better`` is 1 where more is better, else -1."""

    name: str
    top: str
    bottom: str
    better: int
    about: str
    decides: bool = True  # False for clicks, which no experiment is decided by

    @property
    def covariate(self) -> tuple[str, str] | None:
        """The same metric before the experiment, as (top, bottom), where that is known."""
        if self.top not in BEFORE or self.bottom not in ("members", *BEFORE):
            return None
        return f"before_{self.top}", self.bottom if self.bottom == "members" else f"before_{self.bottom}"


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("reward", "reward", "members", 1, "take x quality, summed over all titles, per member"),
        Metric("minutes", "watched", "members", 1, "minutes watched per member, whatever led there"),
        Metric("takes", "takes", "members", 1, "takes per member", False),
        Metric("take_fraction", "takes", "decisions", 1, "takes per decision", False),
        Metric("reward_per_decision", "reward", "decisions", 1, "take x quality per decision"),
        Metric("abandonment", "abandoned", "takes", -1, "share of takes left within the first part of the film"),
        Metric("session_minutes", "watched", "sessions", 1, "minutes watched per session"),
        Metric("return", "returned", "could_return", 1, "share of members who come back on a later day"),
        Metric("cancellation", "cancelled", "members", -1, "share of members who cancel"),
        Metric("titles", "titles", "members", 1, "different titles taken per member: the catalogue's diversity"),
        Metric("active_days", "active_days", "members", 1, "days with any event per member"),
    )
}


def metric_named(name: str) -> Metric:
    """The metric; ConfigError names those that are known."""
    if name not in METRICS:
        raise ConfigError(f"there is no metric {name!r}; known are {', '.join(METRICS)}")
    return METRICS[name]


def place(column: str) -> int:
    """Where a column stands among COLUMNS."""
    return COLUMNS.index(column)


def unit(column: str) -> np.ndarray:
    """The vector that picks one column."""
    picked = np.zeros(len(COLUMNS))
    picked[place(column)] = 1.0
    return picked
