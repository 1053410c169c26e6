"""The compiled arithmetic of alternating least squares; ``als`` says what it means.

Products go to BLAS in single precision, a member's or a title's rows at a time; what adds up over them is double.
"""

import numpy as np
from numba import njit

__all__ = ["add_outer_sums", "solve_columns", "solve_rows", "solve_symmetric"]

PANEL = 256
"""Rows whose outer products go to one matrix product."""


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
    float32 is filled. The L2 of a row with n entries is ``l2`` n ** ``scaling``. A row with fewer entries than the rank
    is solved in the space of its entries (Woodbury's identity), which costs n n rank and not n rank rank.
    """
    rank = basis.shape[1]
    scale = np.empty(rank, np.float32)
    gathered = np.empty((max(rank + 8, PANEL), rank), np.float32)
    kernel = np.empty((rank + 8) * (rank + 8), np.float32)
    normal, part = np.empty((rank, rank), np.float32), np.empty((rank, rank), np.float32)
    root, times = np.empty(rank + 8, np.float32), np.empty(rank + 8, np.float32)
    right, answer = np.empty(rank, np.float32), np.empty(rank, np.float32)
    value = 0.0
    for u in range(len(offsets) - 1):
        begin, n = offsets[u], offsets[u + 1] - offsets[u]
        if n == 0:
            solved[u] = 0
            continue
        strength = l2 * n**scaling
        for a in range(rank):
            scale[a] = 1 / np.sqrt(spectrum[a] + strength)
            right[a] = 0
        total = 0.0
        if n <= rank:
            # Filled up with entries that say nothing to a multiple of 8, which processors like.
            m = (n + 7) // 8 * 8
            rows = gathered[:m]
            for k in range(n):
                c = confidence[begin + k]
                total += c
                root[k] = np.sqrt(c - 1)
                row, source = rows[k], basis[columns[begin + k]]
                for a in range(rank):
                    row[a] = source[a] * scale[a]
                    right[a] += c * row[a]
            rows[n:] = 0
            root[n:m] = 0
            gram = kernel[: m * m].reshape(m, m)
            np.dot(rows, rows.T, gram)
            for k in range(m):
                product = np.float32(0)
                for j in range(n):
                    product += gram[k, j] * confidence[begin + j]
                times[k] = root[k] * product
            for k in range(m):
                for j in range(k, m):
                    gram[k, j] *= root[k] * root[j]
                gram[k, k] += 1
            solve_symmetric(gram, times[:m])
            answer[:] = 0
            for k in range(n):
                weight = confidence[begin + k] - root[k] * times[k]
                for a in range(rank):
                    answer[a] += weight * rows[k, a]
        else:
            normal[:] = 0
            for first in range(0, n, PANEL):
                m = min(PANEL, n - first)
                rows = gathered[:m]
                for k in range(m):
                    c = confidence[begin + first + k]
                    total += c
                    row, source, heavy = rows[k], basis[columns[begin + first + k]], np.sqrt(c - 1)
                    for a in range(rank):
                        z = source[a] * scale[a]
                        right[a] += c * z
                        row[a] = heavy * z
                np.dot(rows.T, rows, part)
                for a in range(rank):
                    for b in range(a, rank):
                        normal[a, b] += part[a, b]
            for a in range(rank):
                normal[a, a] += 1
                answer[a] = right[a]
            solve_symmetric(normal, answer)
        for a in range(rank):
            total -= right[a] * answer[a]
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
            for b in range(a, rank):
                system[a, b] = gram[a, b] + normal[i, place + b - a]
                fit += (1 if a == b else 2) * system[a, b] * old[a] * old[b]
            fit -= 2 * old[a] * right[a]
            system[a, a] += strengths[i]
            place += rank - a
        solve_symmetric(system, solved[i])
        change -= fit + np.sum(solved[i] * right)
    return change
