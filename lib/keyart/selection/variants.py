"""Variants: an artwork in, artworks out. A generative model plugs in here, by name.

A plug-in is a function of ``Source`` that gives ``Variation``s: one of VARIANTS, or any other by
``package.module:function``.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from keyart.errors import ConfigError
from keyart.selection.lettering import missing_letters, set_title
from keyart.vision.faces import Face

__all__ = ["GRADES", "TITLE", "VARIANTS", "Source", "Variation", "grade", "regions_of", "variant_named", "vary"]

TITLE = "title"
"""Name of a variation that carries the title; with a dash and a language where that is a localised one."""


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
        if missing_letters(title, language):
            continue
        made = set_title(source.bgr, title, source.faces, language)
        if made is not None:
            found.append(Variation(f"{TITLE}-{language}" if language else TITLE, made.bgr))
    return found


VARIANTS: dict[str, Variant] = {"grade": _grades, "title": _titled}
"""What can be made of an artwork, by name."""


def variant_named(name: str) -> Variant:
    """The plug-in; ConfigError for a name that is unknown or cannot be imported."""
    if name in VARIANTS:
        return VARIANTS[name]
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function) if function else VARIANTS[name]
    except (ImportError, AttributeError, KeyError) as error:
        known = f"{', '.join(VARIANTS)}, or package.module:function"
        raise ConfigError(f"select.variants: no variant {name} ({error}); known are {known}") from error


def vary(source: Source, names: Sequence[str]) -> list[Variation]:
    """All variations of the named plug-ins; ConfigError for a name that is unknown."""
    return [made for name in names for made in variant_named(name)(source)]


def regions_of(variation: str, languages: Mapping[str, str]) -> list[str] | None:
    """Where alone a variation may be shown: one with a localised title where that language is read; None: everywhere.

    >>> regions_of("title-ja", {"JP": "ja", "SE": "sv"}), regions_of("title", {"JP": "ja"}), regions_of("title-ja", {})
    (['JP'], None, None)
    """
    kind, _, language = variation.partition("-")
    if kind != TITLE or not language or not languages:
        return None
    return sorted(region for region, read in languages.items() if read == language)
