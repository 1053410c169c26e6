"""Logged decisions against what each behaviour would have shown, down to moments over members, slice by slice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from keyart.evaluation.bootstrap import replicates
from keyart.evaluation.estimators import Layout, Moments
from keyart.evaluation.slates import add_pages
from keyart.evaluation.sums import Frame, add_up, overlap
from keyart.evaluation.targets import BEHAVIOURS, METRICS

__all__ = ["ALL", "LAYOUT", "WHOLE", "Evidence", "Limits", "LoggedDecisions", "add_all", "extra_columns", "judge"]

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


def judge(
    log: LoggedDecisions,
    pi: np.ndarray,
    q: np.ndarray,
    targets: Columns,
    slices: Mapping[str, tuple[np.ndarray, Sequence[str]]],
    limits: Limits,
) -> Found:
    """Evidence by policy and slice; ``pi`` (pairs, targets) is changed: scaled to what the log could show.

    ``slices`` are codes (n,) and their values by dimension. A behaviour of which too little probability lies where the
    log could show (``Limits.overlap``) cannot be judged from a decision; it is then left out for all behaviours of the
    policy, so that these stay comparable, and counted.
    """
    n, frame, order = len(log.member), targets.frame, targets.order()
    judged = overlap(log.offsets, log.support, pi, frame.group, len(order), limits.overlap)
    cell, first = _cells(log.member, [codes for codes, _ in slices.values()])
    sums, largest = np.zeros((len(first), int(frame.starts[-1]))), np.zeros(pi.shape[1])
    add_up(
        cell, log.offsets, log.slot, log.propensity, log.outcome, q, pi, judged,
        frame.group, frame.starts, frame.columns, limits.clip, limits.switch, sums, largest,
    )  # fmt: skip
    found: Found = {}
    parts = [slice(frame.starts[g], frame.starts[g + 1]) for g in range(len(order))]
    by_member = _regrouped(sums, log.member[first]) if slices else sums
    layout = Layout(targets.behaviours, METRICS, limits.extras)
    for g, part in enumerate(parts):
        rows, largest_page = by_member[:, part], np.zeros(order.shape[1])
        if limits.extras:
            extra, largest_page = extra_columns(log, pi, judged[:, g], order[g])
            rows = np.hstack([rows, extra])
        kept = rows[:, 0] > 0
        found[g, ALL] = Evidence(
            layout,
            Moments.of(rows[kept]),
            largest[order[g]],
            largest_page,
            replicates(log.codes[kept], rows[kept], limits.replicates),
            float(n),
            float(n - judged[:, g].sum()),
        )
    if not slices:
        return found
    layout = Layout(targets.behaviours, METRICS)
    weights = pi[log.offsets[:-1] + log.slot] / log.propensity[:, None]
    for dimension, (codes, values) in slices.items():
        group, at = np.unique(log.member[first] * len(values) + codes[first], return_inverse=True)
        by_group = np.argsort(at, kind="stable")
        regrouped = _regrouped(sums[by_group], at[by_group])
        value, seen = group % len(values), np.bincount(codes, minlength=len(values))
        for v in np.flatnonzero(seen).tolist():
            for g, part in enumerate(parts):
                rows = regrouped[value == v, part]
                here = (codes == v) & judged[:, g]
                found[g, f"{dimension}={values[v]}"] = Evidence(
                    layout,
                    Moments.of(rows[rows[:, 0] > 0]),
                    weights[here][:, order[g]].max(axis=0, initial=0.0),
                    np.zeros(order.shape[1]),
                    np.zeros((0, rows.shape[1])),
                    float(seen[v]),
                    float(seen[v] - here.sum()),
                )
    return found


def _cells(member: np.ndarray, codes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Each row's cell, the combination of member and slices, (n,), and the first row of each cell, by member."""
    key = member.astype(np.int64)
    for code in codes:
        key = key * (int(code.max(initial=0)) + 1) + code
    _, first, cell = np.unique(key, return_index=True, return_inverse=True)
    return cell, first


def _regrouped(sums: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Sums of cells (cells, J) added up by member or other group, cells being ordered by it."""
    starts = np.flatnonzero(np.diff(member, prepend=-1))
    return np.add.reduceat(sums, starts, axis=0) if len(sums) else sums


def extra_columns(
    log: LoggedDecisions, pi: np.ndarray, judged: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A policy's extra columns by member, (members, extras) in the layout's order, and the largest weight of a page by
    target; ``columns`` of ``pi`` are the policy's targets."""
    metrics = log.outcome.shape[1]
    layout = Layout(tuple(map(str, range(len(columns)))), tuple(map(str, range(metrics))), extras=True)
    width = len(layout.names) - len(Layout(layout.targets, layout.metrics).names)
    out, largest = np.zeros((len(log.codes), width)), np.zeros(len(columns))
    add_pages(
        log.member, log.page, log.offsets, log.slot, log.best, log.propensity, log.outcome, pi, judged, columns,
        out, largest,
    )  # fmt: skip
    return out, largest
