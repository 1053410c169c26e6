"""Alternating least squares for implicit feedback (Hu, Koren, Volinsky 2008), as sums over blocks of members.

The objective is  sum over all members u and titles i of  c_ui (p_ui - x_u . y_i)^2  +  l2 (|X|^2 + |Y|^2)  with p = 1
and c >= 1 where u engaged with i, p = 0 and c = 1 elsewhere. A block is a sparse (members, titles) matrix of
confidences c. One look at it solves its members against the title factors and adds up what the title half needs.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from keyart.seeding import rng

__all__ = ["TitleSums", "first_titles", "member_factors", "objective", "packed_outer", "solve_titles", "title_sums"]

CHUNK = 8192
"""Members solved at once; bounds a chunk's normal matrices."""


def first_titles(count: int, rank: int, seed: int) -> np.ndarray:
    """Title factors to start from, (count, rank)."""
    return rng(seed, "als", "titles").normal(scale=rank**-0.5, size=(count, rank))


def packed_outer(rows: np.ndarray) -> np.ndarray:
    """The upper triangle of each row's outer product with itself: (n, r) gives (n, r (r + 1) / 2)."""
    upper, lower = np.triu_indices(rows.shape[1])
    return rows[:, upper] * rows[:, lower]


def unpacked(packed: np.ndarray, rank: int) -> np.ndarray:
    """Symmetric matrices from their upper triangles: (n, r (r + 1) / 2) gives (n, r, r)."""
    place = np.zeros((rank, rank), dtype=np.int64)
    upper = np.triu_indices(rank)
    place[upper] = np.arange(packed.shape[1])
    return packed[:, np.maximum(place, place.T)]


def member_factors(confidence: csr_array, titles: np.ndarray, l2: float) -> np.ndarray:
    """The member half: (n, rank) factors that minimise the objective given title factors (titles, rank).

    Solves (Y'Y + Y'(C_u - 1)Y + l2) x_u = Y' C_u p_u for every member; Y'(C_u - 1)Y of a whole chunk is one product of
    the sparse matrix with the titles' packed outer products.
    """
    rank = titles.shape[1]
    outer = packed_outer(titles)
    shared = titles.T @ titles + l2 * np.eye(rank)
    solved = np.empty((confidence.shape[0], rank))
    for start in range(0, confidence.shape[0], CHUNK):
        chunk = confidence[start : start + CHUNK]
        normal = unpacked(_extra(chunk) @ outer, rank) + shared
        solved[start : start + CHUNK] = np.linalg.solve(normal, (chunk @ titles)[..., None])[..., 0]
    return solved


@dataclass(frozen=True)
class TitleSums:
    """What the title half needs of all members; every field is a sum over members."""

    gram: np.ndarray  # (r, r) X'X
    normal: np.ndarray  # (titles, r (r + 1) / 2) packed X'(C_i - 1)X
    right: np.ndarray  # (titles, r) X' C_i p_i
    confidence: np.ndarray  # () sum of c over engagements


def title_sums(confidence: csr_array, members: np.ndarray) -> TitleSums:
    """The sums of one block: confidences (n, titles) and the members' factors (n, rank)."""
    shape = (confidence.shape[1], packed_outer(members[:0]).shape[1])
    normal, by_title = np.zeros(shape), confidence.T.tocsr()
    for start in range(0, len(members), CHUNK):
        chunk = slice(start, start + CHUNK)
        normal += _extra(confidence[chunk]).T @ packed_outer(members[chunk])
    return TitleSums(members.T @ members, normal, by_title @ members, np.asarray(confidence.data.sum()))


def solve_titles(sums: TitleSums, l2: float) -> np.ndarray:
    """The title half: (titles, rank) factors that minimise the objective given the members behind the sums."""
    rank = len(sums.gram)
    normal = unpacked(sums.normal, rank) + sums.gram + l2 * np.eye(rank)
    return np.linalg.solve(normal, sums.right[..., None])[..., 0]


def objective(sums: TitleSums, titles: np.ndarray, l2: float) -> float:
    """The objective at title factors (titles, rank) and the members behind the sums; no pass over members is needed.

    Given X it is quadratic in each y_i: y_i' (X'X + X'(C_i - 1)X) y_i - 2 y_i' X' C_i p_i + sum of c.
    """
    rank = len(sums.gram)
    normal = unpacked(sums.normal, rank) + sums.gram
    fit = np.einsum("ir,irs,is->", titles, normal, titles) - 2 * np.sum(titles * sums.right) + sums.confidence
    return float(fit + l2 * (np.trace(sums.gram) + np.sum(titles**2)))


def _extra(confidence: csr_array) -> csr_array:
    """Confidences above that of what nobody engaged with: c - 1."""
    return csr_array((confidence.data - 1, confidence.indices, confidence.indptr), shape=confidence.shape)
