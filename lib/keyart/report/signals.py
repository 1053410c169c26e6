"""The feature vector for people to read: each number with its range, a word for where it lies, and its standing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keyart.report import wording
from keyart.vision.features import FEATURE_NAMES, SIGNED

__all__ = ["WORDS", "Signal", "read_signals", "word_of"]

WORDS: dict[str, tuple[str, str]] = {
    "brightness": ("dark", "bright"),
    "contrast": ("flat", "contrasty"),
    "low_key": ("few shadows", "mostly shadow"),
    "high_key": ("few lights", "mostly light"),
    "saturation": ("pale", "saturated"),
    "colourfulness": ("nearly grey", "colourful"),
    "warmth": ("cold", "warm"),
    "hue_x": ("towards cyan", "towards red"),
    "hue_y": ("towards violet", "towards yellow-green"),
    "hue_agreement": ("many hues", "one hue"),
    "palette_variety": ("one main colour", "varied palette"),
    "harmony": ("colours clash", "colours agree"),
    "sharpness": ("soft", "sharp"),
    "motion_blur": ("no smear", "smeared"),
    "noise": ("clean", "grainy"),
    "exposure": ("badly exposed", "well exposed"),
    "thirds": ("subject off the thirds", "subject on the thirds"),
    "symmetry": ("asymmetric", "symmetric"),
    "balance": ("lopsided", "balanced"),
    "simplicity": ("busy", "simple"),
    "negative_space": ("full frame", "open space"),
    "negative_side": ("space at the left", "space at the right"),
    "depth_of_field": ("sharp throughout", "soft background"),
    "tilt": ("level", "tilted"),
    "subject_x": ("subject at the left", "subject at the right"),
    "subject_y": ("subject at the top", "subject at the bottom"),
    "subject_spread": ("subject compact", "subject spread out"),
    "subject_strength": ("nothing stands out", "one thing stands out"),
    "subject_light": ("subject dark", "subject bright"),
    "detail": ("plain", "detailed"),
    "face_count": ("no or few faces", "many faces"),
    "face_size": ("no or small face", "large face"),
    "face_x": ("face at the left", "face at the right"),
    "face_y": ("face at the top", "face at the bottom"),
    "face_frontal": ("no face, or turned away", "looks at us"),
    "faces_together": ("no pair", "a pair"),
    "face_cut_off": ("nothing cut off", "face cut off"),
    "closeness": ("wide", "close"),
    "face_eyes_open": ("no face, or eyes closed", "eyes open"),
    "face_smile": ("no smile", "smile"),
    "camera_motion": ("camera still", "camera moves"),
    "subject_motion": ("subject still", "subject moves"),
    "lettering": ("no lettering", "lettering"),
    "title_card": ("no title card", "title card"),
    "mood_warm": ("not warm", "warm"),
    "mood_romantic": ("not romantic", "romantic"),
    "mood_tense": ("not tense", "tense"),
    "mood_suspense": ("no suspense", "suspense"),
    "mood_comic": ("not comic", "comic"),
    "mood_action": ("no action", "action"),
    "mood_epic": ("not epic", "epic"),
    "mood_calm": ("not calm", "calm"),
    "resonance": ("leaves one cold", "moves one"),
}
"""What a low and a high value of each feature look like."""
THIRD = 1 / 3


@dataclass(frozen=True)
class Signal:
    """One feature of a picture; ``standing`` is the share of the title's other pictures that have less of it (None
    where there is no other), ``word`` is empty in the middle third of the range."""

    name: str
    value: float
    low: float
    high: float
    word: str
    standing: float | None


def word_of(name: str, value: float) -> str:
    """What a value looks like: the low word in the lowest third of the range, the high one in the highest, else "".

    >>> word_of("brightness", 0.1), word_of("brightness", 0.5), word_of("warmth", -0.1), word_of("warmth", 0.6)
    ('dark', '', '', 'warm')
    """
    low = -1.0 if name in SIGNED else 0.0
    place = (value - low) / (1 - low)
    return WORDS[name][0] if place < THIRD else WORDS[name][1] if place > 1 - THIRD else ""


def read_signals(features: Sequence[float], others: Sequence[Sequence[float]]) -> list[Signal]:
    """All features of a picture in the order of FEATURE_NAMES, against the vectors of the title's ``others``."""
    found = np.array(others, dtype=np.float64).reshape(-1, len(FEATURE_NAMES))
    below = (found < np.asarray(features)).mean(axis=0) if len(found) else None
    return [
        Signal(
            wording.named(name),
            float(value),
            -1.0 if name in SIGNED else 0.0,
            1.0,
            word_of(name, float(value)),
            None if below is None else float(below[i]),
        )
        for i, (name, value) in enumerate(zip(FEATURE_NAMES, features, strict=True))
    ]
