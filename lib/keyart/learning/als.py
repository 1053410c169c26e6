"""Alternating least squares for implicit feedback (Hu, Koren, Volinsky 2008), as sums over blocks of members.

The objective is  sum over all members u and titles i of  c_ui (p_ui - x_u . y_i)^2  +  sum l2_u |x_u|^2  +  sum l2_i
|y_i|^2  with p = 1 and c >= 1 where u engaged with i, p = 0 and c = 1 elsewhere. The L2 of a row with n engagements is
l2 n^scaling: scaling 0 is Hu's, scaling 1 that of MLlib (ALS-WR; Zhou et al. 2008).

A block is a sparse (members, titles) matrix of confidences c. One look at it solves its members against the title
factors and adds up what the title half needs; titles come in slices where the sums of all would be too large.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy.linalg.cython_blas  # noqa: F401 - the BLAS of numba, loaded here so that threadpoolctl finds it
from scipy.sparse import csr_array

from keyart.learning.als_kernels import add_outer_sums, solve_columns, solve_rows
from keyart.learning.blocks import Arrays
from keyart.seeding import rng

__all__ = [
    "Against", "Ridge", "TitleSums", "first_titles", "member_factors", "packed_outer", "slices", "solve_titles",
]  # fmt: skip


def packed_outer(rows: np.ndarray) -> np.ndarray:
    """The upper triangle of each row's outer product with itself: (n, r) gives (n, r (r + 1) / 2)."""
    upper, lower = np.triu_indices(rows.shape[1])
    return rows[:, upper] * rows[:, lower]


@dataclass(frozen=True)
class Ridge:
    """L2 of a row by its number of engagements."""

    l2: float
    scaling: float = 0.0

    def of(self, counts: np.ndarray) -> np.ndarray:
        """(n,) strengths; a row without engagements has that of one."""
        return self.l2 * np.maximum(np.asarray(counts, dtype=np.float64), 1.0) ** self.scaling


@dataclass(frozen=True)
class Against:
    """Title factors in the basis in which Y'Y is diagonal: there a member's system is I plus what they engaged with."""

    basis: np.ndarray  # (titles, rank) float32
    spectrum: np.ndarray  # (rank,) float32, of Y'Y
    rotation: np.ndarray  # (rank, rank) float32 from the basis back

    @classmethod
    def titles(cls, titles: np.ndarray) -> "Against":
        """Of title factors (titles, rank)."""
        spectrum, rotation = np.linalg.eigh(titles.T @ titles)
        single = (titles @ rotation, np.maximum(spectrum, 0), np.ascontiguousarray(rotation.T))
        return cls(*(np.ascontiguousarray(array, dtype=np.float32) for array in single))


def first_titles(count: int, rank: int, seed: int) -> np.ndarray:
    """Title factors to start from, (count, rank)."""
    return rng(seed, "als", "titles").normal(scale=rank**-0.5, size=(count, rank))


def member_factors(confidence: csr_array, against: Against, ridge: Ridge) -> tuple[np.ndarray, float]:
    """The member half: (n, rank) float32 factors that minimise the objective given title factors, and their part of it.

    Solves (Y'Y + Y'(C_u - 1)Y + l2_u) x_u = Y' C_u p_u for every member; at the solution what member u adds to the
    objective is sum of c - x_u . Y' C_u p_u. Who engaged with nothing gets 0 and adds nothing.
    """
    solved = np.empty((confidence.shape[0], len(against.spectrum)), dtype=np.float32)
    offsets, columns = confidence.indptr.astype(np.int64), confidence.indices.astype(np.int32)
    single = confidence.data.astype(np.float32)
    value = solve_rows(offsets, columns, single, against.basis, against.spectrum, ridge.l2, ridge.scaling, solved)
    return solved @ against.rotation, float(value)


@dataclass(frozen=True)
class TitleSums:
    """What the title half needs of all members, for the titles of one slice; every field is a sum over members."""

    gram: np.ndarray  # (r, r) X'X
    normal: np.ndarray  # (titles, r (r + 1) / 2) packed upper halves of X'(C_i - 1)X
    right: np.ndarray  # (titles, r) X' C_i p_i
    value: np.ndarray  # () the objective less the titles' L2

    @classmethod
    def zero(cls, titles: int, rank: int) -> "TitleSums":
        """Of nobody."""
        width = rank * (rank + 1) // 2
        return cls(*(np.zeros(shape) for shape in ((rank, rank), (titles, width), (titles, rank), ())))

    def add(self, confidence: csr_array, members: np.ndarray, value: float, titles: slice) -> None:
        """Add a block in place: confidences (n, all titles), members' factors (n, rank) and part of the objective."""
        columns = confidence.tocsc()
        offsets = columns.indptr[titles.start : titles.stop + 1].astype(np.int64)
        single = columns.data.astype(np.float32)
        add_outer_sums(offsets, columns.indices.astype(np.int32), single, members, self.normal, self.right)
        double = members.astype(np.float64)
        self.gram[...] += double.T @ double
        self.value[...] += value

    def include(self, part: Arrays) -> None:
        """Add, in place, what ``part`` said of all these titles elsewhere."""
        for name, total in vars(self).items():
            total[...] += part[name]

    def part(self, titles: slice) -> Arrays:
        """The sums of some titles of the slice, as arrays by name; what tasks exchange is single precision."""
        return {
            "gram": self.gram,
            "normal": self.normal[titles].astype(np.float32),
            "right": self.right[titles],
            "value": self.value,
        }


def solve_titles(sums: TitleSums, before: np.ndarray, l2: np.ndarray) -> tuple[np.ndarray, float]:
    """The title half: (titles, rank) factors that minimise the objective given the members behind the sums and the
    titles' strengths (titles,), and by how much they differ in it from factors ``before`` without any L2.

    Given X the objective is quadratic in each y_i: y_i' (X'X + X'(C_i - 1)X) y_i - 2 y_i' X' C_i p_i. The objective
    after the title half is thus ``sums.value`` plus this difference, over all titles. Titles nobody engaged with get 0.
    """
    solved = sums.right.copy()
    change = solve_columns(sums.normal, sums.gram, l2, before, solved)
    return solved, float(change)


def slices(titles: int, rank: int, megabytes: float) -> list[slice]:
    """Titles in as few equal runs as keep the double sums of one below ``megabytes``.

    A pass updates the titles of one slice while the others stand still: the objective falls with each.
    """
    rows = max(1, int(megabytes * 1e6 / (8 * rank * (rank + 1) / 2)))
    count = -(-titles // rows)
    borders = np.linspace(0, titles, count + 1).astype(int)
    return [slice(int(start), int(stop)) for start, stop in pairwise(borders)]
