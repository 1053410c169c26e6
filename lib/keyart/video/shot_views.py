"""A film's thumbnails as the shot detectors see them: black bars cut away, in luma and in detail.

Detail is luma less its local mean, over its local spread: it stays as it is where only the light changes.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from keyart.video.shot_kernels import adjacent_matches

__all__ = ["FLOOR", "Views", "content", "look"]

GRID = (24, 12)
"""Width and height of the planes that are block-matched."""
BAR = 26.0
"""A row or column of the thumbnails that never is brighter than this on average is a black bar."""
FLOOR = 0.5
"""Added to differences, in grey levels, before their logarithm is taken: what coding noise alone may do."""


@dataclass(frozen=True)
class Views:
    """A stretch of a film as the detectors see it, one entry a frame, black bars cut away."""

    thumbs: np.ndarray
    """(n, h, w) uint8 luma."""
    luma: np.ndarray
    """(n, 12, 24) uint8."""
    detail: np.ndarray
    """(n, 12, 24) uint8: local contrast about 128."""
    spread: np.ndarray
    """Standard deviation of each thumbnail."""
    span: np.ndarray
    """Brightest less darkest value of each thumbnail."""
    adjacent: np.ndarray
    """(n, 3): match in luma with the frame before, by the better quarter, half and all of the blocks."""

    def thinned(self, stride: int) -> "Views":
        """Every so many-th frame; ``adjacent`` keeps the largest of those left out."""
        n = len(self.thumbs) // stride * stride
        kept = slice(0, n, stride)
        largest = self.adjacent[:n].reshape(-1, stride, 3).max(axis=1)
        return Views(self.thumbs[kept], self.luma[kept], self.detail[kept], self.spread[kept], self.span[kept], largest)


def content(thumbs: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of a film's thumbnails that are no black bars; at least half of either."""
    thumbs = thumbs[:: 1 + len(thumbs) // 16384]  # enough to know, and no more memory for a longer film
    window = []
    for axis in (2, 1):
        bright = thumbs.mean(axis=axis, dtype=np.float32)
        ever = np.flatnonzero(np.quantile(bright, 0.995, axis=0) > BAR)
        size = bright.shape[1]
        begin, end = (int(ever[0]), int(ever[-1]) + 1) if len(ever) else (0, size)
        begin, end = begin + (begin > 0), end - (end < size)  # the first line may be half a bar
        window.append(slice(begin, end) if 2 * (end - begin) >= size else slice(0, size))
    return window[0], window[1]


def look(thumbs: np.ndarray, window: tuple[slice, slice]) -> Views:
    """Planes and first measurements of thumbnails (n, 27, 48) uint8 within ``window``."""
    thumbs = np.ascontiguousarray(thumbs[:, window[0], window[1]])
    luma = np.empty((len(thumbs), GRID[1], GRID[0]), np.uint8)
    detail = np.empty_like(luma)
    for k, thumb in enumerate(thumbs):
        luma[k] = cv2.resize(thumb, GRID, interpolation=cv2.INTER_AREA)
        detail[k] = cv2.resize(_local_contrast(thumb), GRID, interpolation=cv2.INTER_AREA)
    flat = thumbs.reshape(len(thumbs), -1)
    parts = [flat[k : k + 256].std(axis=1, dtype=np.float32) for k in range(0, len(flat), 256)]
    spread = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    span = np.ptp(thumbs.reshape(len(thumbs), -1), axis=1).astype(np.float32)
    return Views(thumbs, luma, detail, spread, span, adjacent_matches(luma))


def _local_contrast(thumb: np.ndarray) -> np.ndarray:
    real = thumb.astype(np.float32)
    above = real - cv2.blur(real, (11, 11))
    local = cv2.sqrt(cv2.blur(above * above, (11, 11)))
    return cv2.convertScaleAbs(above / (local + 4), alpha=40, beta=128)
