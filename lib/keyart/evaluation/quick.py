"""The compiled pass for what most decisions are: every policy has one best artwork and draws the others alike.

A target's probabilities over k candidates are then two numbers and a place: ``hit`` for its best, ``rest`` for any
other (a greedy target has 1 and 0, an even draw 1 / k twice, epsilon-greedy what its epsilon says). Nothing of the size
candidates x targets is written: the expected prediction is rest x the candidates' sum + (hit - rest) x the best's, and
all targets of a decision are worked out side by side. What does not fit (a policy that weighs scores, a candidate that
a policy lacks or the log could not show, an override outside of the candidates, a cold title with a share of
exploration of its own) is left to ``targets`` and ``sums``,
whose figures these are.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from keyart.evaluation.moments import BY_METRIC, BY_TARGET
from keyart.evaluation.sums import Frame
from keyart.evaluation.targets import BEHAVIOURS, BEST_ONLY, Overrides, Stacked, Targets, first_own

__all__ = ["Quick", "room"]

COLDER = 1e-12
"""Of a title's even share over what follows from the floor: less is rounding."""


@dataclass(frozen=True)
class Quick:
    """What the pass needs of policies and candidate sets besides their own tables; made once an evaluation."""

    fits: np.ndarray  # (S, R): of decisions with this set in this region all targets are two numbers and a place
    hit: np.ndarray  # (K + 1, T) by number of candidates and target: kind by kind, and of a kind policy by policy
    rest: np.ndarray
    levels: np.ndarray  # (kinds,) which of BEHAVIOURS the targets are, G of each
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
        where = targets.order()[:, [i for i, name in enumerate(targets.behaviours) if name != "uniform"]]
        shape = (len(kinds) * len(policies), most + 1)
        return cls(
            fits,
            np.ascontiguousarray(hit.reshape(shape).T),
            np.ascontiguousarray(rest.reshape(shape).T),
            np.array(kinds),
            where.T.ravel(),
        )

    def add(
        self, cell: np.ndarray, sets: np.ndarray, title: np.ndarray, region: np.ndarray, kids: np.ndarray,
        member: np.ndarray, offsets: np.ndarray, candidates: np.ndarray, slot: np.ndarray, propensity: np.ndarray,
        reward: np.ndarray, q: np.ndarray, own: Overrides, tables: Stacked, clip: float, switch: float,
        into: np.ndarray, common: np.ndarray, largest: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """Add decisions to ``into`` (cells, kinds of sum, T) and ``common``; raise ``largest`` (cells, 1 + T).

        Arrays as in ``sums.add_up`` and ``Targets.fill``. Answers which decisions (n,) were left.
        """
        left = np.zeros(len(cell), dtype=np.bool_)
        _add(
            left, cell, sets, title, region, kids, member, offsets, candidates, slot, propensity, reward, q,
            own.offsets, own.title, own.policy, own.artwork, tables.everywhere, tables.by_region,
            self.fits, self.hit, self.rest, self.levels, clip, switch, into, common, largest,
        )  # fmt: skip
        return left

    def share_out(
        self, frame: Frame, into: np.ndarray, largest: np.ndarray, sums: np.ndarray, most: np.ndarray
    ) -> None:
        """Bring sums (cells, kinds of sum, T) and largest weights to their places in ``sums`` and ``most`` (cells,
        T)."""
        for t, column in enumerate(self.order):
            start = frame.columns[column]
            sums[:, start : start + frame.width] += into[:, :, t]
            np.maximum(most[:, column], largest[:, 1 + t], out=most[:, column])
        np.maximum(most[:, 0], largest[:, 0], out=most[:, 0])


def room(cells: int, targets: int, metrics: int) -> tuple[np.ndarray, np.ndarray]:
    """Empty sums (cells, kinds of sum, T) and largest weights (cells, 1 + T)."""
    return np.zeros((cells, len(BY_TARGET) + metrics * len(BY_METRIC), targets)), np.zeros((cells, 1 + targets))


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
    left, cell, sets, title, region, kids, member, offsets, candidates, slot, propensity, reward, q,
    own_offsets, own_titles, own_policies, own_artworks, everywhere, by_region,
    fits, hit, rest, levels, clip, switch, into, common, largest,
):  # fmt: skip
    policies, metrics = by_region.shape[2], reward.shape[1]
    targets = len(levels) * policies
    place = np.empty(targets, dtype=np.int32)
    personal = np.empty(policies, dtype=np.int32)
    total = np.empty(metrics)
    p, w = np.empty(targets), np.empty(targets)
    now = np.zeros(1 + metrics + 4 + 6 * metrics)
    for i in range(len(cell)):
        r, t, first = region[i], title[i], offsets[i]
        k = offsets[i + 1] - first
        if not fits[sets[i], r]:
            left[i] = True
            continue
        begin = candidates[first]
        shelf = by_region[r, t]
        ordered = candidates[offsets[i + 1] - 1] - begin == k - 1  # codes of a title stand together, in order
        for j in range(1, k):
            ordered = ordered and candidates[first + j] == begin + j
        for g in range(policies):
            personal[g] = shelf[g]
        if not kids[i]:
            at, stop = first_own(own_offsets, own_titles, member[i], t), own_offsets[member[i] + 1]
            while at < stop and own_titles[at] == t:
                personal[own_policies[at]] = own_artworks[at]
                at += 1
        for c in range(len(levels)):
            for g in range(policies):
                artwork = everywhere[r, t, g] if levels[c] == 1 else shelf[g] if levels[c] == 2 else personal[g]
                found = artwork - begin
                if not ordered:
                    found = -1
                    for j in range(k):
                        found = j if candidates[first + j] == artwork else found
                place[c * policies + g] = found
        inside = True
        for x in range(targets):
            inside = inside and 0 <= place[x] < k
        if not inside:
            left[i] = True
            continue
        here, s = cell[i], slot[i]
        inverse = 1.0 / propensity[i]
        rewarded = False
        for m in range(metrics):
            total[m] = 0.0
            rewarded = rewarded or reward[i, m] != 0.0
        for j in range(first, first + k):
            for m in range(metrics):
                total[m] += q[j, m]
        # The even draw, which all policies share.
        even = 1.0 / k
        now[0] = 1.0
        one = even * inverse
        now[1 + metrics] = one
        now[2 + metrics] = one * one
        now[3 + metrics] = even
        now[4 + metrics] = one * one * one
        y = 5 + metrics
        for m in range(metrics):
            value = reward[i, m]
            now[1 + m] = value
            miss = value - q[first + s, m]
            now[y] = one * value
            now[y + 1] = min(one, clip) * value
            now[y + 2] = even * total[m]
            now[y + 3] = one * miss
            now[y + 4] = one * miss if one <= switch else 0.0
            now[y + 5] = even * value
            y += 6
        for x in range(len(now)):
            common[here, x] += now[x]
        largest[here, 0] = max(largest[here, 0], one)
        sums, most, best, others = into[here], largest[here], hit[k], rest[k]
        for x in range(targets):
            p[x] = best[x] if place[x] == s else others[x]
        for x in range(targets):
            w[x] = p[x] * inverse
            most[1 + x] = max(most[1 + x], w[x])
            sums[0, x] += w[x]
            sums[1, x] += w[x] * w[x]
            sums[2, x] += p[x]
            sums[3, x] += w[x] * w[x] * w[x]
        y = 4
        for m in range(metrics):
            value = reward[i, m]
            miss = value - q[first + s, m]
            for x in range(targets):
                low = others[x]
                sums[y + 2, x] += low * total[m] + (best[x] - low) * q[first + place[x], m]
            for x in range(targets):
                sums[y + 3, x] += w[x] * miss
                sums[y + 4, x] += (w[x] if w[x] <= switch else 0.0) * miss
            if rewarded:
                for x in range(targets):
                    sums[y, x] += w[x] * value
                    sums[y + 1, x] += min(w[x], clip) * value
                    sums[y + 5, x] += p[x] * value
            y += 6
