"""Faces in a picture, behind one small interface: YuNet where its model file is at hand, OpenCV's cascade elsewhere.

A detector is described by a ``FaceModel`` (a name and the bytes of its file), which travels to workers in a closure, so
that no worker needs the file; each worker builds its detector once.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from keyart.errors import ModelError

__all__ = ["DETECTORS", "Detector", "Face", "FaceModel", "build_detector", "find_model"]

LONG_SIDE = 480
"""Pixels of the longer side in which faces are sought; smaller faces than a fortieth of it make no artwork."""
CASCADE = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
"""OpenCV carries it."""
YUNET_SCORE = 0.7
"""Least confidence of YuNet that counts as a face; drawn faces often reach no more."""
SMALL, SMALL_SCORE = 0.15, 0.8
"""Faces lower than this share of the picture need more confidence: among them are most of the false alarms."""


@dataclass(frozen=True)
class Face:
    """A face: box and landmarks (x, y of eyes, nose, mouth corners; may be empty) as shares of the picture."""

    x: float
    y: float
    width: float
    height: float
    score: float
    landmarks: tuple[float, ...] = ()


class Detector(Protocol):
    """What finds faces in (H, W, 3) uint8 BGR, surest first."""

    def __call__(self, bgr: np.ndarray) -> list[Face]: ...


@dataclass(frozen=True)
class FaceModel:
    """Which detector, and its model file's bytes (empty where it needs none)."""

    kind: str
    weights: bytes = b""


def find_model(folder: str | Path, file_name: str) -> FaceModel:
    """YuNet from ``folder``, else OpenCV's cascade, which one line on stderr tells; ModelError for a broken file."""
    path = Path(folder) / file_name
    if not path.is_file():
        print(f"keyart: no {path}: OpenCV's cascade finds the faces, and fewer of them", file=sys.stderr)
        return FaceModel("cascade")
    model = FaceModel("yunet", path.read_bytes())
    build_detector(model)
    return model


@cache
def build_detector(model: FaceModel) -> Detector:
    """The detector of a model, one a process; ModelError where the kind is unknown or the file is not such a model."""
    if model.kind not in DETECTORS:
        raise ModelError(f"no face detector {model.kind}; known are {', '.join(DETECTORS)}")
    try:
        return DETECTORS[model.kind](model.weights)
    except cv2.error as error:
        raise ModelError(f"the face model file for {model.kind} cannot be read by OpenCV; fetch it again") from error


class YuNet:
    """Wu, Peng and Yu 2023, through cv2.FaceDetectorYN."""

    def __init__(self, weights: bytes) -> None:
        self._net = cv2.FaceDetectorYN.create(
            "onnx", np.frombuffer(weights, np.uint8), np.empty(0, np.uint8), (320, 320), YUNET_SCORE, 0.3, 100
        )

    def __call__(self, bgr: np.ndarray) -> list[Face]:
        small = _small(bgr)
        height, width = small.shape[:2]
        self._net.setInputSize((width, height))
        found = self._net.detect(small)[1]
        faces = [] if found is None else [_face(row[:4], row[4:14], float(row[14]), width, height) for row in found]
        sure = [face for face in faces if face.height >= SMALL or face.score >= SMALL_SCORE]
        return sorted(sure, key=lambda face: -face.score)


class Cascade:
    """Viola and Jones 2001: frontal faces only, no landmarks, more false alarms."""

    def __init__(self, weights: bytes = b"") -> None:
        self._cascade = cv2.CascadeClassifier(str(CASCADE))

    def __call__(self, bgr: np.ndarray) -> list[Face]:
        small = _small(bgr)
        height, width = small.shape[:2]
        grey = cv2.equalizeHist(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY))
        least = max(20, round(0.06 * max(height, width)))
        boxes, _, weights = self._cascade.detectMultiScale3(
            grey, 1.1, 5, minSize=(least, least), outputRejectLevels=True
        )
        faces = [
            _face(np.asarray(box, float), np.empty(0), float(np.clip(weight / 8, 0, 1)), width, height)
            for box, weight in zip(boxes, weights, strict=True)
        ]
        return sorted(faces, key=lambda face: -face.score)


DETECTORS: dict[str, Callable[[bytes], Detector]] = {"yunet": YuNet, "cascade": Cascade}
"""What can find faces; a new detector is one entry here."""


def _small(bgr: np.ndarray) -> np.ndarray:
    scale = LONG_SIDE / max(bgr.shape[:2])
    if scale >= 1:
        return bgr
    size = (max(8, round(bgr.shape[1] * scale)), max(8, round(bgr.shape[0] * scale)))
    return cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)


def _face(box: np.ndarray, points: np.ndarray, score: float, width: int, height: int) -> Face:
    x, y, w, h = box / np.array([width, height, width, height])
    marks = points.reshape(-1, 2) / np.array([width, height])
    return Face(float(x), float(y), float(w), float(h), score, tuple(float(value) for value in marks.ravel()))
