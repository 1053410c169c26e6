"""Variants: an artwork in, artworks out. A generative model plugs in here, as one more entry of VARIANTS."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from keyart.errors import ConfigError
from keyart.selection.lettering import set_title
from keyart.vision.faces import Face

__all__ = ["GRADES", "VARIANTS", "Source", "Variation", "grade", "vary"]


@dataclass(frozen=True)
class Source:
    """An artwork to be varied: (H, W, 3) uint8 BGR, its faces as shares, and the title by language ("" the default)."""

    bgr: np.ndarray
    faces: list[Face] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Variation:
    """One picture made from an artwork; ``name`` becomes its row's variant, its parent is the artwork."""

    name: str
    bgr: np.ndarray


Variant = Callable[[Source], list[Variation]]

GRADES: dict[str, tuple[tuple[float, float, float], float]] = {
    # gains of blue, green and red in linear light; slope of contrast about mid-grey
    "warm": ((0.78, 1.0, 1.18), 1.0),
    "cold": ((1.2, 1.0, 0.8), 1.0),
    "high-contrast": ((1.0, 1.0, 1.0), 1.35),
}


def grade(bgr: np.ndarray, name: str) -> np.ndarray:
    """(H, W, 3) uint8 graded by one of GRADES: white balance in linear light, then an S-curve that clips nothing."""
    gains, slope = GRADES[name]
    linear = (bgr.astype(np.float32) / 255) ** 2.2 * np.array(gains, np.float32)
    shown = np.clip(linear, 0, 1) ** (1 / 2.2)
    if slope != 1:
        # A logistic about mid-grey, scaled so that black stays black and white stays white.
        curve = 1 / (1 + np.exp(-4 * slope * (shown - 0.5)))
        low, high = 1 / (1 + np.exp(2 * slope)), 1 / (1 + np.exp(-2 * slope))
        shown = (curve - low) / (high - low)
    return np.round(255 * shown).astype(np.uint8)


def _grades(source: Source) -> list[Variation]:
    return [Variation(f"grade-{name}", grade(source.bgr, name)) for name in GRADES]


def _titled(source: Source) -> list[Variation]:
    found = []
    for language, title in source.titles.items():
        made = set_title(source.bgr, title, source.faces)
        if made is not None:
            found.append(Variation(f"title-{language}" if language else "title", made.bgr))
    return found


VARIANTS: dict[str, Variant] = {"grade": _grades, "title": _titled}
"""What can be made of an artwork, by name."""


def vary(source: Source, names: list[str]) -> list[Variation]:
    """All variations of the named plug-ins; ConfigError for a name that is unknown."""
    if unknown := [name for name in names if name not in VARIANTS]:
        raise ConfigError(f"no variant {', '.join(unknown)}; known are {', '.join(VARIANTS)}")
    return [made for name in names for made in VARIANTS[name](source)]
