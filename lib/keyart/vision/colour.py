"""What the colours of a picture do: light, warmth, hue, palette, harmony."""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

__all__ = ["Colour", "harmony", "measure", "palette"]

HUES = 36
"""Bins of the hue wheel in which harmony is judged, 10 degrees each."""


@dataclass(frozen=True)
class Colour:
    """Colour signals; [0, 1] but for ``warmth``, ``hue_x`` and ``hue_y``, which lie in [-1, 1]."""

    brightness: float
    contrast: float  # 95th minus 5th percentile of luma
    low_key: float  # share of dark pixels
    high_key: float  # share of bright pixels
    saturation: float
    colourfulness: float
    warmth: float
    hue_x: float  # red (+) to cyan (-)
    hue_y: float  # yellow-green (+) to violet (-)
    hue_agreement: float  # 1: one hue, 0: all hues alike
    palette_variety: float
    harmony: float


def measure(bgr: np.ndarray, lab: np.ndarray) -> Colour:
    """Colour signals of (h, w, 3) float32 BGR in [0, 1] and the same pixels in scaled Lab; a thumbnail suffices.

    Colourfulness is Hasler and Suesstrunk 2003, warmth the mean of Cr - Cb, doubled (a sunset gives about 0.7), harmony
    after Cohen-Or et al. 2006.
    """
    blue, green, red = bgr[..., 0], bgr[..., 1], bgr[..., 2]
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    low, high = np.percentile(luma, [5, 95])
    opponent = red - green, (red + green) / 2 - blue
    spread = np.hypot(opponent[0].std(), opponent[1].std()) + 0.3 * np.hypot(opponent[0].mean(), opponent[1].mean())
    a, b = lab[..., 1], lab[..., 2]
    chroma = np.hypot(a, b)
    total = float(chroma.sum()) + 1e-6
    hue_x, hue_y = float(a.sum()) / total, float(b.sum()) / total
    # How far the mean hue may be trusted: a grey picture has none.
    coloured = min(1.0, float(chroma.mean()) / 0.05)
    centres, shares = palette(lab)
    return Colour(
        brightness=float(luma.mean()),
        contrast=float(high - low),
        low_key=float((luma < 0.2).mean()),
        high_key=float((luma > 0.7).mean()),
        saturation=min(1.0, float(chroma.mean()) / 0.45),
        colourfulness=min(1.0, float(spread) / 0.45),
        # Cr and Cb by BT.601.
        warmth=float(np.clip(((red - luma) / 1.402 - (blue - luma) / 1.772).mean() * 2, -1, 1)),
        hue_x=hue_x * coloured,
        hue_y=hue_y * coloured,
        hue_agreement=float(np.hypot(hue_x, hue_y)) * coloured,
        palette_variety=_variety(centres, shares),
        harmony=harmony(a, b),
    )


def palette(lab: np.ndarray, size: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """The picture's main colours: centres (size, 3) in scaled Lab, largest first, and their shares (size,).

    k-means on a thumbnail, begun from the farthest points, so that the same picture always has the same palette.
    """
    height, width = lab.shape[:2]
    thumb = cv2.resize(lab, (32, max(4, round(32 * height / width))), interpolation=cv2.INTER_AREA).reshape(-1, 3)
    centres = [thumb.mean(axis=0)]
    far = ((thumb - centres[0]) ** 2).sum(axis=1)
    for _ in range(size - 1):
        centres.append(thumb[int(far.argmax())])
        far = np.minimum(far, ((thumb - centres[-1]) ** 2).sum(axis=1))
    points = np.stack(centres)
    for _ in range(6):
        nearest = _nearest(thumb, points)
        member = nearest[:, None] == np.arange(size)
        counts = member.sum(axis=0)
        points = np.where(
            counts[:, None] > 0, member.T.astype(np.float32) @ thumb / np.maximum(counts, 1)[:, None], points
        )
    shares = np.bincount(_nearest(thumb, points), minlength=size) / len(thumb)
    order = np.argsort(-shares, kind="stable")
    return points[order], shares[order]


def _nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    return ((points[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)


def _variety(centres: np.ndarray, shares: np.ndarray) -> float:
    """Expected Lab distance between two random pixels' palette colours, scaled to [0, 1]."""
    apart = np.sqrt(((centres[:, None] - centres[None]) ** 2).sum(axis=2))
    return float(min(1.0, shares @ apart @ shares / 0.5))


def harmony(a: np.ndarray, b: np.ndarray) -> float:
    """The share of the colour in the best of Cohen-Or's hue templates, the narrower the better; 0.5 without colour."""
    chroma = np.hypot(a, b)
    weight = np.where(chroma > 0.04, chroma, 0)
    if weight.sum() < 1e-3 * weight.size:
        return 0.5
    bins = ((np.arctan2(b, a) / (2 * np.pi)) % 1 * HUES).astype(np.int64) % HUES
    wheel = np.bincount(bins.ravel(), weights=weight.ravel(), minlength=HUES)
    masks, widths = _templates()
    covered = masks @ (wheel / wheel.sum())
    return float((covered * (1 - widths)).max())


@cache
def _templates() -> tuple[np.ndarray, np.ndarray]:
    """Every rotation of the templates i, V, L, I, T, Y, X as rows of 0 and 1 over the hue bins, and their widths."""
    sectors: list[list[tuple[float, float]]] = [
        [(0, 18)],
        [(0, 94)],
        [(0, 18), (90, 79)],
        [(0, 18), (180, 18)],
        [(0, 180)],
        [(0, 94), (180, 18)],
        [(0, 94), (180, 94)],
    ]
    degrees = (np.arange(HUES) + 0.5) * 360 / HUES
    rows = []
    for template in sectors:
        inside = np.zeros(HUES, bool)
        for centre, width in template:
            inside |= np.abs((degrees - centre + 180) % 360 - 180) <= width / 2
        rows += [np.roll(inside, turn) for turn in range(HUES)]
    masks = np.array(rows, float)
    return masks, masks.mean(axis=1)
