"""What a camera assistant checks: sharp, still, clean, well exposed. All signals lie in [0, 1]."""

from dataclasses import dataclass

import cv2
import numpy as np

__all__ = ["Technical", "measure", "sharpness_map"]

BLOCK = 24
"""Side in pixels of the blocks in which sharpness and noise are judged apart, so that a soft background is no fault."""
NOISE_SCALE = 0.06
"""Standard deviation of noise that counts as 1."""


@dataclass(frozen=True)
class Technical:
    """Sharpness (of the sharpest parts), motion blur, noise, exposure, clipped shares, all in [0, 1]."""

    sharpness: float
    motion_blur: float
    noise: float
    exposure: float
    shadows: float
    highlights: float


def measure(luma: np.ndarray) -> Technical:
    """Technical signals of (h, w) float32 luma in [0, 1]."""
    sharp, energy = sharpness_map(luma)
    sharpness = _sharpest(sharp, energy)
    high = np.percentile(luma, 95)
    mean, highlights = float(luma.mean()), float((luma > 0.98).mean())
    # Dark pictures are fine while something in them is lit; bright ones while little is clipped.
    lit = min(1.0, float(high) / 0.55) ** 0.7
    burnt = max(0.0, (mean - 0.72) / 0.28)
    exposure = lit * (1 - min(1.0, burnt)) * (1 - min(1.0, 1.5 * highlights))
    return Technical(
        sharpness=sharpness,
        motion_blur=_anisotropy(luma) * (1 - sharpness),
        noise=_noise(luma),
        exposure=float(exposure),
        shadows=float((luma < 0.03).mean()),
        highlights=highlights,
    )


def sharpness_map(luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sharpness in [0, 1] and gradient energy per block, each (ceil(h / BLOCK), ceil(w / BLOCK)).

    The blur metric of Crete et al. 2007 (how much variation a strong low-pass takes away), per block and turned round.
    A light Gaussian first, so that noise does not pass for sharpness.
    """
    calm = cv2.GaussianBlur(luma, (0, 0), 0.7)
    sharp, total = np.zeros(()), np.zeros(())
    for axis in (0, 1):
        kernel = (1, 9) if axis == 0 else (9, 1)
        variation = np.abs(np.diff(calm, axis=axis))
        blurred = np.abs(np.diff(cv2.blur(calm, kernel), axis=axis))
        pad = ((0, 1), (0, 0)) if axis == 0 else ((0, 0), (0, 1))
        sharp = sharp + _blocks(np.pad(np.maximum(0, variation - blurred), pad))
        total = total + _blocks(np.pad(variation, pad))
    ratio = sharp / (total + 1e-6)
    return np.clip((ratio - 0.15) / 0.55, 0, 1), total


def _blocks(values: np.ndarray) -> np.ndarray:
    """Mean per block; the last row and column of blocks may be smaller."""
    height, width = values.shape
    rows, columns = np.arange(0, height, BLOCK), np.arange(0, width, BLOCK)
    sums = np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1)
    return sums / np.outer(np.diff([*rows, height]), np.diff([*columns, width]))


def _sharpest(sharp: np.ndarray, energy: np.ndarray) -> float:
    """Mean over the tenth of the blocks that are sharpest, each trusted as far as it has structure at all."""
    trusted = (sharp * energy / (energy + 0.004)).ravel()
    top = max(1, trusted.size // 10)
    return float(np.sort(trusted)[-top:].mean())


def _anisotropy(luma: np.ndarray) -> float:
    """1 - smallest over largest directional gradient energy (structure tensor of the whole picture)."""
    gx, gy = cv2.Sobel(luma, cv2.CV_32F, 1, 0), cv2.Sobel(luma, cv2.CV_32F, 0, 1)
    xx, yy, xy = float((gx * gx).mean()), float((gy * gy).mean()), float((gx * gy).mean())
    spread = float(np.hypot((xx - yy) / 2, xy))
    middle = (xx + yy) / 2
    return 2 * spread / (middle + spread) if middle > 1e-8 else 0.0


def _noise(luma: np.ndarray) -> float:
    """Immerkaer 1996 in the calmest quarter of the blocks, so that texture is not taken for noise."""
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(luma, cv2.CV_32F, mask))
    sigma = np.sqrt(np.pi / 2) / 6 * np.percentile(_blocks(response), 25)
    return float(min(1.0, sigma / NOISE_SCALE))
