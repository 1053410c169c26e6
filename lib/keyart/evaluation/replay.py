"""What a log says of a policy: decisions as arrays in, evidence (moments over members) that adds up out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from keyart.evaluation.moments import Layout, Moments
from keyart.evaluation.sums import Frame
from keyart.evaluation.targets import BEHAVIOURS, METRICS

__all__ = ["ALL", "LAYOUT", "WHOLE", "Columns", "Evidence", "Found", "Limits", "LoggedDecisions", "add_all"]

LAYOUT = Layout(BEHAVIOURS, METRICS)
"""Of a slice."""
WHOLE = Layout(BEHAVIOURS, METRICS, extras=True)
"""Of all decisions: also pages and the plan's columns."""
ALL = "*"


@dataclass(frozen=True)
class LoggedDecisions:
    """Decisions of whole members as arrays (n,), member by member; candidate sets are laid end to end and cut by
    ``offsets`` (n + 1,). Every decision had two candidates or more that the log could show."""

    member: np.ndarray  # ascending from 0
    codes: np.ndarray  # (members,) 64-bit hashes of the members' keys: what replicates are drawn from
    page: np.ndarray  # ascending: the decisions that a member saw together
    slot: np.ndarray  # what was served, counted from the set's first candidate
    best: np.ndarray  # the logged policy's likeliest candidate, counted likewise
    propensity: np.ndarray
    outcome: np.ndarray  # (n, metrics)
    offsets: np.ndarray
    support: np.ndarray  # (pairs,) whether the log could show the candidate

    def cut(self, rows: slice | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Offsets, from 0, and support of some decisions: a piece of them, or places."""
        if isinstance(rows, slice):
            offsets = self.offsets[rows.start : rows.stop + 1]
            return offsets - offsets[0], self.support[offsets[0] : offsets[-1]]
        size = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(size)])
        return offsets, self.support[np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], size)]


@dataclass(frozen=True)
class Limits:
    """Where weights are clipped, where Switch-DR goes over to the model, and least shared probability."""

    clip: float = 20.0
    switch: float = 20.0
    overlap: float = 0.9
    replicates: int = 100
    extras: bool = True
    """Whether pages are looked at, and what the plan needs."""


class Columns(Protocol):
    """Which column of the target probabilities is which behaviour of which policy."""

    @property
    def behaviours(self) -> tuple[str, ...]:
        """Of each policy."""
        ...

    @property
    def frame(self) -> Frame:
        """Where each column's sums stand."""
        ...

    def order(self) -> np.ndarray:
        """(policies, behaviours) columns."""
        ...


@dataclass(frozen=True)
class Evidence:
    """What a slice of the log says of a policy, in sums: those of disjoint groups of members add up (largest weights:
    maximum)."""

    layout: Layout
    moments: Moments
    largest: np.ndarray  # (targets,) weights of a decision
    largest_page: np.ndarray  # (targets,) weights of a page; 0 where pages are not looked at
    replicated: np.ndarray  # (replicates, J); none in slices
    seen: float  # decisions
    left_out: float  # decisions that some behaviour's choice had no chance in

    def __add__(self, other: "Evidence") -> "Evidence":
        return Evidence(
            self.layout,
            self.moments + other.moments,
            np.maximum(self.largest, other.largest),
            np.maximum(self.largest_page, other.largest_page),
            self.replicated + other.replicated,
            self.seen + other.seen,
            self.left_out + other.left_out,
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """As named arrays, to travel."""
        return {
            "counts": np.array([self.moments.members, self.seen, self.left_out], dtype=np.float64),
            "sums": self.moments.sums,
            "products": self.moments.products,
            "largest": np.stack([self.largest, self.largest_page]),
            "replicated": self.replicated,
        }

    @classmethod
    def of(cls, layout: Layout, arrays: Mapping[str, np.ndarray]) -> "Evidence":
        """What ``arrays`` named; ``layout`` may have extras: whether these have is seen."""
        members, seen, left_out = arrays["counts"]
        moments = Moments(round(members), arrays["sums"], arrays["products"])
        layout = replace(layout, extras=len(arrays["sums"]) > len(replace(layout, extras=False).names))
        decision, page = arrays["largest"]
        return cls(layout, moments, decision, page, arrays["replicated"], float(seen), float(left_out))

    @classmethod
    def empty(cls, layout: Layout, number: int = 0) -> "Evidence":
        """Of no decisions."""
        size, none = len(layout.names), np.zeros(len(layout.targets))
        moments = Moments(0, np.zeros(size), np.zeros((size, size)))
        return cls(layout, moments, none, none, np.zeros((number, size)), 0.0, 0.0)


Found = dict[tuple[int, str], Evidence]
"""By policy (its place among the targets) and slice."""


def add_all(total: Found, part: Mapping[tuple[int, str], Evidence]) -> Found:
    """Evidence of both; ``total`` is changed and returned."""
    for key, evidence in part.items():
        total[key] = total[key] + evidence if key in total else evidence
    return total
