"""Logged decisions against what each behaviour would have shown, down to moments over members, slice by slice."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from keyart.evaluation.bootstrap import counts, replicates
from keyart.evaluation.moments import Layout, Moments
from keyart.evaluation.quick import Quick
from keyart.evaluation.replay import ALL, Columns, Evidence, Found, Limits, LoggedDecisions
from keyart.evaluation.slates import add_pages
from keyart.evaluation.sums import Frame, add_up, overlap
from keyart.evaluation.targets import METRICS, Overrides, Stacked

__all__ = ["Book", "judge"]

Slices = Mapping[str, tuple[np.ndarray, Sequence[str]]]
"""By dimension: codes (n,) and their values."""
Part = tuple[slice, np.ndarray, np.ndarray]
"""Decisions of whole members, their target probabilities (pairs, targets) and predictions (pairs, metrics)."""


def judge(log: LoggedDecisions, parts: Iterable[Part], targets: Columns, slices: Slices, limits: Limits) -> Found:
    """Evidence by policy and slice; target probabilities are changed: scaled to what the log could show."""
    book = Book.open(log, targets, slices, limits)
    for part, pi, q in parts:
        book.add(part, pi, q)
    return book.evidence()


@dataclass(frozen=True)
class Book:
    """Sums by member, or by member and slice, that decisions are added to piece by piece.

    A behaviour of which too little probability lies where the log could show (``Limits.overlap``) cannot be judged from
    a decision; it is then left out for all behaviours of the policy, so that these stay comparable, and counted.
    """

    log: LoggedDecisions
    behaviours: tuple[str, ...]
    frame: Frame
    order: np.ndarray  # (policies, behaviours) columns
    slices: Slices
    limits: Limits
    cell: np.ndarray  # (n,)
    first: np.ndarray  # first row of each cell
    sums: np.ndarray  # (cells, columns)
    common: np.ndarray
    largest: np.ndarray  # (cells, targets)
    extras: np.ndarray  # (policies, members, extra columns)
    pages: np.ndarray  # largest weights of pages, (policies, behaviours)
    quick: Quick | None  # what adds most decisions
    shares: tuple[np.ndarray, np.ndarray]  # what it keeps once for several targets

    @classmethod
    def open(
        cls, log: LoggedDecisions, targets: Columns, slices: Slices, limits: Limits, quick: Quick | None = None
    ) -> "Book":
        """With nothing in it; ``quick`` as ``add_quick`` is to use it."""
        frame, order = targets.frame, targets.order()
        cell, first = _cells(log.member, [codes for codes, _ in slices.values()])
        plain, whole = (Layout(targets.behaviours, METRICS, more) for more in (False, limits.extras))
        return cls(
            log, targets.behaviours, frame, order, slices, limits, cell, first,
            sums=np.zeros((len(first), int(frame.starts[-1]))),
            common=frame.common(len(first)),
            largest=np.zeros((len(first), len(frame.group))),
            extras=np.zeros((len(order), len(log.codes), len(whole.names) - len(plain.names))),
            pages=np.zeros(order.shape),
            quick=quick,
            shares=quick.room(frame, len(first)) if quick else (np.zeros(0), np.zeros(0)),
        )  # fmt: skip

    def add_quick(
        self, part: slice, sets: np.ndarray, title: np.ndarray, place: np.ndarray, kids: np.ndarray,
        candidates: np.ndarray, q: np.ndarray, own: Overrides, tables: Stacked,
    ) -> np.ndarray:  # fmt: skip
        """Add the decisions of a part that two numbers and a place can tell; places (in the log) of those that are
        left.

        Pages are not looked at: ValueError where they should be, or where the book was opened without ``quick``.
        """
        if self.quick is None or self.limits.extras:
            raise ValueError("pages need the probabilities of all candidates")
        log, (offsets, _) = self.log, self.log.cut(part)
        left = self.quick.add(
            self.cell[part], sets[part], title[part], place[part], kids[part], log.member[part], offsets, candidates,
            log.slot[part], log.propensity[part], log.outcome[part], q, own, tables, self.limits.clip,
            self.limits.switch, self.frame, self.sums, self.common, self.largest, self.shares,
        )  # fmt: skip
        return part.start + np.flatnonzero(left)

    def add(self, rows: slice | np.ndarray, pi: np.ndarray, q: np.ndarray) -> None:
        """Add decisions, whole pages of them where pages are looked at; ``pi`` is changed."""
        log, limits, frame = self.log, self.limits, self.frame
        offsets, support = log.cut(rows)
        judged = overlap(offsets, support, pi, frame.group, len(self.order), limits.overlap)
        slot, propensity, outcome = log.slot[rows], log.propensity[rows], log.outcome[rows]
        add_up(
            self.cell[rows], offsets, slot, propensity, outcome, q, pi, judged, frame.group, frame.starts,
            frame.columns, limits.clip, limits.switch, self.sums, self.common, self.largest,
        )  # fmt: skip
        for g in range(len(self.order)) if limits.extras else ():
            add_pages(
                log.member[rows], log.page[rows], offsets, slot, log.best[rows], propensity, outcome, pi,
                judged[:, g], self.order[g], self.extras[g], self.pages[g],
            )  # fmt: skip

    def evidence(self) -> Found:
        """By policy and slice, once all decisions are added."""
        log, frame = self.log, self.frame
        if self.quick is not None:
            self.quick.share_out(frame, self.shares, self.sums, self.largest)
        frame.share_out(self.common, self.sums)
        seen = np.bincount(self.cell, minlength=len(self.first)).astype(np.float64)
        by_member = _regrouped(self.sums, log.member[self.first]) if self.slices else self.sums
        drawn, found = counts(log.codes, self.limits.replicates), {}
        redrawn = replicates(drawn, by_member)  # of all policies at once: one large product is faster than many
        layout = Layout(self.behaviours, METRICS, self.limits.extras)
        for g, own in enumerate(self._columns()):
            rows, again = by_member[:, own], redrawn[:, own]
            if self.limits.extras:
                rows = np.hstack([rows, self.extras[g]])
                again = np.hstack([again, replicates(drawn, self.extras[g])])
            weights = self.largest[:, self.order[g]].max(axis=0, initial=0.0)
            found[g, ALL] = _evidence(layout, rows, weights, self.pages[g], again, seen.sum())
        for dimension in self.slices:
            found |= self._sliced(dimension, seen)
        return found

    def _columns(self) -> list[slice]:
        starts = self.frame.starts
        return [slice(starts[g], starts[g + 1]) for g in range(len(self.order))]

    def _sliced(self, dimension: str, seen: np.ndarray) -> Found:
        (codes, values), member, found = self.slices[dimension], self.log.member[self.first], {}
        plain, codes = Layout(self.behaviours, METRICS), codes[self.first]
        key = member * len(values) + codes
        by_group = np.argsort(key, kind="stable")
        regrouped = _regrouped(self.sums[by_group], key[by_group])
        value = key[by_group][np.flatnonzero(np.diff(key[by_group], prepend=-1))] % len(values)
        nothing = np.zeros(self.order.shape[1]), np.zeros((0, len(plain.names)))
        for v in np.unique(value).tolist():
            here = codes == v
            for g, own in enumerate(self._columns()):
                weights = self.largest[here][:, self.order[g]].max(axis=0, initial=0.0)
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
