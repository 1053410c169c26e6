"""What spoils a frame, in steps: each kind at level 0 is the frame as every level shows it, 1 is mild and 2 strong."""

from collections.abc import Callable

import cv2
import numpy as np

__all__ = ["KINDS", "LEVELS", "degraded"]

LEVELS = 3
"""Level 0, mild and strong."""
METERED = 0.45
"""Mean value (of 1, gamma 2.2) of a well exposed picture: 18 % grey."""


def degraded(bgr: np.ndarray, kind: str, level: int, seed: int, lean: float = 0.0) -> np.ndarray:
    """(H, W, 3) uint8 BGR spoilt by one of KINDS; ``lean`` is the frame's own tilt in degrees, tilted further away."""
    return KINDS[kind](bgr, level, seed, lean)


def _blur(bgr: np.ndarray, level: int, seed: int, lean: float) -> np.ndarray:
    """Out of focus: a Gaussian of 1.2 and 3 pixels of a picture 640 wide."""
    sigma = (0, 1.2, 3.0)[level] * bgr.shape[1] / 640
    return cv2.GaussianBlur(bgr, (0, 0), sigma) if sigma else bgr


def _shake(bgr: np.ndarray, level: int, seed: int, lean: float) -> np.ndarray:
    """The camera moved: the mean along 9 and 21 pixels of a picture 640 wide, in a direction of chance."""
    length = (0, 9, 21)[level] * bgr.shape[1] / 640
    if not length:
        return bgr
    size = 2 * int(length / 2 + 1) + 1
    kernel = np.zeros((size, size), np.float32)
    angle = np.random.default_rng(seed).uniform(0, np.pi)
    for along in np.linspace(-length / 2, length / 2, 8 * size):
        kernel[round(size // 2 + along * np.sin(angle)), round(size // 2 + along * np.cos(angle))] += 1
    return cv2.filter2D(bgr, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)


def _noise(bgr: np.ndarray, level: int, seed: int, lean: float) -> np.ndarray:
    """Grain: normal, the same in all channels, of 6 and 14 of 255."""
    grain = np.random.default_rng(seed).normal(0, 1, (*bgr.shape[:2], 1))
    return np.clip(bgr + (0, 6, 14)[level] * grain + 0.5, 0, 255).astype(np.uint8) if level else bgr


def _darker(bgr: np.ndarray, level: int, seed: int, lean: float) -> np.ndarray:
    """Underexposed by 1.5 and 3 stops, from the frame as a meter would have it where it is brighter."""
    return _stops(bgr, min(0.0, _metered(bgr)) - 1.5 * level)


def _brighter(bgr: np.ndarray, level: int, seed: int, lean: float) -> np.ndarray:
    """Overexposed until 25 % and 50 % of the picture are burnt out, by 1 to 4 stops a level.

    From the frame as a meter would have it where it is darker, as far as it is not burnt out by that.
    """
    start = max(0.0, min(_metered(bgr), _burning(bgr, 0.05)))
    more = float(np.clip(_burning(bgr, 0.25 * level) - start, level, 4 * level)) if level else 0.0
    return _stops(bgr, start + more)


def _metered(bgr: np.ndarray) -> float:
    """Stops to the mean value a light meter aims at."""
    return 2.2 * float(np.log2(METERED / max(float(bgr.mean()) / 255, 0.02)))


def _burning(bgr: np.ndarray, share: float) -> float:
    """Stops at which that share of the picture is burnt out."""
    return -2.2 * float(np.log2(np.quantile(bgr, 1 - share) / 255 + 0.01))


def _stops(bgr: np.ndarray, stops: float) -> np.ndarray:
    """With so many stops more light: gain on linear light, then clipped."""
    linear = (np.arange(256) / 255) ** 2.2 * 2.0**stops
    return cv2.LUT(bgr, (255 * np.clip(linear, 0, 1) ** (1 / 2.2) + 0.5).astype(np.uint8))


def _compression(bgr: np.ndarray, level: int, seed: int, lean: float) -> np.ndarray:
    """JPEG of quality 30 and 12."""
    if not level:
        return bgr
    return cv2.imdecode(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, (0, 30, 12)[level]])[1], cv2.IMREAD_COLOR)


def _tilt(bgr: np.ndarray, level: int, seed: int, lean: float) -> np.ndarray:
    """Turned by 3 and 7 degrees, further away from how it leans.

    Every level is cut to the rectangle that fits into the strongest turn and shrunk by a fifth, so that neither borders
    nor softness nor the seams of the film's own coding tell.
    """
    height, width = bgr.shape[:2]
    away = np.sign(lean) or np.random.default_rng(seed).choice((-1.0, 1.0))
    turn, most, shrink = -np.radians(away * (0, 3, 7)[level]), np.radians(7), 0.8
    fits = min(
        width / (width * np.cos(most) + height * np.sin(most)), height / (width * np.sin(most) + height * np.cos(most))
    )
    size = int(width * fits * shrink) - 2, int(height * fits * shrink) - 2
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / shrink
    middle = np.array([width / 2, height / 2]) - turned @ (np.array(size) / 2)
    soft = cv2.GaussianBlur(bgr, (0, 0), 0.6)
    return cv2.warpAffine(soft, np.column_stack([turned, middle]), size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)


KINDS: dict[str, Callable[[np.ndarray, int, int, float], np.ndarray]] = {
    "blur": _blur,
    "shake": _shake,
    "noise": _noise,
    "darker": _darker,
    "brighter": _brighter,
    "compression": _compression,
    "tilt": _tilt,
}
