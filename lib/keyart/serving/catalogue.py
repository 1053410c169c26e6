"""The small part of a bundle, as JSON: rights, rules of placement, withdrawn artworks, images."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from keyart.errors import InputError
from keyart.policy.limits import Window
from keyart.policy.placement import ACTIONS, Placement, Rule
from keyart.serving.manifest import read_json

__all__ = ["Catalogue"]


@dataclass(frozen=True)
class Catalogue:
    """What a resolver needs besides the shelves, as the tables had it when the bundle was written."""

    titles: Mapping[str, tuple[Sequence[str], Sequence[Window]]] = field(default_factory=dict)
    inactive: frozenset[str] = frozenset()
    placement: Placement = field(default_factory=Placement)
    images: Mapping[str, str] = field(default_factory=dict)
    """Artwork: the name of its image in the bundle."""

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
        text = json.dumps(said, sort_keys=True, separators=(",", ":"), allow_nan=False)
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
            )
        except (AttributeError, LookupError, OSError, OverflowError, RecursionError, TypeError, ValueError) as error:
            raise InputError(f"{path} cannot be read ({error}); run keyart publish again") from error


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
