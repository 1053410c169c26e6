"""Crops for the shapes a page needs, each kept on the faces and on what draws the eye."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keyart.vision.faces import Face

__all__ = ["ASPECTS", "Crop", "crop", "crops"]

ASPECTS: dict[str, float] = {"16:9": 16 / 9, "2:3": 2 / 3, "1:1": 1.0, "4:1": 4.0}
"""Width over height."""
POSITIONS = 101
"""Places tried along the side where there is room."""


@dataclass(frozen=True)
class Crop:
    """The part of an image to show in one shape: shares of the image's width and height."""

    aspect: str
    x: float
    y: float
    width: float
    height: float


def crops(
    attention: np.ndarray, window: tuple[float, float, float, float], faces: Sequence[Face], width: int, height: int
) -> list[Crop]:
    """One crop per shape of an image of ``width`` x ``height`` pixels.

    ``attention`` covers ``window`` (the part free of black bars, shares of the image); faces are shares of the image.
    """
    return [crop(name, attention, window, faces, width, height) for name in ASPECTS]


def crop(
    aspect: str,
    attention: np.ndarray,
    window: tuple[float, float, float, float],
    faces: Sequence[Face],
    width: int,
    height: int,
) -> Crop:
    """The largest crop of a shape inside the window, slid to where it holds the most attention and cuts no face."""
    left, top, wide, high = window
    shape = ASPECTS[aspect] * height / width  # width over height, in shares of the image
    crop_width, crop_height = min(wide, high * shape), min(high, wide / shape)
    across = wide - crop_width > high - crop_height
    room, size, start = (wide - crop_width, crop_width, left) if across else (high - crop_height, crop_height, top)
    offsets = np.linspace(0, room, POSITIONS) if room > 1e-6 else np.zeros(1)
    mass = attention.sum(axis=0 if across else 1)
    extent = wide if across else high
    held = _between(mass, offsets / extent, (offsets + size) / extent)
    score = held - 0.02 * np.abs(offsets - room / 2) / max(room, 1e-9)  # at equal worth the middle
    for face in faces:
        low, span = (face.x, face.width) if across else (face.y - 0.15 * face.height, 1.15 * face.height)
        score += _kept(low - start, span, offsets, size) * (1.1 + 4 * face.width * face.height)
    best = float(offsets[int(score.argmax())])
    x, y = (left + best, top) if across else (left, top + best)
    return Crop(aspect, float(x), float(y), float(crop_width), float(crop_height))


def _between(mass: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Share of ``mass`` (over [0, 1] in equal cells) between each low and high."""
    edges = np.linspace(0, 1, mass.size + 1)
    total = np.concatenate([[0.0], mass.cumsum()]) / max(float(mass.sum()), 1e-9)
    return np.interp(high, edges, total) - np.interp(low, edges, total)


def _kept(low: float, span: float, offsets: np.ndarray, size: float) -> np.ndarray:
    """1 where [low, low + span] lies wholly inside the crop, -0.5 where it is cut, 0 where it is outside.

    A face larger than the crop is judged by its middle third, where the eyes are.
    """
    if span > size:
        low, span = low + span / 3, min(span / 3, size)
    inside = (low >= offsets - 1e-9) & (low + span <= offsets + size + 1e-9)
    outside = (low + span <= offsets) | (low >= offsets + size)
    return np.where(inside, 1.0, np.where(outside, 0.0, -0.5))
