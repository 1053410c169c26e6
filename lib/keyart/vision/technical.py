"""What a camera assistant checks: sharp, still, clean, well exposed. All signals lie in [0, 1]."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

__all__ = ["Technical", "coding", "measure", "noise_deviation", "sharpness_map"]

BLOCK = 24
"""Side in pixels of the blocks in which sharpness and noise are judged apart, so that a soft background is no fault."""
NOISE_SCALE = 0.06
"""Standard deviation of noise that counts as 1."""
LEAST_LIT = 0.1
"""Share of the picture below which what is lit counts as this much: lamps and stars may clip."""
CHANCE_SEAM = 1.12
"""How far one offset of eight stands out by chance."""
SIDE = 8
"""Of the blocks that JPEG and most video coders transform."""
MOST_BLOCKS = 2048
"""Of a picture that are transformed, in rows of them: what a coder left out it left out all over."""
COSINES = cv2.dct(np.eye(SIDE, dtype=np.float32), flags=cv2.DCT_ROWS).T
"""(SIDE, SIDE) of the discrete cosine transform, a row a wave."""
FEW_WAVES = 0.3
"""So few a block are missed by nobody: a flat picture has none."""
COARSE = (0.6, 0.85)
"""Share of the waves that coding took from its own blocks at which it begins to be coarse, and is. JPEG of quality 90
takes 0 to 0.5, of quality 70 some 0.7, of quality 30 some 0.83."""
NOISE_STEP = 0.6
"""Step between neighbours, in standard deviations of white noise, that the light Gaussian leaves rarely exceeded."""


@dataclass(frozen=True)
class Technical:
    """Sharpness (of the sharpest parts), motion blur, noise, exposure, clipped shares, all in [0, 1]."""

    sharpness: float
    motion_blur: float
    noise: float
    exposure: float
    shadows: float
    highlights: float


def measure(luma: np.ndarray, bgr: np.ndarray) -> Technical:
    """Technical signals of (h, w) float32 luma in [0, 1] and (h', w', 3) uint8 of the same picture, maybe smaller."""
    noise = noise_deviation(luma)
    sharp, energy = sharpness_map(luma, noise)
    sharpness = _sharpest(sharp, energy)
    high = np.percentile(luma, 95)
    mean = float(luma.mean())
    # Dark pictures are fine while something in them is lit; bright ones while little of what is lit is clipped.
    lit = min(1.0, float(high) / 0.55) ** 0.7
    # A sky that lost only its blue is burnt out, too, though less than one that is white.
    clipped = 0.75 * _clipped(luma) + 0.25 * _clipped(bgr.max(axis=2) / np.float32(255))
    burnt = clipped / max(LEAST_LIT, float((luma > 0.15).mean()))
    exposure = lit * np.exp(-2 * burnt - max(0.0, (mean - 0.72) / 0.28))
    return Technical(
        sharpness=sharpness,
        motion_blur=_anisotropy(luma) * (1 - sharpness),
        noise=min(1.0, noise / NOISE_SCALE),
        exposure=float(exposure),
        shadows=float((luma < 0.03).mean()),
        highlights=float((luma > 0.98).mean()),
    )


def _clipped(values: np.ndarray) -> float:
    """Share of values at their upper end; not by a threshold, across which a coder's rounding could push them."""
    return float(np.clip((values - 0.97) / 0.03, 0, 1).mean())


def coding(grey: np.ndarray) -> tuple[float, float]:
    """What block coding did to (h, w) uint8 that was never scaled, each in [0, 1].

    How far the seams of its 8 x 8 blocks stand out, and how coarse it is, smooth as it may look.

    Wherever the blocks begin, for cut-off bars move them: of the 8 offsets each way the one whose seams stand out most.
    """
    if min(grey.shape) < 8 * SIDE:
        return 0.0, 0.0
    steps = _steps_by_offset(grey)
    top, left = ((int(one.argmax()) + 1) % SIDE for one in steps)
    return _blockiness(steps), _coarseness(grey, top, left)


def _blockiness(steps: Sequence[np.ndarray]) -> float:
    """1 - CHANCE_SEAM x mean step elsewhere / mean step across the seams (which Wang, Bovik and Evans 2000 compare), in
    the direction in which they stand out less."""
    ratios = [(one.max() + 0.1) / (np.delete(one, one.argmax()).mean() + 0.1) for one in steps]
    return float(max(0.0, 1 - CHANCE_SEAM / min(ratios)))


def _coarseness(grey: np.ndarray, top: int, left: int) -> float:
    """How many of the waves that a picture has in other blocks are missing in its coder's, which begin at (top, left).

    A coder leaves out the waves of a block that are weaker than its step. Of blocks that lie half a block further they
    are all there, as everywhere in a picture that was not so coded; a film's own coding is smoothed over.
    """
    half = SIDE // 2
    own, other = _waves(grey[top:, left:]), _waves(grey[(top + half) % SIDE :, (left + half) % SIDE :])
    missing = 1 - (own + FEW_WAVES) / (other + FEW_WAVES)
    low, high = COARSE
    return float(np.clip((missing - low) / (high - low), 0, 1))


def _steps_by_offset(grey: np.ndarray) -> list[np.ndarray]:
    """Down and across: how far neighbours differ, (8,) by the offset of a seam between them.

    Steps of real edges are capped; the median of the seams, for one long upright line is none.
    """
    found = []
    for axis in (0, 1):
        steps = np.minimum(cv2.absdiff(*_neighbours(grey, axis)), 24).mean(axis=1 - axis)
        found.append(np.array([np.median(steps[offset::SIDE]) for offset in range(SIDE)]))
    return found


def _waves(grey: np.ndarray) -> float:
    """Mean number of a block's 63 cosine waves of more than one grey level."""
    rows, columns = (side // SIDE for side in grey.shape)
    lines = grey[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE)
    some = lines[:: -(-rows * columns // MOST_BLOCKS)].swapaxes(1, 2).reshape(-1, SIDE, SIDE).astype(np.float32)
    there = np.abs(COSINES @ some @ COSINES.T) > 1
    return float(there.sum() - there[:, 0, 0].sum()) / len(some)


def _neighbours(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Every pixel but the last and the one after it along ``axis``."""
    return (values[1:], values[:-1]) if axis == 0 else (values[:, 1:], values[:, :-1])


def sharpness_map(luma: np.ndarray, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Sharpness in [0, 1] and gradient energy per block, each (ceil(h / BLOCK), ceil(w / BLOCK)).

    The blur metric of Crete et al. 2007 (how much variation a strong low-pass takes away), per block and turned round.
    A light Gaussian first, and variation that noise of this standard deviation makes taken off, so that noise does not
    pass for sharpness.
    """
    calm = cv2.GaussianBlur(luma, (0, 0), 0.7)
    sharp, total = np.zeros(()), np.zeros(())
    for axis in (0, 1):
        kernel = (1, 9) if axis == 0 else (9, 1)
        variation = cv2.absdiff(*_neighbours(calm, axis))
        blurred = cv2.absdiff(*_neighbours(cv2.blur(calm, kernel), axis))
        pad = ((0, 1), (0, 0)) if axis == 0 else ((0, 0), (0, 1))
        sharp = sharp + _blocks(np.pad(np.maximum(0, variation - blurred - NOISE_STEP * noise), pad))
        total = total + _blocks(np.pad(variation, pad))
    ratio = sharp / (total + 1e-6)
    return np.clip((ratio - 0.1) / 0.7, 0, 1), total


def _blocks(values: np.ndarray) -> np.ndarray:
    """Mean per block; blocks are as alike in size as they can be, so that a mirror image has the same ones."""
    rows, columns = (np.linspace(0, side, -(-side // BLOCK) + 1).round().astype(int) for side in values.shape)
    sums = np.add.reduceat(np.add.reduceat(values, rows[:-1], axis=0), columns[:-1], axis=1)
    return sums / np.outer(np.diff(rows), np.diff(columns))


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


def noise_deviation(luma: np.ndarray) -> float:
    """Standard deviation of noise: Immerkaer 1996 in the calmest quarter of the blocks, so that texture is none."""
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response, level = _blocks(np.abs(cv2.filter2D(luma, cv2.CV_32F, mask))), _blocks(luma)
    unclipped = response[(level > 0.03) & (level < 0.97)]  # black and white hide their noise
    return float(np.sqrt(np.pi / 2) / 6 * np.percentile(unclipped, 25)) if unclipped.size else 0.0
