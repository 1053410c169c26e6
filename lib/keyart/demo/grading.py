"""Colour grades: what a laboratory does to a photograph so that it feels warm, cold, dark or gay."""

from dataclasses import dataclass

import cv2
import numpy as np

__all__ = ["GRADES", "Grade", "grade"]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Grade:
    """How a picture is changed; the defaults change nothing. ``tones`` are what a screenplay asks for."""

    tones: tuple[str, ...]
    exposure: float = 0.0
    """Stops."""
    contrast: float = 1.0
    """Slope at mid grey; above 1 an S-curve, below 1 flatter."""
    saturation: float = 1.0
    """0 is black and white."""
    warmth: float = 0.0
    """Red against blue, in stops between them."""
    shadows: Colour = (0.0, 0.0, 0.0)
    """Added where it is dark."""
    lights: Colour = (0.0, 0.0, 0.0)
    """Added where it is bright."""


def grade(picture: np.ndarray, look: Grade) -> np.ndarray:
    """The (height, width, 3) RGB uint8 picture under the look, same shape."""
    gain = 2.0 ** (look.exposure + look.warmth * np.array([0.5, 0.0, -0.5], np.float32))
    mix = (1 - look.saturation) * np.tile(LUMA, (3, 1)) + look.saturation * np.eye(3, dtype=np.float32)
    values = cv2.transform(picture.astype(np.float32), (mix * gain[:, None] / 255).astype(np.float32))
    # Highlights roll off above 0.8 as film does, instead of clipping.
    np.maximum(values, 0, out=values)
    values = np.where(values > 0.8, 1 - 0.2 * np.exp(-(values - 0.8) / 0.2), values)
    values = _contrast(values, look.contrast)
    luma = cv2.transform(values, LUMA[None, :])[..., None]
    dark, bright = (1 - luma) ** 2, luma**1.5
    values += dark * np.array(look.shadows, np.float32) + bright * np.array(look.lights, np.float32)
    return np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)


def _contrast(values: np.ndarray, slope: float) -> np.ndarray:
    """An S-curve through black, mid grey (0.42) and white for slope > 1; a flatter line around mid grey for < 1."""
    if slope <= 1:
        return np.asarray(0.42 + (values - 0.42) * slope, np.float32)
    low = 0.42 * (values / 0.42) ** slope
    high = 1 - 0.58 * (np.clip(1 - values, 0, None) / 0.58) ** slope
    return np.where(values < 0.42, low, high).astype(np.float32)


def _tones(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GRADES: dict[str, Grade] = {
    "daylight": Grade(_tones("bright neutral"), exposure=0.15, contrast=1.1, saturation=1.05),
    "golden": Grade(_tones("bright warm"), 0.2, 1.1, 1.1, 0.55, shadows=(0.05, 0.02, 0.0), lights=(0.06, 0.02, -0.08)),
    "pastel": Grade(_tones("bright soft"), 0.45, 0.78, 0.75, 0.1, shadows=(0.1, 0.08, 0.12), lights=(0.03, 0.0, 0.02)),
    "candy": Grade(_tones("bright vivid"), 0.25, 1.2, 1.7, 0.1, shadows=(0.03, 0.0, 0.05)),
    "ember": Grade(_tones("dark warm"), -0.75, 1.35, 1.1, 0.8, shadows=(0.03, 0.0, 0.0), lights=(0.08, -0.02, -0.1)),
    "crimson": Grade(
        _tones("dark vivid warm"), -0.3, 1.4, 0.25, 0.5, shadows=(0.06, -0.02, -0.01), lights=(0.15, -0.3, -0.28)
    ),
    "teal and orange": Grade(
        _tones("vivid contrast"), 0.0, 1.35, 1.25, 0.2, shadows=(-0.06, 0.03, 0.07), lights=(0.07, 0.01, -0.08)
    ),
    "night": Grade(_tones("dark cold"), -1.0, 1.25, 0.55, -0.7, shadows=(0.0, 0.01, 0.05), lights=(-0.08, 0.0, 0.1)),
    "ice": Grade(_tones("bright cold"), 0.3, 1.15, 0.55, -0.5, shadows=(0.0, 0.03, 0.09), lights=(-0.05, 0.0, 0.04)),
    "bleach": Grade(_tones("pale contrast"), 0.1, 1.5, 0.35, -0.05),
    "noir": Grade(_tones("dark mono contrast"), -0.35, 1.9, 0.0),
    "silver": Grade(_tones("bright mono"), 0.25, 1.15, 0.0, shadows=(0.03, 0.03, 0.03)),
    "sepia": Grade(_tones("mono warm"), 0.05, 1.05, 0.1, 0.3, shadows=(0.08, 0.04, 0.0), lights=(0.03, 0.0, -0.12)),
    "neon": Grade(
        _tones("dark vivid cold"), -0.25, 1.35, 1.2, -0.2, shadows=(0.1, -0.02, 0.2), lights=(-0.12, 0.06, 0.08)
    ),
    "forest": Grade(_tones("dark soft"), -0.3, 1.0, 0.7, -0.1, shadows=(0.0, 0.05, 0.02), lights=(-0.05, 0.05, -0.06)),
    "dusk": Grade(_tones("warm soft"), -0.15, 1.05, 0.9, 0.2, shadows=(0.07, 0.0, 0.1), lights=(0.1, 0.0, -0.04)),
}
