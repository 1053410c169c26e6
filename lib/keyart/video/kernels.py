# mypy: disable-error-code="assignment"
# (numba's types are narrower than Python's: sums start as int and become int32 or float32.)
"""The loops over pixels, compiled: chroma moments, black bars, displacement and block matching.

Sums are kept in 32 bits on purpose: numba widens to 64, which vectorises six times worse.
"""

import math

import numpy as np
from numba import njit

__all__ = ["activity_since", "black_bar", "chroma_sums", "mismatch", "motion", "pair_mismatches"]

BLOCK = (6, 4)
"""Width and height of the blocks matched for shots, on planes of 24 x 12."""
REACH = 2
CALM_BLOCKS = 6
"""A mismatch is the mean over the better half of the 12 blocks: what moves in one place is no new shot."""


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


@njit(cache=True, nogil=True)
def mismatch(before, after):
    """Mean absolute difference in grey levels of the better half of the blocks, each at its best small shift."""
    height, width = before.shape
    bw, bh = BLOCK
    whole = np.int32
    blocks = np.empty((height // bh) * (width // bw))
    count = 0
    for top in range(0, height - bh + 1, bh):
        for left in range(0, width - bw + 1, bw):
            best = 255 * bw * bh
            for y0 in range(max(0, top - REACH), min(height - bh, top + REACH) + 1):
                for x0 in range(max(0, left - REACH), min(width - bw, left + REACH) + 1):
                    total = whole(0)
                    for y in range(bh):
                        for x in range(bw):
                            gap = whole(whole(before[top + y, left + x]) - whole(after[y0 + y, x0 + x]))
                            total = whole(total + (gap if gap >= 0 else whole(-gap)))
                    best = min(best, total)
            blocks[count] = best / (bw * bh)
            count += 1
    blocks.sort()
    return blocks[:CALM_BLOCKS].mean()


@njit(cache=True, nogil=True)
def activity_since(planes, cut):
    """Mismatch of every frame with the one four before it, or with the first after a cut that lies between."""
    activity = np.zeros(len(planes))
    for frame in range(1, len(planes)):
        back = frame
        while back > 0 and back > frame - 4 and cut[back] == 0:
            back -= 1
        if back < frame:
            activity[frame] = mismatch(planes[back], planes[frame])
    return activity


@njit(cache=True, nogil=True)
def pair_mismatches(planes, pairs):
    """Per frame: mismatch with the one before, and the smallest over ``pairs`` frames before and as many from it on."""
    n = len(planes)
    adjacent, smallest = np.zeros(n), np.zeros(n)
    for frame in range(1, n):
        adjacent[frame] = mismatch(planes[frame - 1], planes[frame])
        low = adjacent[frame]
        for i in range(1, pairs + 1):
            for j in range(pairs):
                # Once below what a cut needs, further pairs cannot matter.
                if low > 2.0 and frame - i >= 0 and frame + j < n:
                    low = min(low, mismatch(planes[frame - i], planes[frame + j]))
        smallest[frame] = low
    return adjacent, smallest
