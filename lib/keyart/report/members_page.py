"""A few members, by the first characters of their pseudonymous key: what they see beside what their segment or region
sees."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from keyart.policy.sentences import member_sentence
from keyart.report import wording
from keyart.report.catalogue import EVERYWHERE, Catalogue, gain, page_of
from keyart.report.facts import Row

__all__ = ["members_page", "spread"]

SHOWN = 8
"""Most titles in a row of a member's page."""
KEY = 8
"""Characters of user_key that are shown."""


def members_page(catalogue: Catalogue) -> dict[str, Any]:
    """What templates/members.html shows."""
    facts = catalogue.facts
    return {
        "members": [_member(catalogue, row) for row in facts.members],
        "audience": _audience(catalogue),
        "popular": _popular(catalogue),
        "has_policy": facts.policy is not None,
    }


def _audience(catalogue: Catalogue) -> list[tuple[str, str]]:
    facts = catalogue.facts
    own = sum(row["members"] for row in facts.overrides if row["artwork_id"] is None)
    overrides = sum(row["all"] for row in facts.overrides if row["artwork_id"] is None)
    members = max(facts.audience["members"] if facts.audience else 0, own)
    if facts.policy is None or not members:
        return []
    return [
        (wording.count(members), "members"),
        (wording.percent(own / members, 0), "see at least one artwork of their own"),
        (f"{overrides / members:.1f}", "artworks of their own a member, on average"),
    ]


def _popular(catalogue: Catalogue) -> list[dict[str, Any]]:
    """Overrides given to most members, groups too small to show left out."""
    totals = {row["artwork_id"]: row["members"] for row in catalogue.facts.overrides}
    known = [(key, n) for key, n in totals.items() if n >= catalogue.facts.smallest_cell and key in catalogue.artwork]
    found = []
    for key, n in sorted(known, key=lambda pair: (-pair[1], pair[0]))[:6]:
        artwork = catalogue.artwork[key]
        found.append(
            {
                "name": catalogue.title[artwork["title_id"]]["name"],
                "page": page_of(artwork["title_id"]),
                "number": catalogue.number[key],
                "picture": catalogue.picture(artwork),
                "alt": catalogue.alt(artwork),
                "members": wording.count(n),
            }
        )
    return found


def _member(catalogue: Catalogue, row: Row) -> dict[str, Any]:
    where = (row["region"] or EVERYWHERE, row.get("segment") or "")
    own = {
        title: (artwork, value, reason)
        for title, artwork, value, reason in zip(
            row["title_ids"], row["artwork_ids"], row["gains"], row["reasons"], strict=True
        )
        if artwork in catalogue.artwork
    }
    titles = [title for title in catalogue.titles if catalogue.artworks.get(title["title_id"])]
    theirs = [title for title in titles if title["title_id"] in own][:SHOWN]
    others = [title for title in titles if title["title_id"] not in own][:SHOWN]
    gains = sorted((value for _, value, _ in own.values()), reverse=True)
    return {
        "key": row["user_key"][:KEY],
        "region": row["region"],
        "segment": _segment(catalogue, where[1]),
        "history": row["history"],
        "kids": row["kids"],
        "overrides": len(own),
        "best": wording.signed_percent(gain(gains[0])) if gains else None,
        "own": [_tile(catalogue, title, where, own[title["title_id"]]) for title in theirs],
        "others": [_tile(catalogue, title, where, None) for title in others],
        "variety": _variety(catalogue, [*theirs, *others], where, {title: key for title, (key, _, _) in own.items()}),
    }


def spread(features: np.ndarray, scale: np.ndarray) -> float:
    """Mean distance between two pictures of a page: root mean square over features (N, F) in units of ``scale`` (F,).

    0 with fewer than two pictures; features that never vary (scale 0) do not count.
    """
    if len(features) < 2:
        return 0.0
    x = np.divide(features, scale, out=np.zeros_like(features), where=scale > 0)
    squares = np.mean((x[:, None] - x[None]) ** 2, axis=2)
    return float(np.sqrt(squares)[np.triu_indices(len(x), 1)].mean())


def _segment(catalogue: Catalogue, name: str) -> str | None:
    """A segment's name and description; None of members in none."""
    policy = catalogue.facts.policy
    about = json.loads(policy["spec"]).get("taste_segments", {}) if name and policy else {}
    return f"{name}, which {about[name]}" if name in about else name or None


def _variety(catalogue: Catalogue, titles: Sequence[Row], where: tuple[str, str], own: dict[str, str]) -> str | None:
    """How unlike the pictures of the member's page are, against the same page with the defaults of their region and
    segment, ``where``."""
    usual = {}
    for title in titles:
        default = catalogue.default(title["title_id"], where[0], segment=where[1])
        assert default is not None  # only titles with artworks are shown
        usual[title["title_id"]] = default.artwork_id
    chosen = usual | {title: key for title, key in own.items() if title in usual}
    rows = catalogue.facts.artworks
    if len(usual) < 2 or len({len(row["features"]) for row in rows}) != 1:
        return None
    scale = np.std([row["features"] for row in rows], axis=0)
    pages = [np.array([catalogue.artwork[key]["features"] for key in page.values()]) for page in (chosen, usual)]
    theirs, base = (spread(page, scale) for page in pages)
    if not base:
        return None
    change = theirs / base - 1
    if abs(change) < 0.005:
        return "their pictures differ from each other as much as the default page's"
    more = f"{wording.percent(abs(change), 0)} {'more' if change > 0 else 'less'}"
    return f"their pictures differ from each other {more} than the default page's"


def _tile(
    catalogue: Catalogue, title: Row, where: tuple[str, str], override: tuple[str, float, str] | None
) -> dict[str, Any]:
    title_id = title["title_id"]
    default = catalogue.default(title_id, where[0], segment=where[1])
    assert default is not None  # only titles with artworks have tiles
    usual = catalogue.artwork[default.artwork_id]
    chosen = catalogue.artwork[override[0]] if override else usual
    return {
        "name": title["name"],
        "page": page_of(title_id),
        "picture": catalogue.picture(chosen),
        "alt": catalogue.alt(chosen),
        "override": override is not None,
        "usual": catalogue.picture(usual),
        "usual_alt": catalogue.alt(usual),
        "gain": wording.signed_percent(gain(override[1])) if override else None,
        "reason": wording.reason(override[2]) if override else None,
        "sentence": member_sentence(override[2], "user") if override else None,
    }
