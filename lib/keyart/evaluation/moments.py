"""Which sums an evaluation keeps, by member, and their first and second moments over members."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["BY_METRIC", "BY_TARGET", "Layout", "Moments", "member_sums"]

BY_TARGET = ("w", "w2", "p", "w3")
BY_METRIC = ("wr", "cr", "q", "wd", "sd", "pr")
PAGE_BY_TARGET = ("pw", "pw2")
PAGE_BY_METRIC = ("pwr", "pir")
PLAN_BY_METRIC = ("ragree", "rdiffer", "w2r2")


@dataclass(frozen=True)
class Layout:
    """Which column of a row holds what, for some targets (behaviours) and metrics.

    Columns are (kind, target, metric). Of a decision: n 1; r outcome; w weight; w2 its square; w3 its cube; p target
    probability of what was served; wr w x outcome; cr the same with w clipped; q expected prediction under the target;
    wd w x (outcome - prediction of what was served); sd the same where w is at most the switch; pr p x outcome. With
    ``extras`` also of a page (``slates``): pages 1; pw product of weights; pw2 its square; pwr pw x the page's outcome;
    pir the pseudo-inverse weight x outcome; and of the plan (``precision``): size, ragree, rdiffer, w2r2.
    """

    targets: tuple[str, ...]
    metrics: tuple[str, ...]
    extras: bool = False

    @cached_property
    def names(self) -> tuple[tuple[str, ...], ...]:
        """All columns, in order: the decisions' first, target by target, then the extras."""
        found: list[tuple[str, ...]] = [("n",), *(("r", m) for m in self.metrics)]
        for t in self.targets:
            found += [(kind, t) for kind in BY_TARGET]
            found += [(kind, t, m) for m in self.metrics for kind in BY_METRIC]
        if self.extras:
            found += [("pages",), ("size",)]
            for t in self.targets:
                found += [(kind, t) for kind in PAGE_BY_TARGET]
                found += [(kind, t, m) for m in self.metrics for kind in (*PAGE_BY_METRIC, *PLAN_BY_METRIC)]
        return tuple(found)

    def unit(self, *name: str) -> np.ndarray:
        """The vector that picks one column."""
        picked = np.zeros(len(self.names))
        picked[self._places[name]] = 1.0
        return picked

    @cached_property
    def _places(self) -> dict[tuple[str, ...], int]:
        return {name: i for i, name in enumerate(self.names)}

    def rows(
        self,
        weights: Mapping[str, np.ndarray],
        rewards: Mapping[str, np.ndarray],
        served: Mapping[str, np.ndarray],
        expected: Mapping[tuple[str, str], np.ndarray],
        propensity: np.ndarray | float = 1.0,
        clip: float = np.inf,
        switch: float = np.inf,
    ) -> np.ndarray:
        """Rows (n, columns) from weights by target, rewards and predictions for what was served by metric, and the
        expected prediction under the target by (target, metric); each array is (n,). Extras stay 0.

        The plain form of what ``sums.add_up`` does in one compiled pass.
        """
        first = weights[self.targets[0]]
        columns: dict[tuple[str, ...], np.ndarray] = {("n",): np.ones(len(first))}
        columns |= {("r", m): np.asarray(rewards[m]) for m in self.metrics}
        for t in self.targets:
            w = np.asarray(weights[t], dtype=np.float64)
            columns["w", t], columns["w2", t], columns["p", t] = w, w**2, w * propensity
            columns["w3", t] = w**3
            for m in self.metrics:
                columns["wr", t, m] = w * rewards[m]
                columns["cr", t, m] = np.minimum(w, clip) * rewards[m]
                columns["q", t, m] = expected[t, m]
                columns["wd", t, m] = w * (rewards[m] - served[m])
                columns["sd", t, m] = np.where(w <= switch, columns["wd", t, m], 0.0)
                columns["pr", t, m] = w * propensity * rewards[m]
        nothing = np.zeros(len(first))
        return np.stack([columns.get(name, nothing) for name in self.names], axis=1).astype(np.float64)


def member_sums(rows: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Rows (n, J) added up by member: (members, J), in the order of the sorted member codes."""
    order = np.argsort(members, kind="stable")
    _, starts = np.unique(members[order], return_index=True)
    return np.add.reduceat(rows[order], starts, axis=0) if len(rows) else np.zeros((0, rows.shape[1]))


@dataclass(frozen=True)
class Moments:
    """First and second moments over members; those of disjoint groups of members add up."""

    members: int
    sums: np.ndarray  # (J,)
    products: np.ndarray  # (J, J), sum over members of the outer product of their sums

    @classmethod
    def of(cls, sums: np.ndarray) -> "Moments":
        """From members' sums (members, J)."""
        return cls(len(sums), sums.sum(axis=0), sums.T @ sums)

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.members + other.members, self.sums + other.sums, self.products + other.products)

    def covariance(self) -> np.ndarray:
        """Of the first moments, (J, J); not a number with fewer than two members."""
        return self._covariance

    @cached_property
    def _covariance(self) -> np.ndarray:
        if self.members < 2:
            return np.full_like(self.products, np.nan)
        centred = self.products - np.outer(self.sums, self.sums) / self.members
        return centred * self.members / (self.members - 1)
