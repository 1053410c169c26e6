"""A decoded image made ready to be looked at: black bars off, downscaled once, in the colours the kernels read."""

from dataclasses import dataclass

import cv2
import numpy as np

__all__ = ["Picture", "black_bars", "decode", "prepare"]

LONG_SIDE = 384
"""Pixels of the longer side at which signals are measured; images are never enlarged."""
FINE_SIDE = 640
"""Pixels of the longer side at which sharpness, noise and lean are measured: they live in the finest detail."""
COLOUR_SIDE = 160
"""Pixels of the longer side at which colour is measured: it has no fine detail."""
BAR_LEVEL = 20
"""Brightest pixel (of 255) of a row that still counts as black bar: JPEG rings a little next to the picture."""
LARGEST_BAR = 0.22
"""Share of one side a bar may take (2.39:1 inside 4:3); more is a dark picture, not a bar."""


@dataclass(frozen=True)
class Picture:
    """One image. ``window`` is the part free of bars: x, y, width, height as shares of ``source``."""

    source: np.ndarray  # (H, W, 3) uint8 BGR, as decoded
    window: tuple[float, float, float, float]
    bgr: np.ndarray  # (h, w, 3) uint8, the window with its longer side at most LONG_SIDE
    luma: np.ndarray  # (h, w) float32 in [0, 1]
    fine: np.ndarray  # (h', w') float32 luma in [0, 1], longer side at most FINE_SIDE
    thumb: np.ndarray  # (t, u, 3) float32 BGR in [0, 1], longer side at most COLOUR_SIDE
    lab: np.ndarray  # (t, u, 3) float32 of the thumb: L in [0, 1], a and b in about [-1, 1]


def decode(content: bytes) -> np.ndarray | None:
    """(H, W, 3) uint8 BGR of an encoded image, or None where the bytes are not one that can be read."""
    if not content:
        return None
    bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    return None if bgr is None or min(bgr.shape[:2]) < 8 else bgr


def prepare(bgr: np.ndarray) -> Picture:
    """The picture of (H, W, 3) uint8 BGR pixels."""
    height, width = bgr.shape[:2]
    top, left = black_bars(bgr)
    inner = bgr[top : height - top, left : width - left]
    fine = _shrunk(inner, FINE_SIDE)
    small = _shrunk(fine, LONG_SIDE)
    thumb = _shrunk(small, COLOUR_SIDE).astype(np.float32) / 255
    lab = cv2.cvtColor(thumb, cv2.COLOR_BGR2LAB) / np.array([100, 128, 128], np.float32)
    luma, fine_luma = (cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY).astype(np.float32) / 255 for bgr in (small, fine))
    window = (left / width, top / height, 1 - 2 * left / width, 1 - 2 * top / height)
    return Picture(bgr, window, small, luma, fine_luma, thumb, lab)


def black_bars(bgr: np.ndarray) -> tuple[int, int]:
    """Pixels of black bar (top and bottom each, left and right each); 0 where only one of the two sides is black."""
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    rows, columns = (cv2.reduce(grey, axis, cv2.REDUCE_MAX).ravel() for axis in (1, 0))
    return _bar(rows), _bar(columns)


def _bar(line: np.ndarray) -> int:
    lit = np.flatnonzero(line > BAR_LEVEL)
    if lit.size == 0:
        return 0
    first, last = int(lit[0]), int(line.size - 1 - lit[-1])
    bar = min(first, last)
    # A real letterbox is symmetric; text or a lamp on black is not a picture between bars.
    symmetric = abs(first - last) <= 0.03 * line.size + 1
    return bar + 1 if 1 < bar <= LARGEST_BAR * line.size and symmetric else 0


def _shrunk(bgr: np.ndarray, long_side: int) -> np.ndarray:
    scale = long_side / max(bgr.shape[:2])
    if scale >= 1:
        return np.ascontiguousarray(bgr)
    size = (max(8, round(bgr.shape[1] * scale)), max(8, round(bgr.shape[0] * scale)))
    return cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
