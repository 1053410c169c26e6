"""Mood labels from visible signals. They name how a picture looks, not what its story means."""

from collections.abc import Mapping

__all__ = ["LEAST", "MOODS", "mood_labels", "mood_scores", "resonance"]

MOODS = ("warm", "romantic", "tense", "suspense", "comic", "action", "epic", "calm")
LEAST = 0.5
"""Score from which a mood becomes a label."""


def mood_scores(signals: Mapping[str, float]) -> dict[str, float]:
    """Scores in [0, 1] by mood, from the other named features.

    warm: warm hues, not too dark. romantic: two faces side by side, the more in warm light. tense: dark and hard, the
    more in a close-up. suspense: dark, pale, with much empty space. comic: bright and colourful, the more with a face.
    action: what moves within the picture, the more before much detail. epic: no or small faces, wide contrast, a
    subject spread over the picture. calm: still, light, little detail.
    """
    at = signals.__getitem__
    dark = _ramp(1 - at("brightness"), 0.6, 0.85)
    moving = max(_ramp(at("subject_motion"), 0.25, 0.7), 0.7 * _ramp(at("motion_blur"), 0.3, 0.6))
    warm = _ramp(at("warmth"), 0.05, 0.4) * _ramp(at("brightness"), 0.1, 0.35)
    close = _ramp(at("closeness"), 0.35, 0.8)
    small_faces = 1 - _ramp(at("face_size"), 0.08, 0.2)
    return {
        "warm": warm,
        "romantic": at("faces_together") * (0.7 + 0.3 * warm),
        "tense": dark * (0.4 + 0.3 * close + 0.3 * _ramp(at("contrast"), 0.4, 0.8)) * (1 - 0.4 * warm),
        "suspense": dark * (0.5 + 0.5 * at("negative_space")) * (1 - 0.6 * at("saturation")) * (1 - 0.5 * close),
        "comic": _ramp(at("brightness"), 0.35, 0.6)
        * _ramp(at("colourfulness"), 0.3, 0.7)
        * (0.6 + 0.4 * _ramp(at("face_count"), 0, 0.5)),
        "action": moving * (0.6 + 0.4 * _ramp(at("detail"), 0.05, 0.25)),
        "epic": small_faces
        * _ramp(at("contrast"), 0.35, 0.75)
        * (0.5 + 0.5 * _ramp(at("subject_spread"), 0.35, 0.65))
        * (1 - 0.7 * dark),
        "calm": (1 - moving)
        * (1 - _ramp(at("detail"), 0.03, 0.2))
        * _ramp(at("brightness"), 0.25, 0.5)
        * (1 - 0.5 * _ramp(at("contrast"), 0.6, 1)),
    }


def resonance(signals: Mapping[str, float]) -> float:
    """How much a picture moves whoever sees it, in [0, 1], from the other named features and moods.

    A face that is close (0.3), looks at us with open eyes (0.25) and shows something: a smile (0.15); what moves in the
    picture (0.1); the strongest mood (0.2). Without a face at most 0.3 is left, which is what landscapes get.
    """
    at = signals.__getitem__
    seen = _ramp(at("face_size"), 0.05, 0.25)
    gaze = seen * at("face_frontal") * at("face_eyes_open")
    strongest = max(at(f"mood_{mood}") for mood in MOODS)
    return (
        0.3 * seen * at("closeness")
        + 0.25 * gaze
        + 0.15 * seen * at("face_smile")
        + 0.1 * _ramp(at("subject_motion"), 0.1, 0.5)
        + 0.2 * strongest
    )


def mood_labels(signals: Mapping[str, float], most: int = 3) -> list[str]:
    """The moods of at least LEAST, strongest first."""
    found = sorted((mood for mood in MOODS if signals[f"mood_{mood}"] >= LEAST), key=lambda m: -signals[f"mood_{m}"])
    return found[:most]


def _ramp(value: float, low: float, high: float) -> float:
    """0 up to ``low``, 1 from ``high``, straight between."""
    return float(min(1.0, max(0.0, (value - low) / (high - low))))
