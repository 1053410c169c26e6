"""Logistic regression with a bilinear term z'Wx, by sums over blocks of members.

A row is (member, combination, take, offset): ``z`` (n, K) are the members' vectors, ``x`` (J, P) those of the distinct
combinations of artwork and candidate set. The row's K x P columns are never formed. The Hessian over vec(W) is
    sum over members of  z z'  (x)  (sum over the member's rows of p (1 - p) x x'),
so the rows are first summed by member as a sparse (n, J) matrix and the rest is two dense products of packed triangles.
S weight matrices are looked at in one pass.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array
from scipy.special import expit

from keyart.errors import ModelError
from keyart.learning.als import packed_outer
from keyart.learning.blocks import Arrays

__all__ = ["Rows", "full_hessian", "log_odds", "losses", "newton_sums", "posterior_sd", "ridge_step", "score_test"]


@dataclass(frozen=True)
class Rows:
    """Decisions of a block, ordered by member."""

    z: np.ndarray  # (n, K)
    x: np.ndarray  # (J, P)
    member: np.ndarray  # (rows,) ascending, into z
    combination: np.ndarray  # (rows,) into x
    take: np.ndarray  # (rows,) 0 or 1
    offset: np.ndarray  # (rows,) log odds without the bilinear term

    def where(self, keep: np.ndarray) -> "Rows":
        """Only the rows kept, of the same members."""
        return Rows(self.z, self.x, self.member[keep], self.combination[keep], self.take[keep], self.offset[keep])

    def by_member(self, values: np.ndarray) -> csr_array:
        """Values (rows,) summed into members x combinations."""
        ends = np.concatenate([[0], np.cumsum(np.bincount(self.member, minlength=len(self.z)))])
        return csr_array((values, self.combination, ends), shape=(len(self.z), len(self.x)))


def log_odds(rows: Rows, weights: np.ndarray) -> np.ndarray:
    """Offset plus z'Wx of each row, for one weight matrix (K, P)."""
    if not weights.any():
        return rows.offset
    return rows.offset + np.einsum("rp,rp->r", (rows.z @ weights)[rows.member], rows.x[rows.combination])


def losses(take: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """Log-loss of each row in nats."""
    return np.logaddexp(0, odds) - take * odds


def newton_sums(rows: Rows, weights: np.ndarray, hessian: bool = True) -> Arrays:
    """Sums of one block at weight matrices (S, K, P): ``loss`` (S,), ``gradient`` (S, K, P) of the log-likelihood.

    With ``hessian`` also ``hessian``, its negative Hessian at the first, packed; ``full_hessian`` unfolds it.
    ModelError where vectors or offsets are not finite: one of them would spoil the sums of all members.
    """
    for name, values in (("member vectors", rows.z), ("artwork coordinates", rows.x), ("offsets", rows.offset)):
        if not np.isfinite(values).all():
            count = int((~np.isfinite(values)).sum())
            raise ModelError(f"{count} of {values.size} values of a block's {name} are not finite")
    found: Arrays = {"loss": np.zeros(len(weights)), "gradient": np.zeros(weights.shape)}
    for s, matrix in enumerate(weights):
        odds = log_odds(rows, matrix)
        chance = expit(odds)
        found["loss"][s] = losses(rows.take, odds).sum()
        found["gradient"][s] = rows.z.T @ (rows.by_member(rows.take - chance) @ rows.x)
        if hessian and s == 0:
            spread = rows.by_member(chance * (1 - chance)) @ packed_outer(rows.x)
            found["hessian"] = packed_outer(rows.z).T @ spread
    return found


def full_hessian(packed: np.ndarray, members: int, artworks: int) -> np.ndarray:
    """(K P, K P) over W raveled row by row, from the packed sums of ``newton_sums``; K members', P artworks' sizes."""
    places = []
    for size in (members, artworks):
        place = np.zeros((size, size), dtype=np.int64)
        upper = np.triu_indices(size)
        place[upper] = np.arange(len(upper[0]))
        places.append(np.maximum(place, place.T))
    left, right = places
    full = packed[left[:, None, :, None], right[None, :, None, :]]
    return full.reshape(members * artworks, members * artworks)


def score_test(hessian: np.ndarray, gradient: np.ndarray, l2: float) -> float:
    """How far the gradient at W = 0 exceeds chance, in standard deviations, in the directions that ``l2`` leaves free.

    Without an effect the gradient has mean 0 and covariance H, whatever the takes do otherwise, because x is randomised
    around 0. So g'(H + l2)^-1 g has mean tr S and variance 2 tr S^2 with S = H (H + l2)^-1 (the variance-component
    score test of le Cessie and van Houwelingen 1995).
    """
    values = np.linalg.eigvalsh(hessian)
    free = values / (values + l2)
    found = gradient.ravel() @ np.linalg.solve(hessian + l2 * np.eye(len(hessian)), gradient.ravel())
    return float((found - free.sum()) / max(np.sqrt(2 * np.sum(free**2)), 1e-12))


def ridge_step(hessian: np.ndarray, gradient: np.ndarray, weights: np.ndarray, l2: float) -> np.ndarray:
    """Newton's next weights (K, P) of the log-likelihood minus l2 |W|^2 / 2, from its sums at ``weights``."""
    factor = cho_factor(hessian + l2 * np.eye(len(hessian)), lower=True)
    return weights + cho_solve(factor, (gradient - l2 * weights).ravel()).reshape(weights.shape)


def posterior_sd(hessian: np.ndarray, l2: float) -> np.ndarray:
    """Standard deviations (K P,) of the weights under the prior N(0, 1 / l2) and the log-likelihood's Hessian."""
    factor = cho_factor(hessian + l2 * np.eye(len(hessian)), lower=True)
    return np.sqrt(np.diag(cho_solve(factor, np.eye(len(hessian)))))
