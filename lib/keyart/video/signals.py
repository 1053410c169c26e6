"""Signals of one frame from its luma and chroma planes, on reduced planes where that loses nothing; never RGB.

``SignalReader`` measures frame after frame (under a millisecond at 360p) into one row of raw sums; ``finish`` turns the
rows of a segment into the columns of the ``frames`` table at once.
"""

import math
from functools import lru_cache

import cv2
import numpy as np

from keyart.video.exchange import THUMB
from keyart.video.frame_kernels import (
    BARS,
    CHROMA,
    HUE,
    MOTION,
    RAW,
    SCALE,
    TEXTURE,
    TONE,
    area_weights,
    hue_bins,
    measure,
)

__all__ = ["MOTION", "RAW", "SignalReader", "finish", "warm_up"]

LONGEST = 160
"""Longer side of the plane that brightness and motion are measured on."""
WIDEST = 640
"""Width up to which sharpness, noise and bars are measured on every pixel; wider films are halved first."""


class SignalReader:
    """Measures a film's frames one after the other; ``width`` and ``height`` are those of the film as shown.

    Frames of another size (films that change it) are brought to the film's reduced size, so that they stay comparable.
    """

    def __init__(self, width: int, height: int) -> None:
        scale = min(1.0, LONGEST / max(width, height))
        self.size = (max(8, round(width * scale)), max(8, round(height * scale)))
        self._half = (max(4, self.size[0] // 2), max(4, self.size[1] // 2))
        self._weights = area_weights(self.size[1], THUMB[1]), area_weights(self.size[0], THUMB[0])
        self._bins = hue_bins()
        self._previous: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def read(
        self, luma: np.ndarray, cb: np.ndarray, cr: np.ndarray, full_range: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """One frame's raw row (RAW,) and luma thumbnail (27, 48) uint8; frames are given in presentation order.

        The row's motion is from the frame before. ``full_range`` says that luma spans 0 to 255, not 16 to 235.
        """
        row, thumb = np.empty(RAW), np.empty((THUMB[1], THUMB[0]), np.uint8)
        fine = _reduced(luma, _steps(luma.shape, None))
        small = _reduced(fine, _steps(fine.shape, self.size))
        pyramid = _pyramid(small)
        previous = self._previous if self._previous is not None else pyramid
        chroma = _steps(cb.shape, self._half)
        blue, red = _reduced(cb, chroma), _reduced(cr, chroma)
        measure(fine, *pyramid, *previous, blue, red, self._bins, full_range, *self._weights, row, thumb)
        self._previous = pyramid
        return row, thumb


def finish(raw: np.ndarray) -> np.ndarray:
    """Signals (n, 16) float64 in the order of SIGNALS from raw rows (n, RAW).

    Colourfulness: Hasler and Suesstrunk 2003, whose opponent axes are linear in Cb and Cr, so their moments suffice.
    Noise: Immerkaer 1996. Sharpness: Pech-Pacheco 2000 (variance of the Laplacian), log-scaled.
    """
    mean, spread, shadows, highlights, contrast = raw[:, TONE:CHROMA].T
    reach = raw[:, SCALE]
    scale = np.where(reach == 255, 255.0, 224.0)
    blue, red = (raw[:, CHROMA + k] / scale for k in (0, 1))
    var_blue, var_red, both = (raw[:, CHROMA + k] / scale**2 for k in (2, 3, 4))
    # rg = R - G and yb = (R + G) / 2 - B of BT.601, written in Cb and Cr.
    rg, yb = 0.344 * blue + 2.116 * red, -1.944 * blue + 0.344 * red
    var_rg = 0.344**2 * var_blue + 2.116**2 * var_red + 2 * 0.344 * 2.116 * both
    var_yb = 1.944**2 * var_blue + 0.344**2 * var_red - 2 * 1.944 * 0.344 * both
    colourfulness = np.sqrt(np.maximum(var_rg + var_yb, 0)) + 0.3 * np.hypot(rg, yb)
    hue = np.degrees(np.arctan2(raw[:, HUE + 1], raw[:, HUE])) % 360
    hue = np.where(hue >= 360, 0.0, hue)

    tone = 255.0 / reach
    laplacian, noise, energies = raw[:, TEXTURE], raw[:, TEXTURE + 1] * tone, raw[:, TEXTURE + 2 : HUE]
    sharpness = np.clip(np.log1p(laplacian * tone**2) / math.log1p(10_000), 0, 1)
    largest = energies.max(axis=1)
    blur = np.where(largest > 0, 1 - energies.min(axis=1) / np.maximum(largest, 1e-9), 0.0)

    moved = raw[:, MOTION:SCALE] * np.stack([tone / 255, np.ones(len(raw)), tone / 255], axis=1)
    columns = [
        mean, spread, shadows, highlights, contrast, np.clip(colourfulness, 0, 1), hue, (red - blue), sharpness,
        blur, noise / 255, raw[:, BARS], raw[:, BARS + 1], *moved.T,
    ]  # fmt: skip
    return np.stack(columns, axis=1)


def warm_up() -> None:
    """Compile the kernels, or load them from the cache, before the first film's clock runs."""
    reader = SignalReader(64, 36)
    for level in (16, 200):
        ramp = np.tile(np.arange(64, dtype=np.uint8) + level // 2, (36, 1))
        reader.read(ramp, ramp[::2, ::2].copy(), ramp[::2, ::2].copy())


@lru_cache(maxsize=64)
def _steps(shape: tuple[int, int], size: tuple[int, int] | None) -> tuple[tuple[int, int, tuple[int, int]], ...]:
    """How to reduce a plane: (height, width) to crop to and the size to bring it to, one after the other.

    Halves first, for which OpenCV has a fast path, down to at most twice ``size``, then the rest; without a size,
    halves alone, down to at most WIDEST.
    """
    height, width = shape
    most = WIDEST if size is None else 2 * size[0] - 1
    steps = []
    while width > most and min(height, width) >= 16:
        half = (width // 2, height // 2)
        steps.append((height // 2 * 2, width // 2 * 2, half))
        width, height = half
    if size is not None and (width, height) != size:
        steps.append((height, width, size))
    return tuple(steps)


def _reduced(plane: np.ndarray, steps: tuple[tuple[int, int, tuple[int, int]], ...]) -> np.ndarray:
    for height, width, size in steps:
        if plane.shape != (height, width):
            plane = plane[:height, :width]
        plane = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    return plane


def _pyramid(small: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    middle = _half_size(small)
    return small, middle, _half_size(middle)


def _half_size(plane: np.ndarray) -> np.ndarray:
    height, width = plane.shape[0] // 2, plane.shape[1] // 2
    return cv2.resize(plane[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
