"""The first page: what the run is worth, and the catalogue as a wall of its current default artworks."""

from typing import Any

from keyart.report import evidence, wording
from keyart.report.catalogue import EVERYWHERE, Catalogue, Default, gain, page_of
from keyart.report.facts import Row

__all__ = ["wall_page"]


def wall_page(catalogue: Catalogue) -> dict[str, Any]:
    """What templates/index.html shows."""
    facts = catalogue.facts
    cards = [_card(catalogue, title) for title in catalogue.titles]
    parents: dict[str, list[str]] = {}
    for region in catalogue.regions:
        parents.setdefault(region.parent, []).append(region.name)
    return {
        "headline": evidence.headline(facts),
        "ladder": evidence.ladder(facts),
        "funnel": _funnel(catalogue),
        "cards": cards,
        "genres": sorted({genre for card in cards for genre in card["genres"]}),
        "parents": parents,
        "has_policy": facts.policy is not None and bool(facts.assignments),
        "has_artworks": bool(facts.artworks),
        "titles_left": facts.titles_left,
        "back_catalogue": facts.back_catalogue,
        "wall": {card["key"]: _choices(catalogue, title) for card, title in zip(cards, catalogue.titles, strict=True)},
    }


def _funnel(catalogue: Catalogue) -> list[tuple[str, str]]:
    """From films to artworks, and what was learned from: figures with what they count."""
    facts = catalogue.facts
    steps: list[tuple[int | None, str]] = [
        (len(facts.videos), "films"),
        (sum(row["frames"] for row in facts.signal), "frames looked at"),
        (len(facts.shots), "shots"),
        (sum({row["title_id"]: row["of"] for row in facts.candidates}.values()), "candidates"),
        (len(facts.artworks), "artworks"),
        (facts.decisions["n"] if facts.decisions else None, "decisions logged"),
        (facts.audience["members"] if facts.audience else None, "members"),
    ]
    return [(wording.count(value), what) for value, what in steps if value]


def _card(catalogue: Catalogue, title: Row) -> dict[str, Any]:
    title_id = title["title_id"]
    cover, default = catalogue.cover(title_id), catalogue.default(title_id)
    artworks = catalogue.artworks.get(title_id, [])
    return {
        "key": page_of(title_id).removesuffix(".html"),
        "page": page_of(title_id),
        "name": title["name"],
        "genres": list(title["genres"]),
        "picture": catalogue.picture(cover),
        "alt": catalogue.alt(cover) if cover is not None else "",
        "note": _note(default, default, EVERYWHERE) if default else "no artwork chosen yet",
        "number": catalogue.number[default.artwork_id] if default else None,
        "of": len(artworks),
        "kids": title["kids"],
        "rating": title["maturity_rating"],
    }


def _choices(catalogue: Catalogue, title: Row) -> dict[str, Any]:
    """What the script needs of a title: its pictures, and by region which one, a note, and whether it differs."""
    title_id = title["title_id"]
    rows = catalogue.artworks.get(title_id, [])
    place = {row["artwork_id"]: index for index, row in enumerate(rows)}
    base = catalogue.default(title_id)
    by = {}
    for region in [EVERYWHERE, *(region.name for region in catalogue.regions)]:
        default = catalogue.default(title_id, region)
        if default is None or base is None:
            continue
        differs = default.artwork_id != base.artwork_id
        by[region] = [place[default.artwork_id], _note(default, base, region), differs]
    pictures = [(catalogue.picture(row), catalogue.alt(row)) for row in rows]
    return {"pictures": [[picture.file if picture else None, alt] for picture, alt in pictures], "by": by}


def _note(default: Default, base: Default, region: str) -> str:
    """Why this picture, in a few words; figures are against the title's average artwork."""
    if default.row is None:
        return "first by rank, before anyone saw it"
    lift = f"{wording.signed_percent(gain(default.row['mean']))} over its average"
    if region == EVERYWHERE:
        return lift
    if default.artwork_id == base.artwork_id:
        return "as everywhere"
    where = {"region": f"in {region}", "parent": f"in {default.row['cell']}", "global": "everywhere"}[default.level]
    return f"{lift} {where}"
