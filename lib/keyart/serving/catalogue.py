"""The small part of a bundle, as JSON: rights, rules of placement, withdrawn artworks, images, what looks alike."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from keyart.errors import InputError
from keyart.policy.limits import Window
from keyart.policy.placement import ACTIONS, Placement, Rule
from keyart.serving.manifest import read_json

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
            said = read_json(path)
            return cls(
                {title: _shown(one) for title, one in said["titles"].items()},
                frozenset(_texts(said["inactive"])),
                Placement(tuple(_rule(rule) for rule in said["placement"])),
                dict(zip(said["images"], _texts(said["images"].values()), strict=True)),
                _alike_long({artwork: _finite(look) for artwork, look in said["looks"].items()}),
            )
        except (AttributeError, LookupError, OSError, OverflowError, RecursionError, TypeError, ValueError) as error:
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


def _texts(said: Iterable[Any]) -> list[str]:
    found = list(said)
    if isinstance(said, str) or not all(isinstance(one, str) for one in found):
        raise ValueError("a name is no text")
    return found


def _finite(look: Iterable[Any]) -> list[float]:
    found = [float(x) for x in look]
    if not np.isfinite(found).all():
        raise ValueError("a look holds what is no number")
    return found


def _alike_long(looks: dict[str, list[float]]) -> dict[str, list[float]]:
    if len({len(look) for look in looks.values()}) > 1:
        raise ValueError("looks are of different lengths")
    return looks


def _shown(said: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[Window]]:
    rights = [_window(*window) for window in said["rights"]]
    _texts(region for region, _, _ in rights)
    return _texts(said["regions"]), rights


def _rule(said: Mapping[str, Any]) -> Rule:
    if said["action"] not in ACTIONS:
        raise ValueError(f"there is no rule {said['action']!r}")
    title_id, artwork_id, action = _texts([said["title_id"], said["artwork_id"], said["action"]])
    return Rule(
        title_id,
        artwork_id,
        action,
        tuple(_texts(said["regions"])),
        _day(said["begins"]),
        _day(said["until"]),
    )
