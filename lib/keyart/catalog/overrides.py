"""Editors' overrides: a small CSV that pins, bans and uploads artworks, by region, rating and day."""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from keyart.catalog.images import IMAGE_SUFFIXES
from keyart.catalog.manifests import address_beside, read_text
from keyart.errors import InputError
from keyart.paths import NEARBY, Bounds

__all__ = ["ACTIONS", "COLUMNS", "EditorOverride", "read_overrides"]

ACTIONS = ("pin", "ban", "upload")
REQUIRED = ("title_id", "action", "artwork")
COLUMNS = (*REQUIRED, "regions", "rating", "from", "until")
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class EditorOverride:
    """One line. ``artwork`` is an artwork's id, or, where ``is_image``, a picture's address."""

    line: int
    title_id: str
    action: str
    artwork: str
    is_image: bool
    regions: tuple[str, ...] = ()
    rating: str | None = None
    begins: date | None = None
    until: date | None = None


def read_overrides(file: str, bounds: Bounds = NEARBY) -> tuple[list[EditorOverride], list[str]]:
    """The file's overrides, and one line on each that cannot be used; InputError where the file cannot be read.

    Columns: title_id, action (pin, ban or upload), artwork (an artwork's id, or a picture's path or URL, relative to
    the file); optionally regions (or parent regions, ``|`` between them; empty: everywhere), rating (holds for titles
    of this maturity rating only), from (first day) and until (the day after the last). A picture that leads out of the
    file's folder and of ``bounds`` cannot be used.
    """
    rows = csv.DictReader(read_text(file, "overrides").splitlines(), skipinitialspace=True)
    try:
        header = [name.strip() for name in rows.fieldnames or ()]
    except csv.Error as error:
        raise InputError(f"{file}, line 1: not CSV ({error})") from error
    if missing := [name for name in REQUIRED if name not in header]:
        raise InputError(f"{file}: column {', '.join(missing)} missing; overrides have {', '.join(COLUMNS)}")
    if unknown := [name for name in header if name not in COLUMNS]:
        raise InputError(f"{file}: column {', '.join(unknown)} is unknown; overrides have {', '.join(COLUMNS)}")
    good, bad, allowed = [], [], bounds.beside(file)
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            bad.append(f"{file}, line {rows.line_num}: not CSV ({error})")
            continue
        if row is None:
            break
        where = f"{file}, line {rows.line_num}"
        try:
            good.append(_override(rows.line_num, row, file, allowed))
        except InputError as error:
            bad.append(f"{where}: {error}")
    return good, bad


def _override(
    line: int, row: Mapping[str | None, str | list[str] | None], file: str, allowed: Bounds
) -> EditorOverride:
    if None in row:
        raise InputError("has more fields than the first line")
    said = {str(name).strip(): str(value or "").strip() for name, value in row.items()}
    if empty := [name for name in REQUIRED if not said[name]]:
        raise InputError(f"{', '.join(empty)} is empty")
    if (action := said["action"].lower()) not in ACTIONS:
        raise InputError(f"action is {said['action']!r}; write {', '.join(ACTIONS)}")
    artwork = said["artwork"]
    is_image = action == "upload" or "/" in artwork or artwork.lower().endswith(IMAGE_SUFFIXES)
    if not is_image and not ID.fullmatch(artwork):
        raise InputError(f"artwork is {artwork!r}; write an artwork's id, or a picture's path or URL")
    if is_image and (refusal := allowed.refusal(artwork := address_beside(file, artwork))):
        raise InputError(f"{artwork} {refusal}")
    begins, until = (_day(said.get(name, ""), name) for name in ("from", "until"))
    if begins and until and until <= begins:
        raise InputError(f"until {until} is not after from {begins}; it is the day after the last")
    return EditorOverride(
        line,
        said["title_id"],
        action,
        artwork,
        is_image,
        tuple(sorted(_regions(said.get("regions", "")))),
        said.get("rating") or None,
        begins,
        until,
    )


def _regions(text: str) -> Iterator[str]:
    yield from {part.strip() for part in text.split("|") if part.strip()} - {"*"}


def _day(text: str, name: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise InputError(f"{name} is {text!r}; write a day as 2026-12-01") from error
