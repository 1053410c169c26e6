"""What the faces of a picture say: how close the shot is, who looks at us, who is cut off, who is together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from keyart.vision.expression import frontality
from keyart.vision.faces import Face
from keyart.vision.picture import Picture
from keyart.vision.technical import sharpness_map

__all__ = ["SHOT_TYPES", "People", "believable", "describe", "shot_type", "within"]

SHOT_TYPES = (("extreme close-up", 0.75), ("close-up", 0.4), ("medium", 0.16), ("full", 0.07), ("wide", 0.0))
"""Shot type and the least height of its largest face, as a share of the picture's height (a face
box fills about half of a close-up, a fifth of a shot to the waist, a tenth of a full figure)."""
UNSURE, IN_FOCUS = 0.8, 0.25
"""A detector's score below which a face must be in focus, and the sharpness of its sharper quarter that is."""


@dataclass(frozen=True)
class People:
    """Signals of the faces in [0, 1]; ``x`` and ``y`` in [-1, 1] (left and top are negative). All 0 without faces."""

    count: float  # 0, 1/2, 2/3, 3/4, ...
    size: float  # height of the largest face
    x: float
    y: float
    frontal: float  # 1: the largest face looks at us
    together: float  # two faces of like size, side by side
    cut_off: float  # share of the largest face's surroundings that lie outside
    closeness: float  # 0 wide to 1 extreme close-up


def describe(faces: Sequence[Face]) -> People:
    """Signals of faces whose boxes are shares of the picture they stand in."""
    if not faces:
        return People(0, 0, 0, 0, 0, 0, 0, 0)
    largest = max(faces, key=lambda face: face.width * face.height)
    middle_x, middle_y = largest.x + largest.width / 2, largest.y + largest.height / 2
    return People(
        count=1 - 1 / (1 + len(faces)),
        size=float(np.clip(largest.height, 0, 1)),
        x=float(np.clip(2 * middle_x - 1, -1, 1)),
        y=float(np.clip(2 * middle_y - 1, -1, 1)),
        frontal=frontality(largest),
        together=_together(faces),
        cut_off=max(_cut_off(face) for face in faces if face.height >= 0.5 * largest.height),
        closeness=float(np.clip(np.log(max(largest.height, 1e-3) / 0.04) / np.log(0.7 / 0.04), 0, 1)),
    )


def shot_type(face_height: float) -> str:
    """One of SHOT_TYPES by the height of the largest face, a share of the picture's; "none" where it is 0.

    >>> shot_type(0.5), shot_type(0.0)
    ('close-up', 'none')
    """
    if face_height <= 0:
        return "none"
    return next(name for name, least in SHOT_TYPES if face_height >= least)


def believable(faces: Sequence[Face], picture: Picture) -> list[Face]:
    """The faces without those of which the detector is not sure and that are out of focus: they are dark blobs."""
    if all(face.score >= UNSURE for face in faces):
        return list(faces)
    sharp, energy = sharpness_map(picture.fine)
    trusted = sharp * energy / (energy + 0.004)
    rows, columns = trusted.shape

    def in_focus(face: Face) -> bool:
        (moved,) = within([face], picture.window)
        across = slice(max(0, int(moved.x * columns)), max(0, int(np.ceil((moved.x + moved.width) * columns))))
        down = slice(max(0, int(moved.y * rows)), max(0, int(np.ceil((moved.y + moved.height) * rows))))
        own = trusted[down, across]
        return bool(own.size) and float(np.percentile(own, 75)) >= IN_FOCUS

    return [face for face in faces if face.score >= UNSURE or in_focus(face)]


def within(faces: Sequence[Face], window: tuple[float, float, float, float]) -> list[Face]:
    """The faces as shares of ``window`` (x, y, width, height as shares of the picture they were found in)."""
    x, y, width, height = window
    moved = []
    for face in faces:
        points = np.array(face.landmarks, float).reshape(-1, 2)
        marks = ((points - (x, y)) / (width, height)).ravel()
        moved.append(
            replace(
                face,
                x=(face.x - x) / width,
                y=(face.y - y) / height,
                width=face.width / width,
                height=face.height / height,
                landmarks=tuple(float(value) for value in marks),
            )
        )
    return moved


def _together(faces: Sequence[Face]) -> float:
    if len(faces) < 2:
        return 0.0
    first, second = sorted(faces, key=lambda face: -face.height)[:2]
    alike = second.height / first.height
    apart = abs((first.x + first.width / 2) - (second.x + second.width / 2)) / (first.width + second.width)
    visible = min(1.0, second.height / 0.12)
    return float(np.clip(1.5 * alike - 0.5, 0, 1) * np.clip(2 - apart, 0, 1) * visible)


def _cut_off(face: Face) -> float:
    """Share of the head (a fifth higher than the face box) that lies outside the picture, doubled and cut at 1."""
    top, bottom, left, right = face.y - 0.2 * face.height, face.y + face.height, face.x, face.x + face.width
    inside = max(0.0, min(bottom, 1) - max(top, 0)) * max(0.0, min(right, 1) - max(left, 0))
    outside = 1 - inside / max(1e-9, 1.2 * face.height * face.width)
    return float(np.clip(2 * outside - 0.15, 0, 1))
