"""Logged decisions against what each behaviour would have shown, down to moments over members, slice by slice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from keyart.evaluation.bootstrap import replicates
from keyart.evaluation.estimators import PLAN_BY_METRIC, Layout, Moments
from keyart.evaluation.slates import page_columns
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


@dataclass(frozen=True)
class Limits:
    """Where weights are clipped, where Switch-DR goes over to the model, and least shared probability."""

    clip: float = 20.0
    switch: float = 20.0
    overlap: float = 0.9
    replicates: int = 100


@dataclass(frozen=True)
class Evidence:
    """What a slice of the log says of a policy, in sums: those of disjoint groups of members add up (largest weights:
    maximum)."""

    moments: Moments
    largest: np.ndarray  # (targets,) weights of a decision
    largest_page: np.ndarray  # (targets,) weights of a page; 0 where pages are not looked at
    replicated: np.ndarray  # (replicates, J); none in slices
    seen: float  # decisions
    left_out: float  # decisions that some behaviour's choice had no chance in

    def __add__(self, other: "Evidence") -> "Evidence":
        return Evidence(
            self.moments + other.moments,
            np.maximum(self.largest, other.largest),
            np.maximum(self.largest_page, other.largest_page),
            self.replicated + other.replicated,
            self.seen + other.seen,
            self.left_out + other.left_out,
        )

    @property
    def layout(self) -> Layout:
        """Which columns it has."""
        return WHOLE if len(self.moments.sums) == len(WHOLE.names) else LAYOUT

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
    def of(cls, arrays: Mapping[str, np.ndarray]) -> "Evidence":
        """What ``arrays`` named."""
        members, seen, left_out = arrays["counts"]
        moments = Moments(round(members), arrays["sums"], arrays["products"])
        decision, page = arrays["largest"]
        return cls(moments, decision, page, arrays["replicated"], float(seen), float(left_out))

    @classmethod
    def empty(cls, layout: Layout, number: int = 0) -> "Evidence":
        """Of no decisions."""
        size, none = len(layout.names), np.zeros(len(layout.targets))
        return cls(Moments(0, np.zeros(size), np.zeros((size, size))), none, none, np.zeros((number, size)), 0.0, 0.0)


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
    frame: Frame,
    order: np.ndarray,
    slices: Mapping[str, tuple[np.ndarray, Sequence[str]]],
    limits: Limits,
) -> Found:
    """Evidence by policy and slice; ``pi`` (pairs, targets) is changed: scaled to what the log could show.

    ``frame`` and ``order`` (policies, behaviours) say which column of ``pi`` is which behaviour. ``slices`` are codes
    (n,) and their values by dimension. A behaviour of which too little probability lies where the log could show
    (``Limits.overlap``) cannot be judged from a decision; it is then left out for all behaviours of the policy, so that
    these stay comparable, and counted.
    """
    n, policies = len(log.member), len(order)
    judged = overlap(log.offsets, log.support, pi, frame.group, policies, limits.overlap)
    cell, first = _cells(log.member, [codes for codes, _ in slices.values()])
    sums, largest = np.zeros((len(first), int(frame.starts[-1]))), np.zeros(pi.shape[1])
    add_up(
        cell, log.offsets, log.slot, log.propensity, log.outcome, q, pi, judged,
        frame.group, frame.starts, frame.columns, limits.clip, limits.switch, sums, largest,
    )  # fmt: skip
    weights = pi[log.offsets[:-1] + log.slot] / log.propensity[:, None]
    found: Found = {}
    parts = [slice(frame.starts[g], frame.starts[g + 1]) for g in range(policies)]
    by_member = _regrouped(sums, log.member[first])
    for g in range(policies):
        extras, largest_page = _extras(log, pi, weights[:, order[g]], judged[:, g], order[g])
        rows = np.hstack([by_member[:, parts[g]], extras])
        kept = rows[:, 0] > 0
        found[g, ALL] = Evidence(
            Moments.of(rows[kept]),
            largest[order[g]],
            largest_page,
            replicates(log.codes[kept], rows[kept], limits.replicates),
            float(n),
            float(n - judged[:, g].sum()),
        )
    for dimension, (codes, values) in slices.items():
        group, at = np.unique(log.member[first] * len(values) + codes[first], return_inverse=True)
        by_group = np.argsort(at, kind="stable")
        regrouped = _regrouped(sums[by_group], at[by_group])
        value, seen = group % len(values), np.bincount(codes, minlength=len(values))
        for v in np.flatnonzero(seen).tolist():
            for g in range(policies):
                rows = regrouped[value == v, parts[g]]
                here = (codes == v) & judged[:, g]
                found[g, f"{dimension}={values[v]}"] = Evidence(
                    Moments.of(rows[rows[:, 0] > 0]),
                    weights[here][:, order[g]].max(axis=0, initial=0.0),
                    np.zeros(order.shape[1]),
                    np.zeros((0, sums[:, parts[g]].shape[1])),
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


def _extras(
    log: LoggedDecisions, pi: np.ndarray, weights: np.ndarray, judged: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Extra columns by member, (members, extras) in the layout's order, and the largest weight of a page by target."""
    rows = np.flatnonzero(judged)
    w, r, member = weights[rows], log.outcome[rows], log.member[rows]
    product, additive, total, starts = page_columns(w, r, log.page[rows])
    of_page, members = member[starts], len(log.codes)
    size = np.diff(log.offsets)[rows]
    best = pi[log.offsets[:-1] + log.best][rows][:, columns] >= 1.0 - 1e-6  # a greedy target shows the logger's best
    found = [np.bincount(of_page, minlength=members), np.bincount(member, size, members)]
    for t in range(weights.shape[1]):
        found += [np.bincount(of_page, product[:, t] ** power, members) for power in (1, 2)]
        for m in range(r.shape[1]):
            squares = w[:, t] * r[:, m] ** 2
            found += [np.bincount(of_page, weight[:, t] * total[:, m], members) for weight in (product, additive)]
            by_decision = {
                "ragree": squares * best[:, t],
                "rdiffer": squares * ~best[:, t] * size,
                "w2r2": squares * w[:, t],
            }
            found += [np.bincount(member, by_decision[kind], members) for kind in PLAN_BY_METRIC]
    return np.stack(found, axis=1).astype(np.float64), product.max(axis=0, initial=0.0)
