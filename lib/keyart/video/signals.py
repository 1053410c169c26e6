"""Signals of one frame from its luma and chroma planes, on reduced planes where that loses nothing; never RGB.

``SignalReader`` measures frame after frame (under a millisecond at 360p) into one row of raw sums; ``finish`` turns the
rows of a segment into the columns of the ``frames`` table at once.
"""

import math

import cv2
import numpy as np
from numba import njit

__all__ = ["RAW", "SIGNALS", "THUMB", "SignalReader", "finish", "warm_up"]

SIGNALS = (
    "luma_mean", "luma_spread", "shadows", "highlights", "contrast", "colourfulness", "hue", "warmth", "sharpness",
    "motion_blur", "noise", "bar_top", "bar_left", "difference", "camera_motion", "subject_motion",
)  # fmt: skip
"""Columns of ``finish``, in the order of the frames table."""

THUMB = (48, 27)
"""Width and height of the luma thumbnails on which shots are found."""

LONGEST = 160
"""Longer side of the plane that brightness and motion are measured on."""
WIDEST = 640
"""Width up to which sharpness, noise and bars are measured on every pixel; wider films are halved first."""

HISTOGRAM = 256
# Raw columns after the histogram: five chroma moments, five texture sums, two bars, three motion figures, one flag.
CHROMA, TEXTURE, BARS, MOTION = HISTOGRAM, HISTOGRAM + 5, HISTOGRAM + 10, HISTOGRAM + 12
FULL = MOTION + 3
RAW = FULL + 1
"""Length of a raw row."""


class SignalReader:
    """Measures a film's frames one after the other; ``width`` and ``height`` are those of the film as shown.

    Frames of another size (films that change it) are brought to the film's reduced size, so that they stay comparable.
    """

    def __init__(self, width: int, height: int) -> None:
        scale = min(1.0, LONGEST / max(width, height))
        self.size = (max(8, round(width * scale)), max(8, round(height * scale)))
        self._previous: np.ndarray | None = None

    def read(
        self, luma: np.ndarray, cb: np.ndarray, cr: np.ndarray, full_range: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """One frame's raw row (RAW,) and luma thumbnail (27, 48) uint8; frames are given in presentation order.

        ``full_range`` says that luma spans 0 to 255 rather than 16 to 235.
        """
        row = np.empty(RAW)
        fine = _halved(luma, WIDEST)
        small = cv2.resize(_halved(fine, 2 * self.size[0] - 1), self.size, interpolation=cv2.INTER_AREA)
        half = (max(4, self.size[0] // 2), max(4, self.size[1] // 2))
        row[:HISTOGRAM] = cv2.calcHist([small], [0], None, [HISTOGRAM], [0, HISTOGRAM])[:, 0]
        blue, red = (
            cv2.resize(_halved(plane, 2 * half[0] - 1), half, interpolation=cv2.INTER_AREA) for plane in (cb, cr)
        )
        _chroma_sums(blue, red, row[CHROMA:TEXTURE])
        _texture_sums(fine, row[TEXTURE:BARS])
        black = 8 if full_range else 22
        row[BARS] = _bar(fine, black)
        row[BARS + 1] = _bar(fine.T, black)
        pyramid = _pyramid(small)
        previous = self._previous if self._previous is not None else pyramid
        row[MOTION : MOTION + 3] = _motion(*previous, *pyramid)
        row[FULL] = full_range
        self._previous = pyramid
        return row, cv2.resize(small, THUMB, interpolation=cv2.INTER_AREA)


def finish(raw: np.ndarray) -> np.ndarray:
    """Signals (n, 16) float64 in the order of SIGNALS from raw rows (n, RAW).

    Colourfulness: Hasler and Suesstrunk 2003, whose opponent axes are linear in Cb and Cr, so their moments suffice.
    Noise: Immerkaer 1996. Sharpness: Pech-Pacheco 2000 (variance of the Laplacian), log-scaled.
    """
    counts = raw[:, :HISTOGRAM]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    full = raw[:, FULL] > 0
    low, reach = np.where(full, 0.0, 16.0)[:, None], np.where(full, 255.0, 219.0)[:, None]
    level = np.clip((np.arange(HISTOGRAM)[None] - low) / reach, 0, 1)
    mean = (share * level).sum(axis=1)
    spread = np.sqrt(np.maximum((share * level**2).sum(axis=1) - mean**2, 0))
    below = np.cumsum(share, axis=1)
    rows = np.arange(len(raw))
    p5, p95 = ((below >= q - 1e-9).argmax(axis=1) for q in (0.05, 0.95))
    contrast = level[rows, p95] - level[rows, p5]
    shadows = (share * (level <= 2 / 255)).sum(axis=1)
    highlights = (share * (level >= 253 / 255)).sum(axis=1)

    scale = np.where(full, 255.0, 224.0)[:, None]
    blue, red = (raw[:, CHROMA + k] / scale[:, 0] for k in (0, 1))
    var_blue, var_red, both = (raw[:, CHROMA + k] / scale[:, 0] ** 2 for k in (2, 3, 4))
    # rg = R - G and yb = (R + G) / 2 - B of BT.601, written in Cb and Cr.
    rg, yb = 0.344 * blue + 2.116 * red, -1.944 * blue + 0.344 * red
    var_rg = 0.344**2 * var_blue + 2.116**2 * var_red + 2 * 0.344 * 2.116 * both
    var_yb = 1.944**2 * var_blue + 0.344**2 * var_red - 2 * 1.944 * 0.344 * both
    colourfulness = np.sqrt(np.maximum(var_rg + var_yb, 0)) + 0.3 * np.hypot(rg, yb)
    hue = np.degrees(np.arctan2(red, blue)) % 360
    hue = np.where(hue >= 360, 0.0, hue)

    tone = 255.0 / reach[:, 0]
    laplacian, noise, energies = raw[:, TEXTURE], raw[:, TEXTURE + 1] * tone, raw[:, TEXTURE + 2 : BARS]
    sharpness = np.clip(np.log1p(laplacian * tone**2) / math.log1p(10_000), 0, 1)
    largest = energies.max(axis=1)
    blur = np.where(largest > 0, 1 - energies.min(axis=1) / np.maximum(largest, 1e-9), 0.0)

    motion = raw[:, MOTION : MOTION + 3] * np.stack([tone / 255, np.ones(len(raw)), tone / 255], axis=1)
    columns = [
        mean, spread, shadows, highlights, contrast, np.clip(colourfulness, 0, 1), hue, (red - blue), sharpness,
        blur, noise / 255, raw[:, BARS], raw[:, BARS + 1], *motion.T,
    ]  # fmt: skip
    return np.stack(columns, axis=1)


def warm_up() -> None:
    """Compile the kernels, or load them from the cache, before the first film's clock runs."""
    reader = SignalReader(64, 36)
    for level in (16, 200):
        ramp = np.tile(np.arange(64, dtype=np.uint8) + level // 2, (36, 1))
        reader.read(ramp, ramp[::2, ::2].copy(), ramp[::2, ::2].copy())


def _halved(plane: np.ndarray, most: int) -> np.ndarray:
    """Halve until at most ``most`` wide: exact halves take OpenCV's fast path."""
    while plane.shape[1] > most and min(plane.shape) >= 16:
        height, width = plane.shape[0] // 2 * 2, plane.shape[1] // 2 * 2
        plane = cv2.resize(plane[:height, :width], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return plane


def _pyramid(small: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    middle = cv2.resize(small, (small.shape[1] // 2, small.shape[0] // 2), interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(middle, (middle.shape[1] // 2, middle.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return small, middle, coarse


@njit(cache=True, nogil=True)
def _chroma_sums(blue, red, out):
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


@njit(cache=True, nogil=True, fastmath=True)
def _texture_sums(luma, out):
    """Variance of the Laplacian, Immerkaer's sigma and mean gradient energies (across, down, diagonal) on every other row.

    Values are small whole numbers, so float32 sums of a row are exact or nearly so, and vectorise.
    """
    height, width = luma.shape
    real = np.float32
    s1, s2, absolute, e0, e1, e2 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for y in range(1, height - 1, 2):
        above, line, under = luma[y - 1], luma[y], luma[y + 1]
        r1, r2, ra, g0, g1, g2 = real(0), real(0), real(0), real(0), real(0), real(0)
        for x in range(1, width - 1):
            a, b, c = real(above[x - 1]), real(above[x]), real(above[x + 1])
            d, e, f = real(line[x - 1]), real(line[x]), real(line[x + 1])
            g, h, i = real(under[x - 1]), real(under[x]), real(under[x + 1])
            cross, corners = b + d + f + h, a + c + g + i
            laplacian = cross - real(4) * e
            r1 += laplacian
            r2 += laplacian * laplacian
            ra += abs(corners - real(2) * cross + real(4) * e)
            g0 += (f - d) * (f - d)
            g1 += (h - b) * (h - b)
            g2 += real(0.25) * ((i - a) * (i - a) + (g - c) * (g - c))
        s1 += r1
        s2 += r2
        absolute += ra
        e0 += g0
        e1 += g1
        e2 += g2
    n = max(1, (height - 1) // 2 * (width - 2))
    mean = s1 / n
    out[0] = s2 / n - mean * mean
    out[1] = math.sqrt(math.pi / 2) / 6 * absolute / n
    out[2], out[3], out[4] = e0 / n, e1 / n, e2 / n


@njit(cache=True, nogil=True)
def _bar(luma, black):
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
def _mismatch(before, after, dx, dy):
    """Mean absolute difference where ``after`` moved by (dx, dy) overlaps ``before``."""
    height, width = before.shape
    y0, y1 = max(0, dy), min(height, height + dy)
    x0, x1 = max(0, dx), min(width, width + dx)
    whole = np.int32  # numba would widen sums to 64 bits, which vectorises six times worse
    total = 0
    for y in range(y0, y1):
        now, then = after[y, x0:x1], before[y - dy, x0 - dx : x1 - dx]
        line = whole(0)
        for x in range(x1 - x0):
            gap = whole(whole(now[x]) - whole(then[x]))
            line = whole(line + (gap if gap >= 0 else whole(-gap)))
        total += line
    return total / max(1, (y1 - y0) * (x1 - x0))


@njit(cache=True, nogil=True)
def _search(before, after, x, y, reach):
    """The shift within ``reach`` of (x, y) that matches best; standing still wins ties, and small gains are noise."""
    best, bx, by = _mismatch(before, after, x, y), x, y
    start = best
    for dy in range(y - reach, y + reach + 1):
        for dx in range(x - reach, x + reach + 1):
            value = _mismatch(before, after, dx, dy)
            if value < best and value < 0.98 * start:
                best, bx, by = value, dx, dy
    return best, bx, by


@njit(cache=True, nogil=True)
def _motion(small0, middle0, coarse0, small1, middle1, coarse1):
    """Difference, global displacement as a share of the width, and the difference the displacement leaves.

    Exhaustive matching at a quarter of the size, refined by one pixel at half and at whole size.
    """
    out = np.zeros(3)
    out[0] = _mismatch(small0, small1, 0, 0)
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
