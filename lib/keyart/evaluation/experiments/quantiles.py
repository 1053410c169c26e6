"""Quantiles of values that come in clusters, from sums: how long is watched in the short and the long takes.

Values are counted on a fixed grid of thresholds. With c a member's values at or below a threshold, n all of theirs, the
share F = sum c / sum n has a variance clustered by member (delta method); where F's interval crosses p lie the ends of
the quantile's interval (Woodruff 1952; Deng, Knoblich and Lu 2018 for A/B tests). The sums add up over workers.
"""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np

__all__ = ["Sketch", "grid", "quantile_difference"]


def grid(smallest: float, largest: float, thresholds: int = 200) -> np.ndarray:
    """Thresholds at equal ratios; a quantile between two of them is interpolated."""
    return np.geomspace(smallest, largest, thresholds)


@dataclass(frozen=True)
class Sketch:
    """Sums over members at each threshold (K,): counts c, squares of c and products with n; and of n and its square."""

    members: int
    counts: np.ndarray
    squares: np.ndarray
    products: np.ndarray
    n: float
    n2: float

    @classmethod
    def of(cls, values: np.ndarray, members: np.ndarray, thresholds: np.ndarray) -> "Sketch":
        """From values (v,) and the member code of each (v,); members without a value do not matter here."""
        _, owner = np.unique(members, return_inverse=True)
        m, k = int(owner.max(initial=-1)) + 1, len(thresholds)
        bin_of = np.searchsorted(thresholds, values, side="left")  # value <= thresholds[bin_of]
        cells = np.zeros((m, k + 1))
        np.add.at(cells, (owner, bin_of), 1.0)
        c = np.cumsum(cells, axis=1)[:, :k]
        n = cells.sum(axis=1)
        return cls(m, c.sum(axis=0), (c**2).sum(axis=0), n @ c, float(n.sum()), float((n**2).sum()))

    def __add__(self, other: "Sketch") -> "Sketch":
        return Sketch(
            self.members + other.members,
            self.counts + other.counts,
            self.squares + other.squares,
            self.products + other.products,
            self.n + other.n,
            self.n2 + other.n2,
        )

    def flat(self) -> np.ndarray:
        """As one vector that adds up."""
        return np.concatenate([[self.members, self.n, self.n2], self.counts, self.squares, self.products])

    @classmethod
    def unflat(cls, flat: np.ndarray) -> "Sketch":
        """What ``flat`` laid out."""
        counts, squares, products = np.split(flat[3:], 3)
        return cls(round(flat[0]), counts, squares, products, float(flat[1]), float(flat[2]))

    def share(self) -> tuple[np.ndarray, np.ndarray]:
        """F (K,) and its standard error (K,)."""
        if self.n == 0:
            nothing = np.full(len(self.counts), np.nan)
            return nothing, nothing
        f = self.counts / self.n
        squares = self.squares - 2 * f * self.products + f**2 * self.n2
        small = self.members / max(self.members - 1, 1)
        return f, np.sqrt(np.maximum(squares * small, 0)) / self.n

    def quantile(self, p: float, thresholds: np.ndarray) -> float:
        """The value below which a share p lies; the grid's end where it lies outside."""
        return float(np.interp(p, self.share()[0], thresholds))

    def interval(self, p: float, thresholds: np.ndarray, level: float = 0.95) -> tuple[float, float]:
        """Of the quantile, by Woodruff's method."""
        f, error = self.share()
        z = NormalDist().inv_cdf(0.5 + level / 2)
        lower = np.maximum.accumulate(f + z * error)
        upper = np.minimum.accumulate((f - z * error)[::-1])[::-1]
        return float(np.interp(p, lower, thresholds)), float(np.interp(p, upper, thresholds))


def quantile_difference(
    control: Sketch, variant: Sketch, p: float, thresholds: np.ndarray, level: float = 0.95
) -> tuple[float, float, float]:
    """Difference of the p-quantiles and its interval, from the halves of each side's own (they are independent)."""
    q = [side.quantile(p, thresholds) for side in (control, variant)]
    ends = [side.interval(p, thresholds, level) for side in (control, variant)]
    difference = q[1] - q[0]
    down = sqrt((q[1] - ends[1][0]) ** 2 + (ends[0][1] - q[0]) ** 2)
    up = sqrt((ends[1][1] - q[1]) ** 2 + (q[0] - ends[0][0]) ** 2)
    return difference, difference - down, difference + up
