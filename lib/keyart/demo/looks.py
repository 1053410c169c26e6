"""What the simulated members see in an artwork: descriptors read from its pixels, by code that no learner imports."""

from collections.abc import Sequence

import cv2
import numpy as np

from keyart.errors import InputError

__all__ = ["DESCRIPTORS", "read_look", "shoutiness", "standardise"]

DESCRIPTORS = ("warmth", "brightness", "contrast", "saturation", "closeness", "calmness")
"""What members may like or dislike in an image."""

WIDTH, HEIGHT = 160, 90
LIMIT = 2.5
"""Standardised descriptors are clipped here: one odd image shall not carry a taste."""


def read_look(jpeg: bytes) -> np.ndarray:
    """Descriptors of one encoded image, (D,), in their own units. InputError where it cannot be decoded."""
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    if pixels is None:
        raise InputError("an artwork's bytes are not an image that can be decoded")
    small = cv2.resize(pixels, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    blue, green, red = small[..., 0], small[..., 1], small[..., 2]
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    rows, columns = np.gradient(luma)
    energy = np.hypot(rows, columns)
    centre = energy[HEIGHT // 4 : -HEIGHT // 4, WIDTH // 4 : -WIDTH // 4]
    return np.array(
        [
            np.mean(red - blue),
            np.mean(luma),
            np.std(luma),
            np.mean(small.max(axis=2) - small.min(axis=2)),
            np.log((centre.mean() + 1e-3) / (energy.mean() + 1e-3)),
            -np.log(energy.mean() + 1e-3),
        ],
        dtype=np.float64,
    )


def standardise(raw: np.ndarray, title_of: Sequence[int] | np.ndarray) -> np.ndarray:
    """Descriptors in units of their spread within titles, centred within each title.

    ``raw`` is (N, D), ``title_of`` (N,). The result is (N, D); a title's rows sum to zero, so that an image acts only
    against the other images of its title. A descriptor that varies nowhere within a title is zero everywhere.
    """
    title_of = np.asarray(title_of)
    centred = _centre(raw, title_of)
    spread = np.sqrt(np.mean(centred**2, axis=0))
    varies = spread > 1e-9
    scaled = np.divide(centred, spread, out=np.zeros_like(centred), where=varies)
    return _centre(np.clip(scaled, -LIMIT, LIMIT), title_of)


def shoutiness(raw: np.ndarray, title_of: Sequence[int] | np.ndarray) -> np.ndarray:
    """How much more an image shouts (contrast, saturation above the usual) than its title's others, (N,)."""
    spread = raw.std(axis=0)
    usual = np.divide(raw - raw.mean(axis=0), spread, out=np.zeros_like(raw), where=spread > 1e-9)
    loud = (usual[:, DESCRIPTORS.index("contrast")] + usual[:, DESCRIPTORS.index("saturation")]) / np.sqrt(2.0)
    return _centre(np.clip(loud - 0.5, 0.0, LIMIT)[:, None], np.asarray(title_of))[:, 0]


def _centre(values: np.ndarray, title_of: np.ndarray) -> np.ndarray:
    counts = np.bincount(title_of).astype(np.float64)
    means = np.stack([np.bincount(title_of, column) for column in values.T], axis=1) / np.maximum(counts, 1.0)[:, None]
    return values - means[title_of]
