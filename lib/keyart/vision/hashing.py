"""Perceptual hash: pictures that look alike differ in few of its 64 bits."""

import cv2
import numpy as np

__all__ = ["hamming", "perceptual_hash"]


def perceptual_hash(luma: np.ndarray) -> int:
    """64-bit pHash of (h, w) luma: which of the lowest 8 x 8 DCT coefficients lie above their median (Zauner 2010)."""
    small = cv2.resize(luma.astype(np.float32), (32, 32), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small)[:8, :8].ravel()
    # The first coefficient is the mean brightness: it takes no part in the median.
    bits = low > np.median(low[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hamming(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Bits that differ between uint64 hashes, broadcast like any numpy operation.

    >>> int(hamming(np.uint64(0b1011), np.uint64(0b0010)))
    2
    """
    return np.bitwise_count(np.bitwise_xor(left, right)).astype(np.int64)
