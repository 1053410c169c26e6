"""The compiled arithmetic of alternating least squares; ``als`` says what it means.

Single precision, by BLAS for titles' products; what adds up over members is double.
"""

import numpy as np
from numba import njit

__all__ = ["add_outer_sums", "solve_columns", "solve_rows", "solve_symmetric"]

PANEL = 96
"""Rows whose outer products go to one matrix product; 64 to 128 were fastest at rank 64, 256 a tenth slower."""
CLOSE = np.float32(1e-5)
"""Of a residual's norm, of what it was: about as close as single precision comes."""
STEPS = 200
"""More than are needed at confidences up to some thousand; at 100,000 factors are off by 2e-3 of themselves."""


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def solve_symmetric(matrix, right):
    """Solve a positive definite system in place: ``matrix`` (n, n), of which only the upper half is read, is spoilt and
    ``right`` (n,) becomes the answer. By Cholesky's method."""
    n = len(right)
    for first in range(0, n, 4):
        last = min(first + 4, n)
        for k in range(first, last):
            top = matrix[k]
            for h in range(first, k):
                above, factor = matrix[h], matrix[h, k]
                for j in range(k, n):
                    top[j] -= factor * above[j]
                right[k] -= factor * right[h]
            inverse = 1 / np.sqrt(top[k])
            for j in range(k, n):
                top[j] *= inverse
            right[k] *= inverse
        if last == n:
            break
        # Four rows at a time: what is left is read and written a quarter as often.
        a, b, c, d = matrix[first], matrix[first + 1], matrix[first + 2], matrix[first + 3]
        for i in range(last, n):
            row, p, q, r, s = matrix[i], a[i], b[i], c[i], d[i]
            for j in range(i, n):
                row[j] -= p * a[j] + q * b[j] + r * c[j] + s * d[j]
            right[i] -= p * right[first] + q * right[first + 1] + r * right[first + 2] + s * right[first + 3]
    for k in range(n - 1, -1, -1):
        total = right[k]
        for j in range(k + 1, n):
            total -= matrix[k, j] * right[j]
        right[k] = total / matrix[k, k]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def solve_rows(offsets, columns, confidence, basis, spectrum, l2, scaling, solved):
    """Factors of rows in the basis in which the Gram matrix of all columns is diagonal; returns their part of the
    objective, double.

    Row u's entries are ``columns`` (int32) and ``confidence`` (float32) from ``offsets[u]`` on; ``basis`` (columns,
    rank) are the column factors in that basis, ``spectrum`` (rank,) its diagonal, both float32; ``solved`` (rows, rank)
    float32 is filled. The L2 of a row with n entries is ``l2`` n ** ``scaling``.

    By conjugate gradients until the residual is CLOSE of what it was. Scaled by the diagonal, a row's system is I +
    Z'(C - 1)Z with Z'Z at most I: its eigenvalues lie between 1 and the largest confidence, so that a handful of steps,
    each of n rank, does for what by elimination is n n rank.
    """
    rank, longest = basis.shape[1], 0
    for u in range(len(offsets) - 1):
        longest = max(longest, offsets[u + 1] - offsets[u])
    rows, scale = np.empty((longest, rank), np.float32), np.empty(rank, np.float32)
    right, answer = np.empty(rank, np.float32), np.empty(rank, np.float32)
    residual, toward, image = np.empty(rank, np.float32), np.empty(rank, np.float32), np.empty(rank, np.float32)
    value = 0.0
    for u in range(len(offsets) - 1):
        begin, n = offsets[u], offsets[u + 1] - offsets[u]
        if n == 0:
            solved[u] = 0
            continue
        strength, total = l2 * n**scaling, 0.0
        for a in range(rank):
            scale[a] = 1 / np.sqrt(spectrum[a] + strength)
            right[a] = 0
        for k in range(n):
            c = confidence[begin + k]
            total += c
            row, source = rows[k], basis[columns[begin + k]]
            for a in range(rank):
                row[a] = source[a] * scale[a]
                right[a] += c * row[a]
        left = np.float32(0)
        for a in range(rank):
            answer[a] = 0
            residual[a] = toward[a] = right[a]
            left += right[a] * right[a]
        enough = CLOSE * CLOSE * left
        for _ in range(STEPS):
            if not left > enough:
                break
            for a in range(rank):
                image[a] = toward[a]
            for k in range(n):
                row, along = rows[k], np.float32(0)
                for a in range(rank):
                    along += row[a] * toward[a]
                along *= confidence[begin + k] - np.float32(1)
                for a in range(rank):
                    image[a] += along * row[a]
            curve = np.float32(0)
            for a in range(rank):
                curve += toward[a] * image[a]
            far, before, left = left / curve, left, np.float32(0)
            for a in range(rank):
                answer[a] += far * toward[a]
                residual[a] -= far * image[a]
                left += residual[a] * residual[a]
            for a in range(rank):
                toward[a] = residual[a] + left / before * toward[a]
        for a in range(rank):
            total -= (right[a] + residual[a]) * answer[a]
            solved[u, a] = answer[a] * scale[a]
        value += total
    return value


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def add_outer_sums(offsets, rows, confidence, factors, normal, right):
    """Add, for each column i, packed sums of (c - 1) x x' to ``normal[i]`` and of c x to ``right[i]``, both double.

    Column i's entries are ``rows`` (int32) of ``factors`` (rows, rank) float32 with ``confidence`` (float32), from
    ``offsets[i]`` on.
    """
    rank = factors.shape[1]
    gathered, part = np.empty((PANEL, rank), np.float32), np.empty((rank, rank), np.float32)
    sums = np.empty(rank, np.float32)
    for i in range(len(offsets) - 1):
        for first in range(offsets[i], offsets[i + 1], PANEL):
            m = min(PANEL, offsets[i + 1] - first)
            panel = gathered[:m]
            sums[:] = 0
            for k in range(m):
                c = confidence[first + k]
                row, source, heavy = panel[k], factors[rows[first + k]], np.sqrt(c - 1)
                for a in range(rank):
                    sums[a] += c * source[a]
                    row[a] = heavy * source[a]
            np.dot(panel.T, panel, part)
            place = 0
            for a in range(rank):
                right[i, a] += sums[a]
                for b in range(a, rank):
                    normal[i, place + b - a] += part[a, b]
                place += rank - a


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def solve_columns(normal, gram, strengths, before, solved):
    """Minimise y' A_i y - 2 y' b_i + strengths[i] |y|^2 for every column i; A_i is ``gram`` + the packed ``normal[i]``.

    ``solved`` (columns, rank) holds the b_i and becomes the y_i. Returns the sum of the minima less that of
    y' A_i y - 2 y' b_i at y = ``before[i]``. All double.
    """
    rank = len(gram)
    system, right = np.empty((rank, rank)), np.empty(rank)
    change = 0.0
    for i in range(len(solved)):
        old, place, fit = before[i], 0, 0.0
        for a in range(rank):
            right[a] = solved[i, a]
            product = 0.0
            for b in range(a, rank):
                system[a, b] = gram[a, b] + normal[i, place + b - a]
                product += system[a, b] * old[b]
            fit += old[a] * (2 * (product - right[a]) - system[a, a] * old[a])
            system[a, a] += strengths[i]
            place += rank - a
        solve_symmetric(system, solved[i])
        change -= fit + np.sum(solved[i] * right)
    return change
