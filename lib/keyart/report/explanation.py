"""One picture explained: what it shows in numbers and words, why it was chosen or not, and where it is seen.

The same explanation is written for a terminal and as one HTML file that needs no files beside it.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from keyart.report import wording
from keyart.report.catalogue import interval_of
from keyart.report.images import jpeg_size, thumbnail
from keyart.report.signals import Signal, read_signals
from keyart.report.site import environment
from keyart.vision.features import FEATURE_VERSION

__all__ = ["Explanation", "explain", "page", "text"]

WIDTH = 960
"""Most pixels across of the picture in the page."""
LEVELS = ("global", "parent", "region", "segment")


@dataclass(frozen=True)
class Explanation:
    """A picture's ``facts`` as (name, words), its signals (none of another feature version), its crops, and, where
    there is a policy, who is shown it: (cell, gain, served, default, reason)."""

    heading: str
    verdict: str
    facts: list[tuple[str, str]]
    signals: list[Signal]
    crops: list[Mapping[str, Any]]
    cells: list[tuple[str, str, str, bool, str]]
    note: str = ""


def explain(
    artwork_id: str,
    row: Mapping[str, Any],
    title: str,
    others: Sequence[Sequence[float]],
    related: Sequence[Mapping[str, Any]],
    cells: Sequence[Mapping[str, Any]],
) -> Explanation:
    """From an artworks row, or a candidates row that was not chosen (it has a ``verdict`` and no ``variant``).

    ``others`` are feature vectors of the title's other candidates, ``related`` its parent and the variants made of it,
    ``cells`` the newest policy's rows of it, of segments with ``about``, their description.
    """
    known = row["features"] is not None and row["feature_version"] == FEATURE_VERSION
    note = "" if known else f"its features are of version {row['feature_version']}, not {FEATURE_VERSION}: "
    note = note and (note if row["features"] else "nobody looked at it closely: ") + "run select-artwork"
    return Explanation(
        f"{title}: {artwork_id}",
        _verdict(row),
        [(name, words) for name, words in _facts(row, related) if words],
        read_signals(row["features"], others) if known else [],
        list(row.get("crops") or ()),
        [_cell(found) for found in sorted(cells, key=_order)],
        note,
    )


def text(found: Explanation, picture: str) -> Iterator[str]:
    """The explanation as lines for a terminal; ``picture`` says where the picture is."""
    yield found.heading
    yield f"  {found.verdict}"
    yield f"  picture: {picture}"
    width = max((len(name) for name, _ in found.facts), default=0)
    yield from (f"  {name:<{width}}  {words}" for name, words in found.facts)
    yield from (f"  crop {crop['aspect']:<5}  {_box(crop)}" for crop in found.crops)
    if found.note:
        yield f"  {found.note}"
    if found.signals:
        yield f"  {'feature':<18} {'value':>6}  {'range':<9} {'above':>6}  looks"
    for signal in found.signals:
        value, span = f"{signal.value:.2f}", f"[{signal.low:.0f}, {signal.high:.0f}]"
        above = wording.percent(signal.standing, 0)
        yield f"  {signal.name:<18} {value:>6}  {span:<9} {above:>6}  {signal.word}".rstrip()
    for cell, gain, served, default, reason in found.cells:
        yield f"  {cell}: {gain}, served {served}{', the default' if default else ''}; {reason}"


def page(found: Explanation, content: bytes | None) -> str:
    """The explanation beside its picture as one HTML file."""
    small = thumbnail(content, WIDTH) if content else None
    picture = None
    if small:
        width, height = jpeg_size(small)
        picture = {"data": base64.b64encode(small).decode(), "width": width, "height": height}
    style = resources.files("keyart.report").joinpath("assets", "report.css").read_text("utf-8")
    return environment().get_template("explanation.html").render(found=found, picture=picture, style=style)


def _verdict(row: Mapping[str, Any]) -> str:
    if "variant" not in row:
        return f"not chosen: {row['verdict'] or 'not looked at closely yet'}"
    return f"{'chosen' if row['active'] else 'chosen once, retired since'}: {row['reason']}"


def _facts(row: Mapping[str, Any], related: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    yield "title", row["title_id"]
    score = "" if row["score"] is None else f"{row['score']:.3f}"
    yield "score", f"{score}, rank {row['rank']} of its title" if "rank" in row else score
    if "quality" in row:
        yield "technical", f"{row['quality']:.3f}"
    yield "at", "" if row["seconds"] is None else wording.clock(row["seconds"])
    yield "shot", row.get("shot_type") or ""
    yield "faces", wording.count(len(row["faces"] or ()))
    yield "moods", ", ".join(row.get("moods") or ())
    yield "flags", ", ".join(row.get("flags") or ())
    yield "sightings", ", ".join(f"{one['label']} {one['score']:.2f}" for one in row.get("sightings") or ())
    yield "not shown in", ", ".join(row.get("excluded_regions") or ())
    yield "shown only in", ", ".join(row.get("only_regions") or ())
    if "variant" in row:
        yield "variant", row["variant"]
    yield "film", row["video_id"] or ""
    yield "scan", row["scan_id"] or ""
    for other in related:
        kind = "made from" if other["artwork_id"] == row.get("parent_artwork_id") else "made of it"
        yield kind, f"{other['artwork_id']} ({other['variant']})"
    yield "image", row["image_hash"]


def _cell(row: Mapping[str, Any]) -> tuple[str, str, str, bool, str]:
    value, lower, upper = (wording.signed_percent(bound) for bound in interval_of(dict(row)))
    where = "everywhere" if row["level"] == "global" else row["cell"]
    where += f" ({row['about']})" if row.get("about") else ""
    served = wording.percent(row["probability"], 0)
    return (
        where,
        f"{value} ({lower} to {upper}) against the average",
        served,
        row["is_default"],
        wording.reason(row["reason"]),
    )


def _order(row: Mapping[str, Any]) -> tuple[int, str]:
    return LEVELS.index(row["level"]), row["cell"]


def _box(crop: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {crop[name]:.3f}" for name in ("x", "y", "width", "height"))
