"""The first page: what the run is worth, and the catalogue as a wall of its current default artworks.

The page holds the first titles only. All of them lie beside it as data that the script fetches when somebody searches,
filters, changes the region or scrolls on; and as plain index pages for those without script.
"""

import json
from collections.abc import Sequence
from typing import Any

from keyart.report import evidence, wording
from keyart.report.catalogue import EVERYWHERE, Catalogue, Default, gain, page_of
from keyart.report.facts import Facts, Row

__all__ = ["FIRST", "card", "index_pages", "wall_data", "wall_page"]

FIRST = 48
"""Titles on the first page before anybody scrolls."""
PER_INDEX = 500
"""Titles on an index page."""
LEVELS = ("region", "parent", "global", "rank")
RANK = ""
"""Stands for the policy of nobody: each title's first artwork by rank."""


def card(catalogue: Catalogue, title: Row) -> dict[str, Any]:
    """All that the wall needs of a title, as JSON: what it shows by policy and region, and the files it uses.

    ``pictures`` are [file, width, height, alt, number, moods], ``choices`` by policy and region [picture, level, gain]
    with gain relative to the title's average artwork, None where that is not known.
    """
    title_id = title["title_id"]
    artworks = catalogue.artworks.get(title_id, [])
    place: dict[str, int] = {}
    pictures: list[list[Any]] = []

    def shown(row: Row) -> int:
        key = row["artwork_id"] if "artwork_id" in row else row["image_hash"]
        if key not in place:
            picture = catalogue.picture(row)
            file = [picture.file, picture.width, picture.height] if picture else [None, 0, 0]
            number = catalogue.number.get(row.get("artwork_id", ""))
            place[key] = len(pictures)
            pictures.append([*file, catalogue.alt(row), number, list(row.get("moods") or ())])
        return place[key]

    def choice(default: Default | None) -> list[Any] | None:
        if default is None:
            return None
        value = None if default.row is None else round(gain(default.row["mean"]), 4)
        return [shown(catalogue.artwork[default.artwork_id]), LEVELS.index(default.level), value]

    regions = [EVERYWHERE, *(region.name for region in catalogue.regions)]
    policies = [*(row["policy_id"] for row in catalogue.facts.policies), RANK]
    choices = [[choice(catalogue.default(title_id, region, policy)) for region in regions] for policy in policies]
    cover = catalogue.cover(title_id)
    videos = catalogue.videos.get(title_id, [])
    hashes = {row["image_hash"] for row in [*artworks, *catalogue.candidates.get(title_id, ())]}
    return {
        "page": page_of(title_id),
        "title_id": title_id,
        "name": title["name"],
        "genres": list(title["genres"]),
        "rating": title["maturity_rating"],
        "of": len(artworks),
        "cover": None if cover is None else shown(cover),
        "pictures": pictures,
        "choices": choices if artworks else [],
        "films": len(videos),
        "frames": sum(row["frames"] for row in catalogue.facts.signal),
        "shots": len(catalogue.facts.shots),
        "candidates": max((row["of"] for row in catalogue.candidates.get(title_id, ())), default=0),
        "files": sorted({picture.file for picture in catalogue.facts.pictures.values()}),
        "unreadable": len(hashes - set(catalogue.facts.pictures)),
    }


def wall_page(facts: Facts) -> dict[str, Any]:
    """What templates/index.html shows; ``facts.cards`` are sorted by name."""
    catalogue = Catalogue(facts)
    parents: dict[str, list[str]] = {}
    for region in catalogue.regions:
        parents.setdefault(region.parent, []).append(region.name)
    cards = facts.cards
    return {
        "headline": evidence.headline(facts),
        "ladder": evidence.ladder(facts),
        "funnel": _funnel(facts),
        "cards": [_first(row) for row in cards[:FIRST]],
        "genres": sorted({genre for row in cards for genre in row["genres"]}),
        "moods": sorted({mood for row in cards for picture in row["pictures"] for mood in picture[5]}),
        "parents": parents,
        "policies": [
            *((p["policy_id"], _policy_name(p, n)) for n, p in enumerate(facts.policies)),
            (RANK, "first by rank"),
        ],
        "has_policy": facts.policy is not None,
        "has_artworks": any(row["of"] for row in cards),
        "more": max(0, len(cards) - FIRST),
        "total": len(cards),
        "indexes": -(-len(cards) // PER_INDEX),
        "titles_left": facts.titles_left,
        "back_catalogue": facts.back_catalogue,
    }


def _policy_name(policy: Row, nth: int) -> str:
    return f"{policy['policy_id']} ({'newest' if nth == 0 else wording.day(policy['created_at'])})"


def _funnel(facts: Facts) -> list[tuple[str, str]]:
    """From films to artworks, and what was learned from: figures with what they count."""
    steps: list[tuple[int | None, str]] = [
        *((sum(row[what] for row in facts.cards), what if what != "frames" else "frames looked at")
          for what in ("films", "frames", "shots", "candidates")),
        (sum(row["of"] for row in facts.cards), "artworks"),
        (facts.decisions["n"] if facts.decisions else None, "decisions logged"),
        (facts.audience["members"] if facts.audience else None, "members"),
    ]  # fmt: skip
    return [(wording.count(value), what) for value, what in steps if value]


def _first(row: Row) -> dict[str, Any]:
    """A card as the template draws it: the newest policy's default, everywhere."""
    picture = None if row["cover"] is None else row["pictures"][row["cover"]]
    chosen = row["choices"][0][0] if row["choices"] else None
    return {**row, "picture": picture, "note": note(chosen), "number": picture[4] if picture and chosen else None}


def note(chosen: Sequence[Any] | None) -> str:
    """Why this picture everywhere, in a few words; figures are against the title's average artwork."""
    if chosen is None:
        return "no artwork chosen yet"
    if chosen[2] is None:
        return "first by rank, before anyone saw it"
    return f"{wording.signed_percent(chosen[2])} over its average"


def wall_data(facts: Facts) -> str:
    """The script with every title's card, fetched on demand; it defines one constant and holds text only as JSON."""
    catalogue = Catalogue(facts)
    genres = sorted({genre for row in facts.cards for genre in row["genres"]})
    moods = sorted({mood for row in facts.cards for picture in row["pictures"] for mood in picture[5]})
    genre_at, mood_at = ({name: i for i, name in enumerate(names)} for names in (genres, moods))
    titles = [
        [
            row["page"].removeprefix("title-").removesuffix(".html"), row["name"], [genre_at[g] for g in row["genres"]],
            row["rating"], row["of"], row["cover"],
            [[file, alt, n, [mood_at[m] for m in its]] for file, _, _, alt, n, its in row["pictures"]],
            row["choices"],
        ]
        for row in facts.cards
    ]  # fmt: skip
    data = {
        "genres": genres,
        "moods": moods,
        "policies": [*(row["policy_id"] for row in facts.policies), RANK],
        "regions": [EVERYWHERE, *(region.name for region in catalogue.regions)],
        "parents": [None, *(region.parent for region in catalogue.regions)],
        "titles": titles,
    }
    # "<" never stands in it, so that it could lie in a page too.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f"window.keyartWall = {text.replace(chr(0x2028), ' ').replace(chr(0x2029), ' ')};\n"


def index_pages(facts: Facts) -> list[dict[str, Any]]:
    """What templates/titles.html shows, a page for each PER_INDEX titles in order of their names."""
    chunks = [facts.cards[start : start + PER_INDEX] for start in range(0, len(facts.cards), PER_INDEX)]
    pages = [
        (f"titles-{n}.html", f"{chunk[0]['name'][:24]} to {chunk[-1]['name'][:24]}")
        for n, chunk in enumerate(chunks, 1)
    ]
    return [{"page": pages[n][0], "number": n + 1, "pages": pages, "titles": chunk} for n, chunk in enumerate(chunks)]
