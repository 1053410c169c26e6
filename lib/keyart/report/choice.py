"""One member's artwork of one title explained: all that may be served side by side, and which words decided.

The same explanation is written for a terminal and as one HTML file that needs no files beside it.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from keyart.policy.levels import SEGMENT
from keyart.policy.resolve import Offer, Resolution
from keyart.report import wording
from keyart.report.catalogue import interval_of
from keyart.report.images import jpeg_size, thumbnail
from keyart.report.site import environment

__all__ = ["Choice", "Side", "choice_of", "choice_page", "choice_text", "looks_of"]

WIDTH = 480
"""Most pixels across of each picture in the page."""
LEVELS = {
    "user": "this member's own taste",
    "segment": "members of {} whose taste is like this member's",
    "region": "the region {}",
    "parent": "the parent region {}",
    "global": "all members everywhere",
}


@dataclass(frozen=True)
class Side:
    """One artwork beside the others: its looks, how probably it is served, and what spoke for or against it."""

    artwork_id: str
    looks: str
    gain: str
    propensity: float
    reason: str
    served: bool


@dataclass(frozen=True)
class Choice:
    """A member's view of a title: the level that answered and the artworks, the most probable first."""

    heading: str
    verdict: str
    sentence: str
    sides: tuple[Side, ...]


def choice_of(
    title: str,
    offer: Offer,
    served: Resolution,
    rows: Mapping[str, Mapping[str, Any]],
    looks: Mapping[str, str],
    segments: Mapping[str, str] | None = None,
) -> Choice:
    """From what the resolver offers and serves, the answering level's rows of region_assignments by artwork, and the
    policy's ``segments`` with their descriptions."""
    sides = [
        Side(
            artwork,
            looks.get(artwork, ""),
            "{} ({} to {}) against the title's average, to {}".format(
                *(wording.signed_percent(bound) for bound in interval_of(dict(rows[artwork]))), _level(rows[artwork])
            ),
            float(probability),
            wording.reason(reason),
            artwork == served.artwork_id,
        )
        for artwork, probability, reason in zip(offer.artwork_ids, offer.probabilities, offer.reasons, strict=True)
    ]
    sides.sort(key=lambda side: (-side.propensity, side.artwork_id))
    level = LEVELS[served.level].format(served.cell)
    if served.level == SEGMENT:
        cell, _, segment = served.cell.rpartition("/")
        where = "the world" if cell == "*" else cell.removesuffix("/*")
        level = f"{LEVELS[SEGMENT].format(where)} ({segment}: {(segments or {}).get(segment, 'not described')})"
    verdict = (
        f"level {served.level}: decided by {level}; on {offer.epoch} the member sees {served.artwork_id}, which had a "
        f"propensity of {served.propensity:.4f} under policy {served.policy_id}"
    )
    if served.artwork_id != sides[0].artwork_id:
        verdict += " (drawn by exploration, not the best)"
    return Choice(title, verdict, served.sentence, tuple(sides))


def choice_text(found: Choice) -> Iterator[str]:
    """The explanation as lines for a terminal."""
    yield found.heading
    yield f"  {found.verdict}"
    yield f"  the member may be told: {found.sentence}"
    for side in found.sides:
        yield f"  {'>' if side.served else ' '} {side.artwork_id}  {side.propensity:7.2%}  {side.looks}"
        yield f"      {side.gain}"
        yield f"      {side.reason}"


def choice_page(found: Choice, contents: Mapping[str, bytes]) -> str:
    """The artworks side by side as one HTML file; ``contents`` are their pictures' bytes by artwork."""
    style = resources.files("keyart.report").joinpath("assets", "report.css").read_text("utf-8")
    pictures = {side.artwork_id: _picture(contents.get(side.artwork_id)) for side in found.sides}
    return environment().get_template("choice.html").render(found=found, pictures=pictures, style=style)


def _picture(content: bytes | None) -> Mapping[str, object] | None:
    small = thumbnail(content, WIDTH) if content else None
    if not small:
        return None
    width, height = jpeg_size(small)
    return {"data": base64.b64encode(small).decode(), "width": width, "height": height}


def _level(row: Mapping[str, Any]) -> str:
    return "all" if row["level"] == "global" else str(row["cell"])


def looks_of(moods: Sequence[str] | None, shot_type: str | None) -> str:
    """An artwork in words: how near it is and its moods.

    >>> looks_of(["warm", "romantic"], "close-up")
    'close-up, warm, romantic'
    """
    return ", ".join(word for word in (shot_type, *(moods or ())) if word)
