"""The named feature vector of a picture: what selection ranks by and what members' taste is learned on.

Every feature lies in [0, 1] or, where left and right or warm and cold matter, in [-1, 1]. FEATURE_VERSION changes
whenever a name, its order or its meaning does; vectors of different versions never mix.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields

import cv2
import numpy as np

from keyart.vision import colour, composition, people, technical
from keyart.vision.expression import Expression, express
from keyart.vision.faces import Detector, Face
from keyart.vision.hashing import perceptual_hash
from keyart.vision.moods import MOODS, mood_scores, resonance
from keyart.vision.picture import Picture, prepare
from keyart.vision.text import Lettering, find_lettering

__all__ = [
    "FEATURE_NAMES",
    "FEATURE_VERSION",
    "SIGNED",
    "Look",
    "attention_of",
    "feature_vector",
    "glance",
    "look",
    "named",
]

DECIMALS = 6
"""Kept of a feature: float32 sums differ by where a picture lies in memory, and the same picture must compare so."""
FEATURE_VERSION = "4"

_COLOUR = tuple(field.name for field in fields(colour.Colour))
_TECHNICAL = ("sharpness", "motion_blur", "noise", "exposure")
_COMPOSITION = tuple(field.name for field in fields(composition.Composition))
_FACES = (
    "face_count",
    "face_size",
    "face_x",
    "face_y",
    "face_frontal",
    "faces_together",
    "face_cut_off",
    "closeness",
)
_EXPRESSION = ("face_eyes_open", "face_smile")  # of the largest face; 0.5 where neither can be told, 0 without a face
_MOTION = ("camera_motion", "subject_motion")
_TEXT = ("lettering", "title_card")

FEATURE_NAMES: tuple[str, ...] = (
    *_COLOUR,
    *_TECHNICAL,
    *_COMPOSITION,
    *_FACES,
    *_EXPRESSION,
    *_MOTION,
    *_TEXT,
    *(f"mood_{mood}" for mood in MOODS),
    "resonance",
)
SIGNED = frozenset({"warmth", "hue_x", "hue_y", "negative_side", "subject_x", "subject_y", "face_x", "face_y"})
"""Features in [-1, 1]; all others lie in [0, 1]."""

LEFT_OUT = 0.45
"""Dirt that a picture is which was coded coarsely, where no seams show."""
CAMERA_SCALE = 0.05
"""Camera motion (share of the width from frame to frame) that counts as 1."""
SUBJECT_SCALE = 0.1
"""Subject motion (mean absolute difference of luma) that counts as 1."""


@dataclass(frozen=True)
class Look:
    """What a look at a picture gives. ``attention`` covers ``window``, the part free of black bars."""

    features: np.ndarray  # (len(FEATURE_NAMES),) float64; empty after a glance
    faces: list[Face]  # shares of the whole picture
    hash: int  # 64 bits
    attention: np.ndarray  # (h, w), sums to 1
    window: tuple[float, float, float, float]
    expressions: tuple[Expression, ...] = ()  # one a face; empty after a glance


def look(bgr: np.ndarray, camera_motion: float, subject_motion: float, detector: Detector) -> Look:
    """Everything selection needs of (H, W, 3) uint8 BGR; motion as the table ``frames`` has it."""
    picture = prepare(bgr)
    faces = people.believable(detector(bgr), picture)
    attention = attention_of(picture, faces)
    said = tuple(express(bgr, face) for face in faces)
    motion = (camera_motion, subject_motion)
    features = feature_vector(picture, faces, find_lettering(bgr), attention, *motion, said)
    return Look(features, faces, perceptual_hash(picture.luma), attention, picture.window, said)


def glance(bgr: np.ndarray, faces: Sequence[Face]) -> Look:
    """The cheap part of ``look`` for a picture whose features and faces are known."""
    picture = prepare(bgr)
    return Look(np.empty(0), list(faces), perceptual_hash(picture.luma), attention_of(picture, faces), picture.window)


def attention_of(picture: Picture, faces: Sequence[Face]) -> np.ndarray:
    """Attention map of the picture's window: saliency, half of it on the faces where there are any."""
    salient = composition.saliency(picture.luma, picture.lab)
    return composition.with_faces(salient, people.within(faces, picture.window))


def feature_vector(
    picture: Picture,
    faces: Sequence[Face],
    lettering: Lettering,
    attention: np.ndarray,
    camera_motion: float,
    subject_motion: float,
    expressions: Sequence[Expression] = (),
) -> np.ndarray:
    """(len(FEATURE_NAMES),) float64 in the order of FEATURE_NAMES."""
    shot = technical.measure(picture.fine, picture.bgr)
    # Of the sensor or of the coder: dirt to a viewer, and neither hides the other. Seams are seen first.
    seams, coarse = technical.coding(cv2.cvtColor(picture.source, cv2.COLOR_BGR2GRAY))
    dirt = 1 - (1 - shot.noise) * (1 - seams) * (1 - LEFT_OUT * coarse)
    parts = {
        **dict(zip(_COLOUR, astuple(colour.measure(picture.thumb, picture.lab)), strict=True)),
        **{name: getattr(shot, name) for name in _TECHNICAL},
        "noise": dirt,
        **dict(zip(_COMPOSITION, astuple(composition.measure(picture.luma, attention, picture.fine)), strict=True)),
        **dict(zip(_FACES, astuple(people.describe(people.within(faces, picture.window))), strict=True)),
        **dict(zip(_EXPRESSION, _expression(faces, expressions), strict=True)),
        "camera_motion": camera_motion / CAMERA_SCALE,
        "subject_motion": subject_motion / SUBJECT_SCALE,
        "lettering": min(1.0, lettering.share / 0.2),
        "title_card": lettering.title_card,
    }
    signals = {name: float(np.clip(value, -1.0 if name in SIGNED else 0.0, 1.0)) for name, value in parts.items()}
    signals |= {f"mood_{mood}": score for mood, score in mood_scores(signals).items()}
    signals["resonance"] = resonance(signals)
    return np.array([signals[name] for name in FEATURE_NAMES]).round(DECIMALS)


def _expression(faces: Sequence[Face], expressions: Sequence[Expression]) -> tuple[float, float]:
    if not faces:
        return 0.0, 0.0
    largest = max(range(len(faces)), key=lambda i: faces[i].width * faces[i].height)
    said = expressions[largest] if expressions else None
    eyes, smile = (said.eyes_open, said.smile) if said else (None, None)
    return 0.5 if eyes is None else eyes, 0.5 if smile is None else smile


def named(features: Sequence[float] | np.ndarray) -> Mapping[str, float]:
    """The vector by name."""
    return dict(zip(FEATURE_NAMES, (float(value) for value in features), strict=True))
