"""Lettering in a picture, found without a model: title cards, credits and captions make poor artwork.

Strokes are thin structures that stand out from a locally flat ground (top-hat and black-hat). Strokes of one line are
joined; a line counts where it is wider than high, broken into strokes as letters are, of nearly one colour, on a flat
ground. Grass, branches and windows fail one of these.
"""

from dataclasses import dataclass

import cv2
import numpy as np

__all__ = ["Lettering", "find_lettering"]

LONG_SIDE = 640
"""Pixels of the longer side at which lettering is sought: credits are too small at the size of the other signals."""
STROKE = 11
"""Widest stroke in pixels."""
CONTRAST = 0.16
"""Least difference (of 1) between a stroke and its ground."""
JOIN = 21
"""Pixels between letters that still make one line."""
RIM = 3
"""Pixels around a line that show its ground."""


@dataclass(frozen=True)
class Lettering:
    """What lettering a picture bears: lines (N, 4) as x, y, width, height shares; all scores in [0, 1]."""

    lines: np.ndarray
    share: float  # of the picture's area
    plain: float  # share of the ground around the lines that is flat
    title_card: float  # 0.5 and more: the picture is about its lettering


def find_lettering(bgr: np.ndarray) -> Lettering:
    """Lettering in (H, W, 3) uint8 BGR of any size."""
    scale = min(1.0, LONG_SIDE / max(bgr.shape[:2]))
    size = (max(16, round(bgr.shape[1] * scale)), max(16, round(bgr.shape[0] * scale)))
    grey = cv2.cvtColor(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    # At half the size the same strokes and gaps are those of lettering twice as large.
    half = cv2.resize(grey, (grey.shape[1] // 2, grey.shape[0] // 2), interpolation=cv2.INTER_AREA)
    lines = np.concatenate([_lines(grey), 2 * _lines(half)])
    height, width = grey.shape
    mask = np.zeros(grey.shape, np.uint8)
    for x, y, w, h in lines:
        mask[y : y + h, x : x + w] = 1
    share = float(mask.mean())
    plain = _plain(grey, cv2.dilate(mask, np.ones((7, 7), np.uint8)))
    longest = lines[:, 2].max(initial=0) / width
    # Credits cover much; a card's few words stand on nothing. Either suffices.
    card = max(min(1.0, share / 0.12), min(1.0, longest / 0.08) * float(np.clip((plain - 0.6) / 0.3, 0, 1)))
    return Lettering(lines / np.array([width, height, width, height], float), share, plain, card)


def _lines(grey: np.ndarray) -> np.ndarray:
    """(N, 4) int boxes x, y, width, height of the lines in bright or dark strokes."""
    ground = cv2.getStructuringElement(cv2.MORPH_RECT, (STROKE, STROKE))
    boxes = []
    for polarity in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        stroke = cv2.morphologyEx(grey, polarity, ground)
        strong = (stroke > CONTRAST * 255).astype(np.uint8)
        boxes += [box for box in _broken_bars(strong) if _stands_out(grey, stroke, strong, *box)]
    return np.array(boxes, dtype=np.int64).reshape(-1, 4)


def _broken_bars(strong: np.ndarray) -> np.ndarray:
    """(N, 4) boxes of strokes joined along a line that are shaped and broken as a line of letters is."""
    joined = cv2.morphologyEx(strong, cv2.MORPH_CLOSE, np.ones((1, JOIN), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8, ltype=cv2.CV_16U)
    w, h, area = np.maximum(1, stats.T[2:])
    ink = np.bincount(labels[strong > 0], minlength=count)
    begins = (strong[:, 1:] > 0) & (strong[:, :-1] == 0)
    # Letters break a line into about two strokes for each of their heights.
    breaks = np.bincount(labels[:, 1:][begins], minlength=count) / h
    fill = ink / (w * h)
    fits = (np.arange(count) > 0) & (h >= 4) & (h < 0.16 * strong.shape[0]) & (w > 2 * h) & (area > 0.45 * w * h)
    return stats[fits & (fill > 0.12) & (fill < 0.75) & (breaks > 0.5 * w / h) & (breaks >= 2.5)][:, :4]


def _stands_out(grey: np.ndarray, stroke: np.ndarray, strong: np.ndarray, x: int, y: int, w: int, h: int) -> bool:
    """Whether the strokes of a box are of one colour on a flat ground."""
    wide = (slice(max(0, y - RIM), y + h + RIM), slice(max(0, x - RIM), x + w + RIM))
    free = grey[wide][cv2.dilate(strong[wide], np.ones((3, 3), np.uint8)) == 0]
    if free.size < 0.15 * strong[wide].size:
        return False
    ink = stroke[wide][strong[wide] > 0]
    contrast = float(np.percentile(ink, 75))
    core = grey[wide][(strong[wide] > 0) & (stroke[wide] >= 0.6 * contrast)]
    return bool(free.std() < 0.13 * contrast + 2 and core.std() < 0.22 * contrast + 2)


def _plain(grey: np.ndarray, mask: np.ndarray) -> float:
    """Share of the picture outside ``mask`` that is flat or a slow gradient."""
    slope = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    outside = int((mask == 0).sum())
    return float(((slope < 10) & (mask == 0)).sum()) / outside if outside else 0.0
