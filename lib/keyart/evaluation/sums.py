"""The compiled pass: decisions as compact arrays down to sums by member (or by member and slice), for many targets.

Candidates of decision i are pairs offsets[i] to offsets[i + 1]; ``pi`` (pairs, T) are target probabilities and ``q``
(pairs, M) predictions, single or double precision; sums are double. Targets belong to groups (one a policy): within a
group all targets are judged on the same decisions, so that they stay comparable. Columns are those of
``moments.Layout`` without extras, group after group. A first target of all groups (an even draw, what every policy
is compared with) is worked out once: on the many decisions that all groups judge its sums go to a place of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from keyart.evaluation.moments import BY_METRIC, BY_TARGET, Layout

__all__ = ["Frame", "add_up", "overlap"]


@dataclass(frozen=True)
class Frame:
    """Where the columns of each group and target start, for several layouts side by side."""

    group: np.ndarray  # (T,) of each target; -1 for the one that all groups share
    starts: np.ndarray  # (G + 1,) first column of each group, its n
    columns: np.ndarray  # (T,) first column of each target
    head: int  # columns of a group before its targets': n and outcomes
    width: int  # columns of a target
    shared: bool = False  # whether the first target is every group's first

    @classmethod
    def of(cls, layouts: Sequence[Layout]) -> "Frame":
        """For groups with these layouts, all with the same metrics, and targets of their own."""
        head, width = 1 + len(layouts[0].metrics), len(BY_TARGET) + len(layouts[0].metrics) * len(BY_METRIC)
        group, columns, starts = [], [], [0]
        for g, layout in enumerate(layouts):
            group += [g] * len(layout.targets)
            columns += [starts[-1] + head + t * width for t in range(len(layout.targets))]
            starts.append(starts[-1] + head + len(layout.targets) * width)
        return cls(np.array(group), np.array(starts), np.array(columns), head, width)

    def common(self, cells: int) -> np.ndarray:
        """Room for what all groups share: n, outcomes and the first target's columns, (cells, head + width)."""
        return np.zeros((cells, self.head + self.width if self.shared else 0))

    def share_out(self, common: np.ndarray, sums: np.ndarray) -> None:
        """Add what all groups share to each one's columns of ``sums``."""
        for start in self.starts[:-1] if self.shared else ():
            sums[:, start : start + self.head + self.width] += common


@njit(cache=True, nogil=True, error_model="numpy")
def overlap(offsets, support, pi, group, groups, least):
    """Whether each group's targets all have at least ``least`` of their probability where the log could show: (n, G).

    Probabilities are scaled, in place, to sum to 1 over what the log could show. A draw among artworks of which the log
    lacks a few newer ones is so judged by the others. The target that all share (group -1) is among what the log could
    show from the start.
    """
    n, targets = len(offsets) - 1, pi.shape[1]
    judged = np.ones((n, groups), dtype=np.bool_)
    total = np.zeros(targets)
    begin = 1 if group[0] < 0 else 0
    for i in range(n):
        total[:] = 0.0
        whole = True
        for j in range(offsets[i], offsets[i + 1]):
            if support[j]:
                for t in range(begin, targets):
                    total[t] += pi[j, t]
            else:
                whole = False
        scaled = not whole
        for t in range(begin, targets):
            if total[t] < least or total[t] <= 0.0:
                judged[i, group[t]] = False
            scaled = scaled or abs(total[t] - 1.0) > 1e-6
            total[t] = 1.0 / total[t] if total[t] > 0.0 else 0.0
        if scaled:
            for j in range(offsets[i], offsets[i + 1]):
                for t in range(begin, targets):
                    if support[j]:
                        pi[j, t] *= total[t]
                    else:
                        pi[j, t] = 0.0
    return judged


@njit(cache=True, nogil=True, error_model="numpy")
def add_up(
    cell, offsets, slot, propensity, reward, q, pi, judged, group, starts, columns, clip, switch, out, common, largest
):
    """Add decisions to ``out`` (cells, columns) at rows ``cell`` (n,); raise ``largest`` (cells, T) to their weights.

    ``slot`` (n,) is what was served, counted from the set's first candidate; ``reward`` (n, M); ``common`` is
    ``Frame.common``, to be shared out when all is added.
    """
    n, targets, metrics, groups = len(cell), pi.shape[1], reward.shape[1], judged.shape[1]
    expected = np.zeros((metrics, targets), dtype=pi.dtype)
    head = 1 + metrics
    now = np.zeros(head + 4 + 6 * metrics)
    begin = 1 if group[0] < 0 else 0
    now[0] = 1.0
    for i in range(n):
        row, first = out[cell[i]], offsets[i]
        s = first + slot[i]
        every, some = True, False
        for g in range(groups):
            every = every and judged[i, g]
            some = some or judged[i, g]
        if not some:
            continue
        expected[:, :] = 0.0
        for j in range(first, offsets[i + 1]):
            for m in range(metrics):
                value = q[j, m]
                for t in range(targets):
                    expected[m, t] += pi[j, t] * value
        inverse = 1.0 / propensity[i]
        for t in range(targets):
            if t >= begin and not judged[i, group[t]]:
                continue
            p = float(pi[s, t])
            w = p * inverse
            if w > largest[cell[i], t]:
                largest[cell[i], t] = w
            into, at = row, columns[t]
            if t < begin:
                into, at = now, head
                now[head:] = 0.0
            into[at] += w
            into[at + 1] += w * w
            into[at + 2] += p
            into[at + 3] += w * w * w
            low = min(w, clip)
            kept = w if w <= switch else 0.0
            at += 4
            for m in range(metrics):
                r = reward[i, m]
                miss = r - q[s, m]
                into[at] += w * r
                into[at + 1] += low * r
                into[at + 2] += expected[m, t]
                into[at + 3] += w * miss
                into[at + 4] += kept * miss
                into[at + 5] += p * r
                at += 6
        now[1:head] = reward[i]
        if begin and every:
            common[cell[i]] += now
        else:
            size = len(now) if begin else head
            for g in range(groups):
                if judged[i, g]:
                    row[starts[g] : starts[g] + size] += now[:size]
