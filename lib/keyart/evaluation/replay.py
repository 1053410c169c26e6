"""Logged decisions against what each behaviour would have shown, down to moments over members, slice by slice."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from keyart.evaluation.bootstrap import counts, replicates
from keyart.evaluation.moments import Layout, Moments
from keyart.evaluation.slates import add_pages
from keyart.evaluation.sums import Frame, add_up, overlap
from keyart.evaluation.targets import BEHAVIOURS, METRICS

__all__ = ["ALL", "LAYOUT", "WHOLE", "Evidence", "Limits", "LoggedDecisions", "add_all", "judge"]

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

    def cut(self, part: slice) -> tuple[np.ndarray, np.ndarray]:
        """Offsets, from 0, and support of some decisions."""
        offsets = self.offsets[part.start : part.stop + 1]
        return offsets - offsets[0], self.support[offsets[0] : offsets[-1]]


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


Part = tuple[slice, np.ndarray, np.ndarray]
"""Decisions of whole members, their target probabilities (pairs, targets) and predictions (pairs, metrics)."""


def judge(
    log: LoggedDecisions,
    parts: Iterable[Part],
    targets: Columns,
    slices: Mapping[str, tuple[np.ndarray, Sequence[str]]],
    limits: Limits,
) -> Found:
    """Evidence by policy and slice; target probabilities are changed: scaled to what the log could show.

    ``slices`` are codes (n,) and their values by dimension. A behaviour of which too little probability lies where the
    log could show (``Limits.overlap``) cannot be judged from a decision; it is then left out for all behaviours of the
    policy, so that these stay comparable, and counted.
    """
    frame, order = targets.frame, targets.order()
    cell, first = _cells(log.member, [codes for codes, _ in slices.values()])
    seen = np.bincount(cell, minlength=len(first)).astype(np.float64)
    sums, largest = np.zeros((len(first), int(frame.starts[-1]))), np.zeros((len(first), len(frame.group)))
    common = frame.common(len(first))
    plain = Layout(targets.behaviours, METRICS)
    whole = Layout(targets.behaviours, METRICS, limits.extras)
    extras = np.zeros((len(order), len(log.codes), len(whole.names) - len(plain.names)))
    pages = np.zeros(order.shape)
    for part, pi, q in parts:
        offsets, support = log.cut(part)
        judged = overlap(offsets, support, pi, frame.group, len(order), limits.overlap)
        slot, propensity, outcome = log.slot[part], log.propensity[part], log.outcome[part]
        add_up(
            cell[part], offsets, slot, propensity, outcome, q, pi, judged,
            frame.group, frame.starts, frame.columns, limits.clip, limits.switch, sums, common, largest,
        )  # fmt: skip
        for g in range(len(order)) if limits.extras else ():
            add_pages(
                log.member[part], log.page[part], offsets, slot, log.best[part], propensity, outcome, pi,
                judged[:, g], order[g], extras[g], pages[g],
            )  # fmt: skip
    frame.share_out(common, sums)
    by_member = _regrouped(sums, log.member[first]) if slices else sums
    drawn, found = counts(log.codes, limits.replicates), {}
    columns = [slice(frame.starts[g], frame.starts[g + 1]) for g in range(len(order))]
    for g, own in enumerate(columns):
        rows = np.hstack([by_member[:, own], extras[g]])
        weights = largest[:, order[g]].max(axis=0, initial=0.0)
        found[g, ALL] = _evidence(whole, rows, weights, pages[g], replicates(drawn, rows), seen.sum())
    for dimension, (codes, values) in slices.items():
        key = log.member[first] * len(values) + codes[first]
        by_group = np.argsort(key, kind="stable")
        regrouped = _regrouped(sums[by_group], key[by_group])
        value = key[by_group][np.flatnonzero(np.diff(key[by_group], prepend=-1))] % len(values)
        for v in np.unique(value).tolist():
            here = codes[first] == v
            for g, own in enumerate(columns):
                weights = largest[here][:, order[g]].max(axis=0, initial=0.0)
                nothing = np.zeros(order.shape[1]), np.zeros((0, len(plain.names)))
                rows = regrouped[value == v, own]
                found[g, f"{dimension}={values[v]}"] = _evidence(plain, rows, weights, *nothing, seen[here].sum())
    return found


def _evidence(
    layout: Layout, rows: np.ndarray, weights: np.ndarray, pages: np.ndarray, drawn: np.ndarray, seen: float
) -> Evidence:
    """Members none of whose decisions are judged have sums of 0 and do not count."""
    moments = Moments(int((rows[:, 0] > 0).sum()), rows.sum(axis=0), rows.T @ rows)
    return Evidence(layout, moments, weights, pages, drawn, float(seen), float(seen - moments.sums[0]))


def _cells(member: np.ndarray, codes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Each row's cell, the combination of member and slices, (n,), and the first row of each cell, by member."""
    if not codes:
        return member, np.flatnonzero(np.diff(member, prepend=-1))
    key = member.astype(np.int64)
    for code in codes:
        key = key * (int(code.max(initial=0)) + 1) + code
    _, first, cell = np.unique(key, return_index=True, return_inverse=True)
    return cell, first


def _regrouped(sums: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Sums of cells (cells, J) added up by member or other group, cells being ordered by it."""
    starts = np.flatnonzero(np.diff(member, prepend=-1))
    return np.add.reduceat(sums, starts, axis=0) if len(sums) else sums
