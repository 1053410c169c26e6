"""The small part of a bundle, as JSON: rights, rules of placement, withdrawn artworks, images, what looks alike."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from keyart.errors import InputError
from keyart.policy.limits import Window
from keyart.policy.placement import Placement, Rule

__all__ = ["Catalogue", "looks_of"]


@dataclass(frozen=True)
class Catalogue:
    """What a resolver needs besides the shelves, as the tables had it when the bundle was written."""

    titles: Mapping[str, tuple[Sequence[str], Sequence[Window]]] = field(default_factory=dict)
    inactive: frozenset[str] = frozenset()
    placement: Placement = field(default_factory=Placement)
    images: Mapping[str, str] = field(default_factory=dict)
    """Artwork: the name of its image in the bundle."""
    looks: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Artwork: its standardised features, where they are known."""

    def write(self, path: Path) -> None:
        """The same text for the same catalogue."""
        rules = [
            {
                "title_id": rule.title_id,
                "artwork_id": rule.artwork_id,
                "action": rule.action,
                "regions": list(rule.regions),
                "begins": _text(rule.begins),
                "until": _text(rule.until),
            }
            for rule in self.placement.rules
        ]
        titles = {
            title: {
                "regions": list(regions),
                "rights": [[where, _text(first), _text(end)] for where, first, end in rights],
            }
            for title, (regions, rights) in self.titles.items()
        }
        said = {"titles": titles, "inactive": sorted(self.inactive), "placement": rules, "images": dict(self.images)}
        looks = {artwork: [round(float(x), 4) for x in look] for artwork, look in self.looks.items()}
        text = json.dumps(said | {"looks": looks}, sort_keys=True, separators=(",", ":"), allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Catalogue":
        """As ``write`` left it; InputError where it did not."""
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                {title: _shown(one) for title, one in said["titles"].items()},
                frozenset(said["inactive"]),
                Placement(tuple(_rule(rule) for rule in said["placement"])),
                said["images"],
                said["looks"],
            )
        except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
            raise InputError(f"{path} cannot be read ({error}); run keyart publish again") from error


def looks_of(artwork_ids: Sequence[str], features: Sequence[Sequence[float]]) -> dict[str, np.ndarray]:
    """Features of artworks as numbers that compare: each standardised over the catalogue.

    Only artworks whose vector is as long as most are; features that are the same everywhere say nothing and become 0.
    """
    lengths = [len(vector) for vector in features]
    if not any(lengths):
        return {}
    usual = max(set(lengths), key=lambda length: (lengths.count(length), length))
    kept = [i for i, length in enumerate(lengths) if length == usual]
    values = np.nan_to_num(np.array([features[i] for i in kept], dtype=np.float64))
    spread = values.std(axis=0)
    scaled = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return {artwork_ids[i]: row for i, row in zip(kept, scaled, strict=True)}


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _window(region: str, first: str | None, end: str | None) -> Window:
    return region, _day(first), _day(end)


def _shown(said: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[Window]]:
    return said["regions"], [_window(*window) for window in said["rights"]]


def _rule(said: Mapping[str, Any]) -> Rule:
    return Rule(
        said["title_id"],
        said["artwork_id"],
        said["action"],
        tuple(said["regions"]),
        _day(said["begins"]),
        _day(said["until"]),
    )
