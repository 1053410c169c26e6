"""Lettering by a learned detector (rapidocr, the extra ``text``), on the few pictures that can still win.

The detector is fast at half size but takes a rare picture as a whole for a line: boxes are kept only where they are
shaped as lines of letters are.
"""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np

from keyart.errors import SetupError

__all__ = ["READERS", "build_reader", "describe_lines", "reads"]

LONG_SIDE = 480
"""Pixels of the longer side at which lettering is sought."""
LEAST_SCORE = 0.55
HIGHEST = 0.3
"""Share of the height from which a box is no line of letters."""
Reader = Callable[[np.ndarray], np.ndarray]


def reads(kind: str) -> bool:
    """Whether what a reader needs is installed."""
    return kind == "rapidocr" and find_spec("rapidocr") is not None and find_spec("onnxruntime") is not None


@cache
def build_reader(kind: str) -> Reader:
    """What finds lines (N, 4) as shares in (H, W, 3) BGR, by name; SetupError where its extra is not installed."""
    if kind not in READERS:
        raise SetupError(f"no text detector {kind}; known are strokes, {', '.join(READERS)}")
    return READERS[kind]()


def _rapidocr() -> Reader:
    if not reads("rapidocr"):
        raise SetupError("no rapidocr here: pip install 'keyart[text]', or set select.text=strokes")
    from rapidocr import RapidOCR

    one = {f"EngineConfig.onnxruntime.{name}_op_num_threads": 1 for name in ("intra", "inter")}
    seek = {"Det.limit_side_len": LONG_SIDE, "Det.limit_type": "max", "Global.log_level": "error"}
    engine: Any = RapidOCR(params={"Global.use_cls": False, "Global.use_rec": False, **one, **seek})

    def read(bgr: np.ndarray) -> np.ndarray:
        scale = min(1.0, LONG_SIDE / max(bgr.shape[:2]))
        size = (max(32, round(bgr.shape[1] * scale)), max(32, round(bgr.shape[0] * scale)))
        small = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
        found = engine(small, use_det=True, use_cls=False, use_rec=False)
        if found.boxes is None:
            return np.zeros((0, 4))
        corners = np.asarray(found.boxes, float)[np.asarray(found.scores) >= LEAST_SCORE]
        if not len(corners):
            return np.zeros((0, 4))
        low, high = corners.min(axis=1) / size, corners.max(axis=1) / size
        lines = np.concatenate([low, high - low], axis=1)
        wide = lines[:, 2] * size[0] > 1.5 * lines[:, 3] * size[1]
        return lines[wide & (lines[:, 3] < HIGHEST) & (lines[:, 3] > 0.015)]

    return read


READERS: dict[str, Callable[[], Reader]] = {"rapidocr": _rapidocr}
"""What can find lettering beside the strokes of ``text``; a new one is an entry here."""


def describe_lines(lines: np.ndarray, plain: float) -> tuple[float, float]:
    """Features lettering and title_card of lines (N, 4) on a ground of which the share ``plain`` is flat.

    Many lines are credits wherever they stand; few make a card only where little else is to be seen.
    """
    if not len(lines):
        return 0.0, 0.0
    area = float((lines[:, 2] * lines[:, 3]).sum())
    longest = float(lines[:, 2].max())
    card = max(min(1.0, len(lines) / 8), min(1.0, longest / 0.1) * float(np.clip((plain - 0.6) / 0.3, 0, 1)))
    return min(1.0, area / 0.2), card
