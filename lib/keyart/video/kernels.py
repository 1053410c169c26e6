# mypy: disable-error-code="assignment"
# (numba's types are narrower than Python's: sums start as int and become int32 or float32.)
"""The loops over pixels, compiled: chroma moments, black bars and displacement.

Sums are kept in 32 bits on purpose: numba widens to 64, which vectorises six times worse.
"""

import math

import numpy as np
from numba import njit

__all__ = ["black_bar", "chroma_sums", "motion"]


@njit(cache=True, nogil=True)
def chroma_sums(blue, red, out):
    """Means, variances and covariance of Cb and Cr about 128."""
    n = blue.size
    sb, sr, sbb, srr, sbr = 0, 0, 0, 0, 0
    for y in range(blue.shape[0]):
        for x in range(blue.shape[1]):
            b, r = np.int64(blue[y, x]) - 128, np.int64(red[y, x]) - 128
            sb += b
            sr += r
            sbb += b * b
            srr += r * r
            sbr += b * r
    mb, mr = sb / n, sr / n
    out[0], out[1] = mb, mr
    out[2], out[3], out[4] = sbb / n - mb * mb, srr / n - mr * mr, sbr / n - mb * mr


@njit(cache=True, nogil=True)
def black_bar(luma, black):
    """Share of the height that is a black bar on both edges (the smaller of the two); 0 for an all but black frame."""
    height, width = luma.shape
    thickness = np.zeros(2, np.int64)
    for side in range(2):
        for k in range(height // 2 - 1):
            y = k if side == 0 else height - 1 - k
            total, bright = 0, 0
            for x in range(width):
                value = np.int64(luma[y, x])
                total += value
                if value > black + 16:
                    bright += 1
            if total > black * width or bright * 100 > width:
                break
            thickness[side] += 1
    bar = min(thickness[0], thickness[1])
    return 0.0 if bar >= height * 2 // 5 else bar / height


@njit(cache=True, nogil=True)
def _mismatch(before, after, dx, dy, limit):
    """Mean absolute difference where ``after`` moved by (dx, dy) overlaps ``before``; infinity once above ``limit``."""
    height, width = before.shape
    y0, y1 = max(0, dy), min(height, height + dy)
    x0, x1 = max(0, dx), min(width, width + dx)
    whole = np.int32
    area = max(1, (y1 - y0) * (x1 - x0))
    most = limit * area
    total = 0
    for y in range(y0, y1):
        now, then = after[y, x0:x1], before[y - dy, x0 - dx : x1 - dx]
        line = whole(0)
        for x in range(x1 - x0):
            gap = whole(whole(now[x]) - whole(then[x]))
            line = whole(line + (gap if gap >= 0 else whole(-gap)))
        total += line
        if total > most:
            return np.inf
    return total / area


@njit(cache=True, nogil=True)
def _search(before, after, x, y, reach):
    """The shift within ``reach`` of (x, y) that matches best; standing still wins ties, and small gains are noise."""
    best, bx, by = _mismatch(before, after, x, y, np.inf), x, y
    enough = 0.98 * best
    for dy in range(y - reach, y + reach + 1):
        for dx in range(x - reach, x + reach + 1):
            value = _mismatch(before, after, dx, dy, min(best, enough))
            if value < best and value < enough:
                best, bx, by = value, dx, dy
    return best, bx, by


@njit(cache=True, nogil=True)
def motion(small0, middle0, coarse0, small1, middle1, coarse1):
    """Difference, global displacement as a share of the width, and the difference the displacement leaves.

    Exhaustive matching at a quarter of the size, refined by one pixel at half and at whole size.
    """
    out = np.zeros(3)
    out[0] = _mismatch(small0, small1, 0, 0, np.inf)
    if out[0] == 0.0:
        return out
    _, x, y = _search(coarse0, coarse1, 0, 0, 4)
    _, x, y = _search(middle0, middle1, 2 * x, 2 * y, 1)
    left, x, y = _search(small0, small1, 2 * x, 2 * y, 1)
    if left >= out[0]:
        left, x, y = out[0], 0, 0
    out[1] = math.sqrt(x * x + y * y) / small0.shape[1]
    out[2] = left
    return out
