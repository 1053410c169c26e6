"""Read a catalogue: a CSV or JSON-lines manifest, or a folder of films in which each file is a title."""

import csv
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from keyart.catalog.images import IMAGE_SUFFIXES
from keyart.errors import InputError, VideoError
from keyart.paths import NEARBY, URL, Bounds, is_remote
from keyart.video.sources import list_files, open_source

__all__ = [
    "FILM_SUFFIXES",
    "RightsWindow",
    "Title",
    "address_beside",
    "combined",
    "read_folder",
    "read_items",
    "read_manifest",
    "read_text",
]

FILM_SUFFIXES = (".mp4", ".mkv", ".mov", ".webm", ".gif", ".m4v", ".avi")
TABLE_SUFFIXES = (".csv", ".json", ".jsonl")
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
LARGEST = 256 << 20
"""Bytes of a list; more is none."""
REQUIRED = ("title_id", "name", "uri")


@dataclass(frozen=True)
class RightsWindow:
    """Where and when a title may be shown; an open end is None."""

    region: str
    from_date: date | None
    to_date: date | None


@dataclass(frozen=True)
class Title:
    """One title as the catalogue names it; ``uri`` is empty for a title without a film."""

    title_id: str
    name: str
    uri: str
    genres: tuple[str, ...] = ()
    maturity_rating: str | None = None
    kids: bool = False
    regions: tuple[str, ...] = ()
    rights: tuple[RightsWindow, ...] = ()
    cast_names: tuple[str, ...] = ()
    creators: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    """The name in other languages, (language, name)."""
    problem: str = ""
    """Why the film may not be read, where it may not: the title is kept without it."""


def read_folder(folder: str, bounds: Bounds = NEARBY) -> list[Title]:
    """Every film file directly in the folder, in order of name; InputError where there is none.

    The folder is a path, or a URL that can be listed.

    A title's id is its file's stem in plain letters; where two stems give the same, the suffix is added. A link that
    leads out of the folder and of ``bounds`` is a title whose film may not be read.
    """
    files = _remote_files(folder) if is_remote(folder) else _local_files(folder)
    if not files:
        raise InputError(f"{folder}: no films in it ({', '.join(FILM_SUFFIXES)})")
    paths = [PurePosixPath(unquote(file)) if is_remote(folder) else Path(file) for file in files]
    stems = [_slug(path.stem) for path in paths]
    times = Counter(stems)
    ids = [slug if times[slug] == 1 else _slug(path.name) for slug, path in zip(stems, paths, strict=True)]
    names = [re.sub(r"[_\s]+", " ", path.stem).strip() for path in paths]
    allowed = bounds.beside(folder)
    rows = zip(ids, names, files, strict=True)
    return _unique([Title(*row, problem=allowed.refusal(file)) for row in rows for file in row[2:]], folder)


def _local_files(folder: str) -> list[str]:
    path = Path(folder)
    if not path.is_dir():
        raise InputError(f"{folder}: there is no such folder; --videos takes a folder of films")
    files = (file for file in path.iterdir() if file.is_file() and file.suffix.lower() in FILM_SUFFIXES)
    return [str(file.absolute()) for file in sorted(files)]


def _remote_files(folder: str, suffixes: tuple[str, ...] = FILM_SUFFIXES) -> list[str]:
    try:
        return [file for file in list_files(folder) if PurePosixPath(file).suffix.lower() in suffixes]
    except VideoError as error:
        raise InputError(f"{folder}: {error}") from error


def read_manifest(file: str, bounds: Bounds = NEARBY) -> list[Title]:
    """Titles of a manifest: title_id, name, uri; optionally genres, maturity_rating, kids, regions, rights, cast,
    creators, names (in other languages).

    Lists are separated by ``|`` in CSV or are JSON lists; a rights window is ``region:from:to`` or a JSON object. A uri
    may be empty; a relative one is relative to the manifest. InputError names the file, the line and what is wrong;
    a title whose uri leads out of the manifest's folder and of ``bounds`` is kept and its ``problem`` says so.
    """
    return _unique(_titles_of(file, bounds), file)


def _titles_of(file: str, bounds: Bounds) -> list[Title]:
    text = read_text(file, "a manifest")
    rows = _json_rows(file, text) if text.lstrip().startswith("{") else _csv_rows(file, text)
    allowed = bounds.beside(file)
    titles = [_title(row, f"{file}, line {line}", file, allowed) for line, row in rows]
    if not titles:
        raise InputError(f"{file}: holds no titles")
    return titles


def read_text(file: str, kind: str) -> str:
    """A small UTF-8 file at a path or URL; InputError says what ``kind`` of file it was to be."""
    try:
        with open_source(file) as source:
            if source.size > LARGEST:
                raise InputError(f"{file}: is larger than {LARGEST >> 20} MB, which {kind} is not")
            return source.read(source.size).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError, VideoError) as error:
        raise InputError(f"{file}: cannot be read as {kind} ({getattr(error, 'strerror', None) or error})") from error


def address_beside(file: str, uri: str) -> str:
    """A path or URL as it stands in a file: a relative path is relative to the file."""
    if URL.match(uri) or Path(uri).is_absolute():
        return uri
    return f"{file.rpartition('/')[0]}/{uri}" if is_remote(file) else str((Path(file).parent / uri).absolute())


def read_items(
    source: str, bounds: Bounds = NEARBY
) -> tuple[list[Title], list[tuple[str, str]], list[tuple[str, str, str]]]:
    """Items without a film, as titles, their images as (title_id, uri), in order, and those that may not be read as
    (title_id, uri, reason): they lead out of the folder and of ``bounds``.

    From a folder (each folder in it is an item with the images that it holds, each image beside them an item of its
    own), or from a CSV or JSON-lines table with the columns of a manifest and a line an image. InputError says what is
    wrong with which line.
    """
    path = Path(source)
    if is_remote(source) and PurePosixPath(source).suffix.lower() not in TABLE_SUFFIXES:
        files = _remote_files(source, IMAGE_SUFFIXES)
        rows = [Title(_slug(name), name, file) for file in files for name in [PurePosixPath(unquote(file)).stem]]
    elif path.is_dir():
        found = sorted(file for file in [*path.glob("*"), *path.glob("*/*")] if file.suffix.lower() in IMAGE_SUFFIXES)
        named = [(file.stem if file.parent == path else file.parent.name, file) for file in found if file.is_file()]
        rows = [Title(_slug(name), re.sub(r"[_\s]+", " ", name).strip(), str(file.absolute())) for name, file in named]
    else:
        rows = _titles_of(source, bounds)
    if path.is_dir():
        allowed = bounds.beside(source)
        rows = [replace(row, problem=allowed.refusal(row.uri)) for row in rows]
    pictures = [(row.title_id, row.uri) for row in rows if row.uri and not row.problem]
    refused = [(row.title_id, row.uri, row.problem) for row in rows if row.problem]
    if not pictures and not refused:
        raise InputError(f"{source}: no images in it ({', '.join(IMAGE_SUFFIXES)})")
    items = {row.title_id: replace(row, uri="", problem="") for row in reversed(rows)}
    return [items[title_id] for title_id in dict.fromkeys(row.title_id for row in rows)], pictures, refused


def combined(found: list[Title], named: list[Title]) -> list[Title]:
    """A folder's titles and a manifest's; one in both is as the manifest says, with the folder's film."""
    films = {title.title_id: title.uri for title in found}
    manifest = {title.title_id: replace(title, uri=title.uri or films.get(title.title_id, "")) for title in named}
    return [*(title for title in found if title.title_id not in manifest), *manifest.values()]


def _json_rows(file: str, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, content in enumerate(text.splitlines(), 1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{file}, line {line}: not JSON ({error})") from error
        if not isinstance(row, dict):
            raise InputError(f"{file}, line {line}: must be an object with {', '.join(REQUIRED)}")
        _require(row, f"{file}, line {line}")
        yield line, row


def _csv_rows(file: str, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    try:
        _require({name.strip(): "" for name in reader.fieldnames or ()}, file)
        for row in reader:
            yield reader.line_num, {(key or "").strip(): value for key, value in row.items()}
    except csv.Error as error:
        raise InputError(f"{file}, line {reader.line_num}: not CSV ({error})") from error


def _require(row: dict[str, Any], where: str) -> None:
    missing = [column for column in REQUIRED if column not in row]
    if missing:
        plural = "s" if len(missing) > 1 else ""
        raise InputError(f"{where}: column{plural} {', '.join(missing)} missing; a manifest has {', '.join(REQUIRED)}")


def _title(row: dict[str, Any], where: str, manifest: str, allowed: Bounds) -> Title:
    title_id = _text(row["title_id"])
    if not title_id:
        raise InputError(f"{where}: title_id is empty")
    uri = "" if row["uri"] is None else str(row["uri"]).strip()  # as it is: what is odd in it is refused
    if uri:
        uri = address_beside(manifest, uri)
    refusal = allowed.refusal(uri) if uri else ""
    return Title(
        title_id=title_id,
        name=_text(row["name"]) or title_id,
        uri=uri,
        genres=tuple(genre.lower() for genre in _list(row.get("genres"), where)),
        maturity_rating=_text(row.get("maturity_rating")) or None,
        kids=_flag(row.get("kids"), where),
        regions=tuple(_list(row.get("regions"), where)),
        rights=tuple(_window(part, where) for part in _parts(row.get("rights"), where)),
        cast_names=tuple(_list(row.get("cast"), where)),
        names=tuple(_names(row.get("names"), where)),
        creators=tuple(_list(row.get("creators"), where)),
        problem=f"{where}: {refusal}" if refusal else "",
    )


def _text(value: Any) -> str:
    text = "" if value is None else str(value)
    # Half of a surrogate pair, which JSON can write, is no character; what moves a terminal's cursor is no name.
    return CONTROLS.sub(" ", text).strip().encode("utf-8", "replace").decode()


def _parts(value: Any, where: str) -> list[Any]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: {value[:200]!r} is not a JSON list") from error
    if value is None:
        return []
    return value if isinstance(value, list) else [part for part in str(value).split("|") if part.strip()]


def _list(value: Any, where: str) -> list[str]:
    return [_text(part) for part in _parts(value, where) if _text(part)]


def _flag(value: Any, where: str) -> bool:
    said = _text(value).lower()
    if said in {"", "0", "false", "no"}:
        return False
    if said in {"1", "true", "yes"}:
        return True
    raise InputError(f"{where}: kids is {value!r}; write true or false")


def _window(part: Any, where: str) -> RightsWindow:
    if isinstance(part, dict):
        region, begin, end = (_text(part.get(key)) for key in ("region", "from", "to"))
    else:
        region, begin, end = (*(piece.strip() for piece in str(part).split(":")), "", "")[:3]
    try:
        dates = [date.fromisoformat(day) if day else None for day in (begin, end)]
    except ValueError as error:
        raise InputError(f"{where}: rights {part!r} holds no ISO date; write region:2026-01-01:2026-12-31") from error
    if not region:
        raise InputError(f"{where}: rights {part!r} names no region")
    return RightsWindow(region, *dates)


def _names(value: Any, where: str) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        parts = [(_text(language), _text(name)) for language, name in value.items()]
    else:
        parts = [(a.strip(), b.strip()) for a, _, b in (_text(part).partition(":") for part in _parts(value, where))]
    if wrong := [part for part in parts if not all(part)]:
        raise InputError(f"{where}: names {':'.join(wrong[0])!r} is no language and name; write ja:NAME|ar:NAME")
    return sorted(dict(parts).items())


def _slug(stem: str) -> str:
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    if slug:
        return slug
    # Names in other scripts keep their letters.
    return re.sub(r"[^\w]+", "-", stem.lower()).strip("-") or "film"


def _unique(titles: list[Title], where: str) -> list[Title]:
    times = Counter(title.title_id for title in titles)
    doubled = sorted(title_id for title_id, count in times.items() if count > 1)
    if doubled:
        raise InputError(f"{where}: title_id {', '.join(doubled[:5])} stands there more than once")
    return titles
