"""What editors ask of a title's choice, and how pictures that come from no film are spoken of."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from keyart.catalog.images import IMAGES, UPLOADS

__all__ = ["Asked", "Wishes", "suits", "worded"]

SHOT = re.compile(r"; (its shot is [\d.]+% of the film|the only shot)$")
MOMENT = re.compile(r"(near-duplicate of|much like) [\d.]+ s$")


@dataclass(frozen=True)
class Asked:
    """An editor's line: pin, ban or upload of an artwork; ``always`` where it names neither region nor day."""

    action: str
    artwork_id: str
    rating: str | None
    always: bool


@dataclass(frozen=True)
class Wishes:
    """The lines that hold for a title: artworks never chosen, artworks always chosen, uploads for other ratings."""

    banned: frozenset[str]
    wanted: frozenset[str]
    unsuited: frozenset[str]

    def against(self, scan_id: str, artwork_id: str) -> str | None:
        """Why a picture is out of the question, in words; None where it is not."""
        if artwork_id in self.banned:
            return "banned by an editor"
        return "uploaded for another rating" if scan_id == UPLOADS and artwork_id in self.unsuited else None

    def wants(self, artwork_id: str) -> bool:
        """Whether it has to be chosen."""
        return artwork_id in self.wanted


def suits(asked: Iterable[Asked], rating: str | None) -> Wishes:
    """The wishes of those lines that speak of a title of this rating. A ban for some regions or days is no ban here.

    >>> suits([Asked("pin", "a", None, True), Asked("ban", "b", "18", True)], "7").banned
    frozenset()
    """
    lines = list(asked)
    holding = [line for line in lines if line.rating in (None, rating)]
    wanted = frozenset(line.artwork_id for line in holding if line.action != "ban")
    banned = frozenset(line.artwork_id for line in holding if line.action == "ban" and line.always)
    return Wishes(banned, wanted - banned, frozenset(line.artwork_id for line in lines) - wanted)


def worded(text: str, scan_id: str) -> str:
    """A reason or verdict as it is said of a picture that has no place in a film.

    >>> worded("wide shot, sharp; the only shot", "uploads"), worded("near-duplicate of 0.0 s", "images")
    ('wide shot, sharp; uploaded by an editor', 'near-duplicate of another image')
    """
    if scan_id not in (IMAGES, UPLOADS):
        return text
    source = "uploaded by an editor" if scan_id == UPLOADS else "one of the item's images"
    return MOMENT.sub(r"\1 another image", SHOT.sub(f"; {source}", text))
