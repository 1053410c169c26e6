# mypy: disable-error-code="assignment"
# (numba's types are narrower than Python's: sums start as int and become int32.)
"""Block matching for shots, compiled. Sums are kept in 32 bits: those of 64 vectorise six times worse."""

import numpy as np
from numba import njit

__all__ = ["NEAR", "adjacent_matches", "cut_matches", "match", "neighbour_products", "pair_matches"]

BLOCK = (6, 4)
"""Width and height of the blocks matched, on planes of 24 x 12."""
REACH = 2
NEAR = 5
"""Frames looked at on either side of a cut: flashes of up to four are seen through."""
FAR = (6, 9, 12)
"""Frames further off, among which a scene returns that a flash, an explosion or a passing car hid."""


@njit(cache=True, nogil=True)
def match(before, after, out):
    """Mean absolute difference of blocks, each at its best small shift: of the better quarter, half, and all."""
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
    out[0] = blocks[: count // 4].mean()
    out[1] = blocks[: count // 2].mean()
    out[2] = blocks.mean()


@njit(cache=True, nogil=True)
def adjacent_matches(planes):
    """``match`` of every frame with the one before, (n, 3); zeros for the first."""
    out = np.zeros((len(planes), 3))
    for frame in range(1, len(planes)):
        match(planes[frame - 1], planes[frame], out[frame])
    return out


@njit(cache=True, nogil=True)
def cut_matches(planes, frames, least):
    """Across each of ``frames`` and on both sides of it, (m, 4, 3): near, far, before, after.

    near: the smallest over pairs of a frame up to NEAR before and one up to NEAR after; far: over wider pairs, too,
    across which a scene returns that something hid. before, after: the largest within NEAR frames on either side.
    Where near falls below ``least`` over all blocks, the rest is left out.
    """
    n = len(planes)
    out = np.zeros((len(frames), 4, 3))
    one = np.zeros(3)
    for row in range(len(frames)):
        frame = frames[row]
        near, far, before, after = out[row, 0], out[row, 1], out[row, 2], out[row, 3]
        near[:], far[:] = 255.0, 255.0
        for i in range(1, NEAR + 1):
            for j in range(NEAR):
                if frame - i >= 0 and frame + j < n and near[2] >= least:
                    match(planes[frame - i], planes[frame + j], one)
                    for k in range(3):
                        near[k] = min(near[k], one[k])
        if near[2] < least:
            continue
        for far_side in FAR:
            for close in (1, 3):
                if frame - close >= 0 and frame + far_side < n:
                    match(planes[frame - close], planes[frame + far_side], one)
                    for k in range(3):
                        far[k] = min(far[k], one[k])
                if frame - 1 - far_side >= 0 and frame + close - 1 < n:
                    match(planes[frame - 1 - far_side], planes[frame + close - 1], one)
                    for k in range(3):
                        far[k] = min(far[k], one[k])
        for lag in range(1, NEAR):
            if frame - 1 - lag >= 0:
                match(planes[frame - 1 - lag], planes[frame - 1], one)
                for k in range(3):
                    before[k] = max(before[k], one[k])
            if frame + lag < n:
                match(planes[frame], planes[frame + lag], one)
                for k in range(3):
                    after[k] = max(after[k], one[k])
        for k in range(3):
            far[k] = min(far[k], near[k])
    return out


@njit(cache=True, nogil=True)
def pair_matches(planes, first, last):
    """``match`` of each pair of frames, (m, 3)."""
    out = np.zeros((len(first), 3))
    for row in range(len(first)):
        match(planes[first[row]], planes[last[row]], out[row])
    return out


@njit(cache=True, nogil=True, fastmath=True)
def neighbour_products(frames, reach):
    """Mean products (n, reach) of the rows of ``frames`` (n, pixels) float32 with themselves and those after."""
    n, size = frames.shape
    out = np.zeros((n, reach))
    for first in range(n):
        one = frames[first]
        for lag in range(min(reach, n - first)):
            other = frames[first + lag]
            total = np.float32(0)
            for k in range(size):
                total += one[k] * other[k]
            out[first, lag] = total / size
    return out
