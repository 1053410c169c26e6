"""The feature vector for people to read: each number with its range, a word for where it lies, and its standing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keyart.report import wording
from keyart.vision.features import FEATURE_NAMES, SIGNED
from keyart.vision.words import phrase

__all__ = ["Signal", "read_signals", "word_of"]

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
    """What a value looks like: the phrase for less in the lowest third of the range, for more in the highest, else "".

    >>> word_of("brightness", 0.1), word_of("brightness", 0.5), word_of("warmth", -0.1), word_of("warmth", 0.6)
    ('a darker light', '', '', 'warmer colours')
    """
    low = -1.0 if name in SIGNED else 0.0
    place = (value - low) / (1 - low)
    return "" if THIRD <= place <= 1 - THIRD else phrase(name, more=place > 0.5)


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
