"""The compiled pass: decisions as compact arrays down to sums by member (or by member and slice), for many targets.

Candidates of decision i are pairs offsets[i] to offsets[i + 1]; ``pi`` (pairs, T) are target probabilities and ``q``
(pairs, M) predictions, single or double precision; sums are double. Targets belong to groups (one a policy): within a
group all targets are judged on the same decisions, so that they stay comparable. Columns are those of
``estimators.Layout`` without extras, group after group.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from keyart.evaluation.estimators import BY_METRIC, BY_TARGET, Layout

__all__ = ["Frame", "add_up", "overlap"]


@dataclass(frozen=True)
class Frame:
    """Where the columns of each group and target start, for several layouts side by side."""

    group: np.ndarray  # (T,) of each target
    starts: np.ndarray  # (G + 1,) first column of each group, its n
    columns: np.ndarray  # (T,) first column of each target

    @classmethod
    def of(cls, layouts: Sequence[Layout]) -> "Frame":
        """For groups with these layouts, all with the same metrics."""
        group, columns, starts = [], [], [0]
        for g, layout in enumerate(layouts):
            width = len(BY_TARGET) + len(layout.metrics) * len(BY_METRIC)
            group += [g] * len(layout.targets)
            columns += [starts[-1] + 1 + t * width for t in range(len(layout.targets))]
            starts.append(starts[-1] + 1 + len(layout.targets) * width)
        return cls(np.array(group), np.array(starts), np.array(columns))


@njit(cache=True, nogil=True, error_model="numpy")
def overlap(offsets, support, pi, group, groups, least):
    """Whether each group's targets all have at least ``least`` of their probability where the log could show: (n, G).

    Probabilities are scaled, in place, to sum to 1 over what the log could show. A draw among artworks of which the log
    lacks a few newer ones is so judged by the others.
    """
    n, targets = len(offsets) - 1, pi.shape[1]
    judged = np.ones((n, groups), dtype=np.bool_)
    total = np.zeros(targets)
    for i in range(n):
        total[:] = 0.0
        for j in range(offsets[i], offsets[i + 1]):
            if support[j]:
                for t in range(targets):
                    total[t] += pi[j, t]
        for t in range(targets):
            if total[t] < least or total[t] <= 0.0:
                judged[i, group[t]] = False
            total[t] = 1.0 / total[t] if total[t] > 0.0 else 0.0
        for j in range(offsets[i], offsets[i + 1]):
            for t in range(targets):
                if support[j]:
                    pi[j, t] *= total[t]
                else:
                    pi[j, t] = 0.0
    return judged


@njit(cache=True, nogil=True, error_model="numpy")
def add_up(cell, offsets, slot, propensity, reward, q, pi, judged, group, starts, columns, clip, switch, out, largest):
    """Add decisions to ``out`` (cells, columns) at rows ``cell`` (n,); raise ``largest`` (cells, T) to their weights.

    ``slot`` (n,) is what was served, counted from the set's first candidate; ``reward`` (n, M).
    """
    n, targets, metrics, groups = len(cell), pi.shape[1], reward.shape[1], judged.shape[1]
    expected = np.zeros((metrics, targets))
    for i in range(n):
        row, first = out[cell[i]], offsets[i]
        s = first + slot[i]
        for g in range(groups):
            if judged[i, g]:
                row[starts[g]] += 1.0
        expected[:, :] = 0.0
        for j in range(first, offsets[i + 1]):
            for m in range(metrics):
                value = q[j, m]
                for t in range(targets):
                    expected[m, t] += pi[j, t] * value
        inverse = 1.0 / propensity[i]
        for t in range(targets):
            if not judged[i, group[t]]:
                continue
            at, p = columns[t], float(pi[s, t])
            w = p * inverse
            row[at] += w
            row[at + 1] += w * w
            row[at + 2] += p
            if w > largest[cell[i], t]:
                largest[cell[i], t] = w
            low = min(w, clip)
            kept = w if w <= switch else 0.0
            at += 3
            for m in range(metrics):
                r = reward[i, m]
                miss = r - q[s, m]
                row[at] += w * r
                row[at + 1] += low * r
                row[at + 2] += expected[m, t]
                row[at + 3] += w * miss
                row[at + 4] += kept * miss
                row[at + 5] += p * r
                at += 6
