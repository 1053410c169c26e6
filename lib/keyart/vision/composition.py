"""How a picture is composed: where the eye goes, thirds, symmetry, balance, empty space, depth, tilt."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from keyart.vision.faces import Face
from keyart.vision.technical import sharpness_map

__all__ = ["Composition", "horizon_tilt", "measure", "saliency", "symmetry", "with_faces"]

MAP = 64
"""Columns of the saliency map."""
MOST_LEAN = 15.0
"""Degrees; what leans more is a diagonal."""
PEAK_WIDTH = 6.0
"""Degrees (standard deviation) over which directions count together."""
STRONG_EDGE = 0.15
"""Gradient from which an edge votes no more strongly: one bright rim must not decide."""


@dataclass(frozen=True)
class Composition:
    """Composition signals in [0, 1]; subject_x, subject_y and negative_side in [-1, 1] (left and top are negative)."""

    thirds: float
    symmetry: float
    balance: float
    simplicity: float
    negative_space: float
    negative_side: float
    depth_of_field: float
    tilt: float
    subject_x: float
    subject_y: float
    subject_spread: float
    subject_strength: float  # 1: one thing draws the eye, 0: nothing stands out
    subject_light: float  # brightness of what draws the eye
    detail: float  # share of pixels on an edge


def measure(luma: np.ndarray, attention: np.ndarray, fine: np.ndarray) -> Composition:
    """Composition signals of (h, w) luma under an attention map (any size, sums to 1); ``fine`` is the luma, larger."""
    height, width = attention.shape
    x, y = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
    across, down = attention.sum(axis=0), attention.sum(axis=1)
    middle_x, middle_y = float(across @ x), float(down @ y)
    spread = np.sqrt(across @ (x - middle_x) ** 2 + down @ (y - middle_y) ** 2)
    # Distance to the nearest crossing of the third lines (Datta et al. 2006 take the same points for the subject).
    off_x, off_y = np.minimum(abs(x - 1 / 3), abs(x - 2 / 3)), np.minimum(abs(y - 1 / 3), abs(y - 2 / 3))
    near = np.exp(-(off_y[:, None] ** 2 + off_x[None] ** 2) / (2 * 0.1**2))
    edges = cv2.magnitude(cv2.Sobel(luma, cv2.CV_32F, 1, 0), cv2.Sobel(luma, cv2.CV_32F, 0, 1))
    empty = _empty(luma, attention)
    left, right = float(empty[:, : empty.shape[1] // 2].mean()), float(empty[:, -(empty.shape[1] // 2) :].mean())
    return Composition(
        thirds=float(np.clip((attention * near).sum() / 0.6, 0, 1)),
        symmetry=symmetry(luma),
        balance=float(max(0.0, 1 - 4 * abs(middle_x - 0.5))),
        simplicity=_simplicity(edges),
        negative_space=float(empty.mean()),
        negative_side=(right - left) / (left + right) * min(1.0, 2 * (left + right)) if left + right > 0 else 0.0,
        depth_of_field=_depth(luma, attention),
        tilt=_tilt(fine),
        subject_x=float(np.clip(4 * (middle_x - 0.5), -1, 1)),
        subject_y=float(np.clip(4 * (middle_y - 0.5), -1, 1)),
        subject_spread=float(min(1.0, spread / 0.41)),
        # The map's peak against its mean: about 5 in foliage, 50 and more for one figure before the sky.
        subject_strength=float(np.clip(np.log(max(1.0, attention.max() * attention.size)) / np.log(60), 0, 1)),
        subject_light=float((cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA) * attention).sum()),
        detail=float((edges > 0.35).mean()),
    )


def saliency(luma: np.ndarray, lab: np.ndarray) -> np.ndarray:
    """Where the eye goes first: (MAP * h / w, MAP) weights that sum to 1.

    Spectral residual (Hou and Zhang 2007) of luma times how far the local colour is from the picture's mean (Achanta et
    al. 2009), under a mild prior for the middle, in which viewers and cameramen agree.
    """
    height = max(8, round(MAP * luma.shape[0] / luma.shape[1]))
    small = cv2.resize(luma, (MAP, height), interpolation=cv2.INTER_AREA)
    spectrum = np.fft.fft2(small)
    log_amplitude = np.log(np.abs(spectrum) + 1e-8).astype(np.float32)
    residual = log_amplitude - cv2.blur(log_amplitude, (3, 3), borderType=cv2.BORDER_REFLECT)
    surprise = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    surprise = cv2.GaussianBlur(surprise.astype(np.float32), (0, 0), 2.5)
    colours = cv2.GaussianBlur(cv2.resize(lab, (MAP, height), interpolation=cv2.INTER_AREA), (0, 0), 1.5)
    contrast = np.sqrt(((colours - colours.mean(axis=(0, 1))) ** 2).sum(axis=2))
    x, y = (np.arange(MAP) + 0.5) / MAP - 0.5, (np.arange(height) + 0.5) / height - 0.5
    centre = np.exp(-(x[None] ** 2 + y[:, None] ** 2) / (2 * 0.35**2))
    weights = (surprise / (surprise.max() + 1e-9) + 0.1) * (contrast / (contrast.max() + 1e-9) + 0.1) * centre
    weights = np.maximum(0, weights - 0.25 * weights.max())
    return weights / weights.sum()


def with_faces(attention: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
    """The attention map with half of its weight moved to the faces, by their size: viewers look at them first."""
    if not faces:
        return attention
    height, width = attention.shape
    x, y = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
    drawn = np.zeros_like(attention)
    for face in faces:
        off_x = (x - face.x - face.width / 2) / (0.5 * max(face.width, 2 / width))
        off_y = (y - face.y - face.height / 2) / (0.5 * max(face.height, 2 / height))
        drawn += np.exp(-(off_x[None] ** 2 + off_y[:, None] ** 2)) * face.score
    total = drawn.sum()
    return 0.5 * attention + 0.5 * drawn / total if total > 0 else attention


def symmetry(luma: np.ndarray) -> float:
    """Correlation of the picture with its own mirror image, left to right, in [0, 1].

    Row means are taken off first: horizontal bands (sea, sky) would make any landscape symmetric.
    """
    small = cv2.resize(luma, (48, 27), interpolation=cv2.INTER_AREA)
    small = small - small.mean(axis=1, keepdims=True)
    power = float((small**2).sum())
    return float(max(0.0, (small * small[:, ::-1]).sum() / (power + 0.02 * small.size * 0.05)))


def horizon_tilt(luma: np.ndarray) -> tuple[float, float]:
    """Degrees by which what is nearly level or upright leans, in [-MOST_LEAN, MOST_LEAN], and the trust in it, [0, 1].

    The peak of the gradients' directions, folded to the nearest axis: what stands and lies in a scene is most of its
    edges (Coughlan and Yuille 1999). All edges vote, not long lines alone, for most frames of a film have none.
    """
    calm = cv2.GaussianBlur(luma, (0, 0), 0.7)
    across, down = cv2.Scharr(calm, cv2.CV_32F, 1, 0) / 16, cv2.Scharr(calm, cv2.CV_32F, 0, 1) / 16
    magnitude, angle = cv2.cartToPolar(across, down, angleInDegrees=True)
    half_degree = (2 * (angle + 45)).astype(np.int32) % 180
    votes = np.bincount(half_degree.ravel(), weights=np.minimum(magnitude, STRONG_EDGE).ravel(), minlength=180)
    if votes.sum() < 1e-3 * luma.size:
        return 0.0, 0.0
    offset = (np.arange(-60, 61) / 2) ** 2 / (2 * PEAK_WIDTH**2)
    smooth = np.convolve(np.concatenate([votes[-60:], votes, votes[:60]]), np.exp(-offset), "valid")
    degrees = (np.arange(180) - 89.5) / 2
    near = np.abs(degrees) <= MOST_LEAN
    peak = int(np.flatnonzero(near)[smooth[near].argmax()])
    return float(degrees[peak]), float(np.sqrt(np.clip(smooth[peak] / (np.median(smooth) + 1e-9) - 1, 0, 1)))


def _tilt(luma: np.ndarray) -> float:
    lean, trust = horizon_tilt(luma)
    return abs(lean) / MOST_LEAN * trust


def _simplicity(edges: np.ndarray) -> float:
    """How concentrated the edges are: 1 - entropy of edge energy over 16 x 9 blocks, scaled: a portrait nears 1."""
    energy = cv2.resize(edges, (16, 9), interpolation=cv2.INTER_AREA).astype(np.float64).ravel() + 1e-6
    shares = energy / energy.sum()
    return float(np.clip((1 + (shares * np.log(shares)).sum() / np.log(shares.size)) / 0.25, 0, 1))


def _empty(luma: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """(9, 16) booleans: blocks that are flat and draw no eye, where a title's lettering could stand."""
    size = (16, 9)
    mean = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    variance = cv2.resize(luma * luma, size, interpolation=cv2.INTER_AREA) - mean**2
    drawn = cv2.resize(attention.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return (np.sqrt(np.maximum(variance, 0)) < 0.035) & (drawn < 2 * float(attention.mean()))


def _depth(luma: np.ndarray, attention: np.ndarray) -> float:
    """Sharp subject before a soft background: difference of the sharpness where the eye goes and elsewhere."""
    sharp, energy = sharpness_map(luma)
    subject = cv2.resize(attention.astype(np.float32), sharp.shape[::-1], interpolation=cv2.INTER_AREA)
    subject = subject / (subject.max() + 1e-9)
    trust = energy / (energy + 0.004)
    inside = (sharp * trust * subject).sum() / (subject.sum() + 1e-9)
    outside = (sharp * trust * (1 - subject)).sum() / ((1 - subject).sum() + 1e-9)
    return float(np.clip((inside - outside) / 0.4, 0, 1))
