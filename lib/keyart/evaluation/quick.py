"""The compiled pass for what most decisions are: every policy has one best artwork and draws the others alike.

A target's probabilities over k candidates are then two numbers and a place: ``hit`` for its best, ``rest`` for any
other (a greedy target has 1 and 0, epsilon-greedy what its epsilon says). So what was served has one of two weights
under it, and targets with the same two numbers are a class: what a decision adds to their sums where it shows another
artwork than their best is worked out once and kept once for the class; a target itself only gets what its own best
changes. Nothing of the size candidates x targets is written. What does not fit (a policy that weighs scores, a
candidate that a policy lacks or the log could not show, an override outside of the candidates, a cold title with a
share of exploration of its own) is left to ``targets`` and ``sums``, whose figures these are.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from keyart.evaluation.sums import Frame
from keyart.evaluation.targets import BEHAVIOURS, BEST_ONLY, Overrides, Stacked, Targets, first_own

__all__ = ["Quick"]

COLDER = 1e-12
"""Of a title's even share over what follows from the floor: less is rounding."""


@dataclass(frozen=True)
class Quick:
    """What the pass needs of policies and candidate sets besides their own tables; made once an evaluation.

    Its T targets are those of ``Targets`` without the even draw: kind by kind, and of a kind policy by policy.
    """

    fits: np.ndarray  # (S, P): of decisions with this set in this place all targets are two numbers and a place
    ordered: np.ndarray  # (S,) whether the set's codes follow one another, so that a difference is a place
    group: np.ndarray  # (T,) class of each target
    hit: np.ndarray  # (K + 1, classes) by number of candidates
    rest: np.ndarray
    levels: np.ndarray  # (kinds,) which of BEHAVIOURS the targets are, one a policy
    order: np.ndarray  # (T,) column of ``Targets.fill`` that each stands for

    @classmethod
    def of(
        cls, targets: Targets, tables: Stacked, title: np.ndarray, offsets: np.ndarray, artworks: np.ndarray,
        support: np.ndarray,
    ) -> "Quick":  # fmt: skip
        """For candidate sets with these titles (S,), laid end to end and cut by ``offsets`` (S + 1,)."""
        kinds = [k for k, name in enumerate(BEHAVIOURS) if name in targets.behaviours and name != "uniform"]
        policies, most = targets.policies, int(np.diff(offsets).max(initial=1))
        fits = np.zeros((len(title), len(tables.by_region)), dtype=np.bool_)
        served = targets.behaviours[-1] == "served"
        if not served or all(policy.exploration.kind in BEST_ONLY for policy in policies):
            _fits(
                fits, title, offsets, artworks, support, tables.everywhere, tables.by_region, tables.known,
                tables.sizes, "global" in targets.behaviours,
            )  # fmt: skip
        if served:
            usual = np.minimum(1.0, tables.least * tables.sizes)
            fits &= ~np.any(tables.even > usual + COLDER, axis=2)[:, title].T
        hit, rest = np.ones((len(kinds), len(policies), most + 1)), np.zeros((len(kinds), len(policies), most + 1))
        if served:
            width = min(most + 1, tables.hit.shape[1])
            size = np.maximum(np.arange(width), 1)
            share = np.minimum(1.0, tables.least[:, None] * size)
            for into, drawn in ((hit, tables.hit), (rest, tables.rest)):
                into[-1, :, :width] = (1 - share) * drawn[:, :width] + share / size
        both = np.concatenate([hit, rest], axis=2).reshape(len(kinds) * len(policies), -1)
        classes, group = np.unique(both, axis=0, return_inverse=True)
        where = targets.order()[:, [i for i, name in enumerate(targets.behaviours) if name != "uniform"]]
        return cls(
            fits,
            _ordered(offsets, artworks),
            group.ravel(),
            np.ascontiguousarray(classes[:, : most + 1].T),
            np.ascontiguousarray(classes[:, most + 1 :].T),
            np.array(kinds),
            where.T.ravel(),
        )

    def room(self, frame: Frame, cells: int) -> tuple[np.ndarray, np.ndarray]:
        """Empty sums (cells, classes, columns of a target) and largest weights (cells, classes) of the classes."""
        classes = self.hit.shape[1]
        return np.zeros((cells, classes, frame.width)), np.zeros((cells, classes))

    def add(
        self, cell: np.ndarray, sets: np.ndarray, title: np.ndarray, place: np.ndarray, kids: np.ndarray,
        member: np.ndarray, offsets: np.ndarray, candidates: np.ndarray, slot: np.ndarray, propensity: np.ndarray,
        reward: np.ndarray, q: np.ndarray, own: Overrides, tables: Stacked, clip: float, switch: float, frame: Frame,
        sums: np.ndarray, common: np.ndarray, largest: np.ndarray, shares: tuple[np.ndarray, np.ndarray],
    ) -> np.ndarray:  # fmt: skip
        """Add decisions to ``sums``, ``common`` and ``largest`` as ``sums.add_up`` does, and to ``shares`` (as ``room``
        made them), which ``share_out`` brings home.

        Other arrays as in ``sums.add_up`` and ``Targets.fill``. Answers which decisions (n,) were left.
        """
        left = np.zeros(len(cell), dtype=np.bool_)
        _add(
            left, cell, sets, title, place, kids, member, offsets, candidates, slot, propensity, reward, q,
            own.offsets, own.title, own.policy, own.artwork, own.segment, tables.everywhere, tables.by_region,
            tables.by_segment, self.fits, self.ordered, self.group, self.hit, self.rest, self.levels, self.order,
            frame.columns[self.order], clip, switch, sums, common, largest, *shares,
        )  # fmt: skip
        return left

    def share_out(
        self, frame: Frame, shares: tuple[np.ndarray, np.ndarray], sums: np.ndarray, largest: np.ndarray
    ) -> None:
        """Add what targets of a class share to each one's columns of ``sums``, and raise its ``largest``."""
        kept, most = shares
        for column, c in zip(self.order, self.group, strict=True):
            start = frame.columns[column]
            sums[:, start : start + frame.width] += kept[:, c]
            np.maximum(largest[:, column], most[:, c], out=largest[:, column])


def _ordered(offsets: np.ndarray, artworks: np.ndarray) -> np.ndarray:
    """Of each set, whether its codes follow one another."""
    breaks = np.concatenate([[0], np.cumsum(np.diff(artworks) != 1)])  # before each place
    first, last = offsets[:-1], np.maximum(offsets[1:] - 1, offsets[:-1])
    full = offsets[1:] > first
    found = np.zeros(len(first), dtype=np.bool_)
    found[full] = breaks[last[full]] == breaks[first[full]]
    return found


@njit(cache=True, nogil=True)
def _fits(fits, title, offsets, artworks, support, everywhere, by_region, known, sizes, with_global):
    """Every candidate could be shown and is known to every policy, which has no other and whose best is among them."""
    policies = by_region.shape[2]
    for s in range(len(title)):
        first, end = offsets[s], offsets[s + 1]
        can = True
        for j in range(first, end):
            can = can and support[j]
        if not can:
            continue
        t = title[s]
        for r in range(fits.shape[1]):
            good = True
            for g in range(policies):
                good = good and sizes[r, t, g] == end - first
                found = not with_global
                best = False
                for j in range(first, end):
                    good = good and known[r, artworks[j], g]
                    best = best or artworks[j] == by_region[r, t, g]
                    found = found or artworks[j] == everywhere[r, t, g]
                good = good and found and best
                if not good:
                    break
            fits[s, r] = good


@njit(cache=True, nogil=True, error_model="numpy")
def _add(
    left, cell, sets, title, where, kids, member, offsets, candidates, slot, propensity, reward, q,
    own_offsets, own_titles, own_policies, own_artworks, segment, everywhere, by_region, by_segment,
    fits, ordered, group, hit, rest, levels, order, columns, clip, switch, sums, common, largest, shared, most,
):  # fmt: skip
    policies, metrics, classes = by_region.shape[2], reward.shape[1], hit.shape[1]
    targets = len(levels) * policies
    head, width = 1 + metrics, 4 + 6 * metrics
    place = np.empty(targets, dtype=np.int32)
    among = np.empty(policies, dtype=np.int32)  # what members of the segment see
    personal = np.empty(policies, dtype=np.int32)
    total = np.empty(metrics)
    terms = np.zeros((1 + 2 * classes, width))  # of the even draw; of each class where others are shown; and its best
    heavy, gap = np.empty(classes), np.empty(targets)
    values = np.empty((metrics, hit.shape[0]))
    expected = np.zeros((metrics, targets))  # of the cell in hand, to be added to its sums when another comes
    last = cell[0] if len(cell) else 0
    for i in range(len(cell)):
        r, t, first = where[i], title[i], offsets[i]
        k = offsets[i + 1] - first
        if not fits[sets[i], r]:
            left[i] = True
            continue
        for g in range(policies):
            among[g] = by_segment[r, 0, t, g]
        if not kids[i]:
            for g in range(segment.shape[1]):
                among[g] = by_segment[r, segment[member[i], g], t, g]
        personal[:] = among
        if not kids[i]:
            at, stop = first_own(own_offsets, own_titles, member[i], t), own_offsets[member[i] + 1]
            while at < stop and own_titles[at] == t:
                personal[own_policies[at]] = own_artworks[at]
                at += 1
        for c in range(len(levels)):
            x = c * policies
            if levels[c] == 1:
                for g in range(policies):
                    place[x + g] = everywhere[r, t, g]
            elif levels[c] == 2:
                for g in range(policies):
                    place[x + g] = by_region[r, t, g]
            elif levels[c] == 3:
                for g in range(policies):
                    place[x + g] = by_segment[r, 0, t, g]
            elif levels[c] == 4:
                for g in range(policies):
                    place[x + g] = among[g]
            else:
                for g in range(policies):
                    place[x + g] = personal[g]
        if ordered[sets[i]]:
            begin = candidates[first]
            for x in range(targets):
                place[x] -= begin
        else:
            for x in range(targets):
                found = -1
                for j in range(k):
                    found = j if candidates[first + j] == place[x] else found
                place[x] = found
        inside = True
        for x in range(targets):
            inside = inside & (place[x] >= 0) & (place[x] < k)
        if not inside:
            left[i] = True
            continue
        here, s = cell[i], slot[i]
        if here != last:
            _empty(expected, sums, last, columns)
            last = here
        inverse = 1.0 / propensity[i]
        for m in range(metrics):
            total[m] = 0.0
        for j in range(k):
            for m in range(metrics):
                values[m, j] = q[first + j, m]
                total[m] += values[m, j]
        common[here, 0] += 1.0
        for m in range(metrics):
            common[here, 1 + m] += reward[i, m]
        even = 1.0 / k  # the draw that all policies share
        largest[here, 0] = max(largest[here, 0], even * inverse)
        _terms(terms, 0, even, even * inverse, i, first + s, reward, q, total, clip, switch)
        for y in range(width):
            common[here, head + y] += terms[0, y]
        for c in range(classes):
            low, high, p = 1 + c, 1 + classes + c, rest[k, c]
            heavy[c] = hit[k, c] * inverse
            most[here, c] = max(most[here, c], p * inverse)
            _terms(terms, low, p, p * inverse, i, first + s, reward, q, total, clip, switch)
            _terms(terms, high, hit[k, c], heavy[c], i, first + s, reward, q, total, clip, switch)
            for y in range(width):
                shared[here, c, y] += terms[low, y]
                terms[high, y] -= terms[low, y]
            for m in range(metrics):
                terms[high, 6 + 6 * m] = 0.0  # the expected prediction goes by what is best, not by what was served
        for x in range(targets):
            gap[x] = hit[k, group[x]] - rest[k, group[x]]
        for m in range(metrics):
            for x in range(targets):
                expected[m, x] += gap[x] * values[m, place[x]]
        for x in range(targets):
            c, at = group[x], columns[x]
            if place[x] == s:
                largest[here, order[x]] = max(largest[here, order[x]], heavy[c])
                for y in range(width):
                    sums[here, at + y] += terms[1 + classes + c, y]
    _empty(expected, sums, last, columns)


@njit(cache=True, nogil=True, inline="always")
def _empty(expected, sums, cell, columns):
    """Add expected predictions (metrics, targets) to a cell's sums."""
    for m in range(expected.shape[0]):
        for x in range(expected.shape[1]):
            sums[cell, columns[x] + 6 + 6 * m] += expected[m, x]
            expected[m, x] = 0.0


@njit(cache=True, nogil=True, inline="always", error_model="numpy")
def _terms(terms, row, p, w, i, served, reward, q, total, clip, switch):
    """What a decision adds to a target that gives p to what was served, of weight w, and p to any other candidate."""
    terms[row, 0], terms[row, 1], terms[row, 2], terms[row, 3] = w, w * w, p, w * w * w
    low, kept = min(w, clip), w if w <= switch else 0.0
    for m in range(reward.shape[1]):
        value = reward[i, m]
        miss = value - q[served, m]
        y = 4 + 6 * m
        terms[row, y], terms[row, y + 1], terms[row, y + 2] = w * value, low * value, p * total[m]
        terms[row, y + 3], terms[row, y + 4], terms[row, y + 5] = w * miss, kept * miss, p * value
