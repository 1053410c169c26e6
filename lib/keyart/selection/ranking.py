"""A score for every candidate of a title, comparable within it, and what is wrong with those that cannot be shown."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keyart.vision.expression import CLOSED
from keyart.vision.features import FEATURE_NAMES

__all__ = ["Candidates", "Ranking", "column", "craft", "rank"]

TITLE_CARD = 0.5
"""Feature title_card from which a picture is a title card."""
BLANK_CONTRAST = 0.07
"""Contrast below which a picture is blank: a fade, a black or a single-coloured frame."""
BLURRED = 0.3
"""Sharpness below which not even the sharpest part of a picture is sharp."""
DARK = 0.3
"""Exposure below which too little can be made out."""
CUT_OFF = 0.4
"""Feature face_cut_off from which a face counts as cut off."""
CLOSED_FACTOR = 0.6
"""What a picture whose largest face has its eyes closed keeps of its score."""
SPOILER_FACTOR = 0.6
"""What a frame of the film's last part keeps of its score."""
GUARD = 0.25
"""Largest deduction for a shot that takes next to nothing of the film: it would promise what the film is not."""


@dataclass(frozen=True)
class Candidates:
    """The readable candidates of one title, all arrays of length N; features (N, F) in the order of FEATURE_NAMES."""

    features: np.ndarray
    hashes: np.ndarray  # uint64
    seconds: np.ndarray
    shot_share: np.ndarray
    position: np.ndarray
    quality: np.ndarray
    shot: np.ndarray  # any number that tells the title's shots apart
    cast_factor: float | np.ndarray = 1.0  # what the people shown make of the score: the lead up, extras down
    drawn: float | np.ndarray = 1.0  # what viewers did at that moment makes of it: paused or came back up, left down


@dataclass(frozen=True)
class Ranking:
    """Scores (N,) in [0, 1], what makes a candidate unusable ("" where nothing does), and flags for an editor."""

    score: np.ndarray
    problem: list[str]
    flags: list[list[str]]

    @property
    def usable(self) -> np.ndarray:
        """(N,) booleans."""
        return np.array([not problem for problem in self.problem], dtype=bool)


def column(features: np.ndarray, name: str) -> np.ndarray:
    """(N,) one feature of (N, F) by its name."""
    return features[:, FEATURE_NAMES.index(name)]


def rank(candidates: Candidates, spoiler_share: float) -> Ranking:
    """Technical quality x (composition, colour and faces) x deductions for what an editor would not show.

    Deducted: lettering, cut-off faces, frames of the film's last ``spoiler_share``, and shots that take so little of
    the film that they do not represent it (the clickbait guard).
    """
    spoiler = (
        candidates.position >= 1 - spoiler_share if spoiler_share > 0 else np.zeros(len(candidates.position), bool)
    )
    cut_off, lettering = column(candidates.features, "face_cut_off"), column(candidates.features, "lettering")
    appeal = 0.2 + 0.33 * _composition(candidates.features) + 0.42 * _prominence(candidates.features)
    appeal += 0.05 * column(candidates.features, "resonance")
    closed = _closed_eyes(candidates.features)
    score = (
        _technical(candidates)
        * appeal
        * _representative(candidates.shot_share)
        * (1 - 0.5 * cut_off)
        * np.where(closed, CLOSED_FACTOR, 1.0)
        * candidates.cast_factor
        * candidates.drawn
        * (1 - np.minimum(1, 2 * lettering))
        * (1 - 0.8 * column(candidates.features, "title_card"))
        * np.where(spoiler, SPOILER_FACTOR, 1.0)
    )
    card = column(candidates.features, "title_card") >= TITLE_CARD
    found = {"title-card": card, "text": lettering >= 0.05, "spoiler": spoiler, "cut-off-face": cut_off >= CUT_OFF}
    found["closed-eyes"] = closed
    flags = [[name for name, there in found.items() if there[row]] for row in range(len(spoiler))]
    return Ranking(np.clip(score, 0, 1), _problems(candidates.features), flags)


def craft(features: np.ndarray) -> np.ndarray:
    """(N,) how well made pictures are, whatever they show, in [0, 1]: sharp, still, clean, well exposed and level."""
    at = lambda name: column(features, name)  # noqa: E731
    factors = (
        0.15 + 0.85 * (1 - (1 - at("sharpness")) ** 1.75),  # a soft close-up is less of a fault than a blurred frame
        1 - 0.5 * at("motion_blur"),
        1 - 0.8 * at("noise") ** 1.5,  # a little grain is none to a viewer
        0.1 + 0.9 * at("exposure"),
        0.4 + 0.6 * np.sqrt(_ramp(at("contrast"), 0.05, 0.75)),
        0.6 + 0.4 * _ramp(at("subject_light"), 0.08, 0.3),
        1 - 0.5 * np.sqrt(at("tilt")),
    )
    return np.prod(factors, axis=0)


def _technical(candidates: Candidates) -> np.ndarray:
    best = candidates.quality.max(initial=0)
    scanned = candidates.quality / best if best > 0 else np.ones_like(candidates.quality)
    return craft(candidates.features) * (0.8 + 0.2 * scanned)


def _composition(features: np.ndarray) -> np.ndarray:
    at = lambda name: column(features, name)  # noqa: E731
    signals = (
        (1.0, np.maximum(at("thirds"), at("symmetry"))),  # on the thirds or in the middle: both are ways to place it
        (0.5, at("balance")),
        (0.7, np.maximum(at("simplicity"), at("depth_of_field"))),
        (0.5, _ramp(at("negative_space"), 0.0, 0.35) * (1 - _ramp(at("negative_space"), 0.7, 1.0))),
        (0.4, at("harmony")),
        (0.8, _ramp(at("colourfulness"), 0.05, 0.5)),
    )
    weights, values = zip(*signals, strict=True)
    return np.average(values, axis=0, weights=weights)


def _prominence(features: np.ndarray) -> np.ndarray:
    """How much one thing carries the picture: a face that is large, whole and looks at us, or else a clear subject."""
    size = _ramp(column(features, "face_size"), 0.05, 0.35)
    face = size * (0.6 + 0.4 * column(features, "face_frontal")) * (1 - column(features, "face_cut_off"))
    return np.maximum(face, 0.5 * _ramp(column(features, "subject_strength"), 0.35, 0.9))


def _closed_eyes(features: np.ndarray) -> np.ndarray:
    """(N,) booleans: the largest face is large enough to tell, and its eyes are closed."""
    return (column(features, "face_eyes_open") < CLOSED) & (column(features, "face_size") >= 0.12)


def _representative(shot_share: np.ndarray) -> np.ndarray:
    usual = float(np.median(shot_share)) if len(shot_share) else 0.0
    return 1 - GUARD * np.exp(-shot_share / usual) if usual > 0 else np.ones_like(shot_share)


def _problems(features: np.ndarray) -> list[str]:
    tests = (
        ("title card", column(features, "title_card") >= TITLE_CARD),
        ("blank", column(features, "contrast") < BLANK_CONTRAST),
        ("too dark or burnt out", column(features, "exposure") < DARK),
        ("blurred", column(features, "sharpness") < BLURRED),
    )
    return [next((name for name, found in tests if found[row]), "") for row in range(len(features))]


def _ramp(values: np.ndarray | Sequence[float], low: float, high: float) -> np.ndarray:
    return np.clip((np.asarray(values) - low) / (high - low), 0, 1)
