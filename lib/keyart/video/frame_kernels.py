# mypy: disable-error-code="assignment"
# (numba's types are narrower than Python's: sums start as int and become int32 or float32.)
"""What is measured on every frame, compiled and called once a frame: a call from Python costs as much as a small loop.

Sums are kept in 32 bits on purpose: numba widens to 64, which vectorises six times worse.
"""

import math
from functools import lru_cache

import numpy as np
from numba import njit

from keyart.video.kernels import black_bar, chroma_sums, motion

__all__ = ["BARS", "CHROMA", "HUE", "MOTION", "RAW", "SCALE", "TEXTURE", "TONE", "area_weights", "hue_bins", "measure"]

# A raw row: tone, chroma moments, texture sums, hue, bars, motion, and the grey levels between black and white.
TONE = 0
CHROMA = TONE + 5
TEXTURE = CHROMA + 5
HUE = TEXTURE + 5
BARS = HUE + 2
MOTION = BARS + 2
SCALE = MOTION + 3
RAW = SCALE + 1
"""Length of a raw row."""

ROWS = 60
"""Texture is summed on about so many rows of the plane, evenly spread: more change the sums by less than noise does."""
BINS = 36
"""Hue is told from sectors of 10 degrees; the best three neighbours are the dominant hue."""


@njit(cache=True, nogil=True)
def measure(fine, small, middle, coarse, small0, middle0, coarse0, blue, red, bins, full, rows, columns, row, thumb):
    """Fill a raw row and the thumbnail from a frame's reduced planes and those (0) of the frame before.

    ``full`` says that luma spans 0 to 255 rather than 16 to 235.
    """
    low, reach, black = (0.0, 255.0, 8) if full else (16.0, 219.0, 22)
    tone(small, low, reach, row[TONE:CHROMA])
    chroma_sums(blue, red, row[CHROMA:TEXTURE])
    texture_sums(fine, max(1, fine.shape[0] // ROWS), row[TEXTURE:HUE])
    hue_sums(blue, red, bins, row[HUE:BARS])
    row[BARS] = black_bar(fine, black)
    row[BARS + 1] = black_bar(fine.T, black)
    row[MOTION:SCALE] = motion(small0, middle0, coarse0, small, middle, coarse)
    row[SCALE] = reach
    shrink(small, rows, columns, thumb)


@njit(cache=True, nogil=True)
def tone(plane, low, reach, out):
    """Mean and standard deviation of Y over [0, 1], shares clipped to black and white, 95th minus 5th percentile."""
    # Neighbours are alike: counted into one histogram, each increment would wait for the one before.
    parts = np.zeros((4, 256), np.int32)
    flat = plane.size // 4 * 4
    values = plane.ravel()
    for k in range(0, flat, 4):
        parts[0, values[k]] += 1
        parts[1, values[k + 1]] += 1
        parts[2, values[k + 2]] += 1
        parts[3, values[k + 3]] += 1
    for k in range(flat, values.size):
        parts[0, values[k]] += 1
    n = values.size
    total, squares, dark, bright, below = 0.0, 0.0, 0, 0, 0
    low_end, high_end = -1.0, -1.0
    for value in range(256):
        count = parts[0, value] + parts[1, value] + parts[2, value] + parts[3, value]
        if count == 0:
            continue
        level = min(max((value - low) / reach, 0.0), 1.0)
        total += count * level
        squares += count * level * level
        dark += count if level <= 2 / 255 else 0
        bright += count if level >= 253 / 255 else 0
        below += count
        if low_end < 0 and below >= 0.05 * n:
            low_end = level
        if high_end < 0 and below >= 0.95 * n:
            high_end = level
    mean = total / n
    out[0], out[1] = mean, math.sqrt(max(squares / n - mean * mean, 0.0))
    out[2], out[3], out[4] = dark / n, bright / n, high_end - low_end


@njit(cache=True, nogil=True, fastmath=True)
def texture_sums(luma, stride, out):
    """Variance of the Laplacian, Immerkaer's sigma, gradient energies (across, down, diagonal) on every stride-th row.

    Values are small whole numbers, so float32 sums of a row are exact or nearly so, and vectorise.
    """
    height, width = luma.shape
    real = np.float32
    three = np.empty((3, width), np.float32)  # each pixel is converted once, not for each of its neighbours
    above, line, under = three[0], three[1], three[2]
    s1, s2, absolute, e0, e1, e2, lines = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0
    for y in range(1, height - 1, stride):
        for k in range(3):
            for x in range(width):
                three[k, x] = real(luma[y - 1 + k, x])
        r1, r2, ra, g0, g1, g2 = real(0), real(0), real(0), real(0), real(0), real(0)
        for x in range(1, width - 1):
            a, b, c = above[x - 1], above[x], above[x + 1]
            d, e, f = line[x - 1], line[x], line[x + 1]
            g, h, i = under[x - 1], under[x], under[x + 1]
            cross, corners = b + d + f + h, a + c + g + i
            laplacian = cross - real(4) * e
            r1 += laplacian
            r2 += laplacian * laplacian
            ra += abs(corners - real(2) * cross + real(4) * e)
            g0 += (f - d) * (f - d)
            g1 += (h - b) * (h - b)
            g2 += (i - a) * (i - a) + (g - c) * (g - c)
        s1 += r1
        s2 += r2
        absolute += ra
        e0 += g0
        e1 += g1
        e2 += real(0.25) * g2
        lines += 1
    n = max(1, lines * (width - 2))
    mean = s1 / n
    out[0] = s2 / n - mean * mean
    out[1] = math.sqrt(math.pi / 2) / 6 * absolute / n
    out[2], out[3], out[4] = e0 / n, e1 / n, e2 / n


@njit(cache=True, nogil=True)
def hue_sums(blue, red, bins, out):
    """Sum of (Cb, Cr) about 128 over the three neighbouring sectors of hue that hold most saturation, a pixel."""
    sums = np.zeros((BINS, 2), np.int64)
    for y in range(blue.shape[0]):
        for x in range(blue.shape[1]):
            b, r = blue[y, x], red[y, x]
            sector = bins[b, r]
            sums[sector, 0] += np.int64(b) - 128
            sums[sector, 1] += np.int64(r) - 128
    # Within a sector directions hardly differ: the length of the sum is the sum of the lengths.
    weight = np.sqrt((sums.astype(np.float64) ** 2).sum(axis=1))
    best, most = 0, -1.0
    for sector in range(BINS):
        total = weight[sector - 1] + weight[sector] + weight[(sector + 1) % BINS]
        if total > most:
            best, most = sector, total
    for axis in range(2):
        out[axis] = (sums[best - 1, axis] + sums[best, axis] + sums[(best + 1) % BINS, axis]) / blue.size


@njit(cache=True, nogil=True)
def shrink(plane, rows, columns, out):
    """Area averages: ``rows`` and ``columns`` from ``area_weights``."""
    first_row, row_weight = rows
    first_column, column_weight = columns
    width = plane.shape[1]
    line = np.empty(width, np.float32)
    for y in range(out.shape[0]):
        line[:] = 0
        for k in range(row_weight.shape[1]):
            weight = row_weight[y, k]
            source = plane[first_row[y] + k]
            for x in range(width):
                line[x] += weight * np.float32(source[x])
        for x in range(out.shape[1]):
            total = np.float32(0)
            for k in range(column_weight.shape[1]):
                total += column_weight[x, k] * line[first_column[x] + k]
            out[y, x] = np.uint8(total + np.float32(0.5))


def area_weights(size: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """How ``target`` even stretches cover ``size`` pixels: first pixel of each (target,) and weights (target, k).

    >>> area_weights(5, 2)[1].tolist() == np.array([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4]], np.float32).tolist()
    True
    """
    edges = np.arange(target + 1) * size / target
    first = np.minimum(np.floor(edges[:-1]).astype(np.int64), size - 1)
    most = int((np.ceil(edges[1:] - 1e-9) - first).max())
    first = np.minimum(first, size - most)
    pixels = first[:, None] + np.arange(most)
    cover = np.minimum(pixels + 1, edges[1:, None]) - np.maximum(pixels, edges[:-1, None])
    return first, (np.maximum(cover, 0) * target / size).astype(np.float32)


@lru_cache
def hue_bins() -> np.ndarray:
    """Sector (256, 256) uint8 of every (Cb, Cr)."""
    offset = np.arange(256) - 128.0
    angle = np.degrees(np.arctan2(offset[None, :], offset[:, None])) % 360
    return (angle // (360 / BINS)).astype(np.uint8) % BINS
