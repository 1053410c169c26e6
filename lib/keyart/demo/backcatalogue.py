"""Invented titles that members have watched before: no films, no artworks, only names and genres."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keyart.seeding import rng

__all__ = ["GENRES", "BackTitle", "back_catalogue", "genre_vector", "write_manifest"]

GENRES = ("action", "comedy", "documentary", "drama", "family", "romance", "science fiction", "thriller")
"""The axes of what members like to watch."""

_FIRST = {
    "action": ("Burning", "Last", "Iron", "Double", "Midnight"),
    "comedy": ("Awkward", "Borrowed", "Honest", "Crooked", "Loud"),
    "documentary": ("Inside", "Beyond", "Hidden", "Living", "Deep"),
    "drama": ("Quiet", "Broken", "Fallow", "Winter", "Paper"),
    "family": ("Little", "Flying", "Brave", "Secret", "Sunny"),
    "romance": ("Tender", "Summer", "Faraway", "Stolen", "Velvet"),
    "science fiction": ("Orbital", "Glass", "Second", "Silver", "Outer"),
    "thriller": ("Silent", "Cold", "Blind", "Seventh", "Empty"),
}
_SECOND = ("Harbour", "Orchard", "Signal", "Cousins", "Mountain", "Letter", "Engine", "Island", "Garden", "Witness")


@dataclass(frozen=True)
class BackTitle:
    """A title of the back catalogue."""

    title_id: str
    name: str
    genres: tuple[str, ...]


def back_catalogue(seed: int, titles: int = 60) -> list[BackTitle]:
    """Invented titles, each with one or two of GENRES, spread evenly over them.

    >>> len({title.name for title in back_catalogue(7)})
    60
    """
    random = rng(seed, "back catalogue")
    order = [random.permutation(len(_SECOND)) for _ in GENRES]
    made = []
    for number in range(titles):
        axis, turn = number % len(GENRES), number // len(GENRES)
        genre, words = GENRES[axis], _FIRST[GENRES[axis]]
        name = f"{words[turn % len(words)]} {_SECOND[order[axis][turn % len(_SECOND)]]}"
        part = turn // len(_SECOND)
        other = GENRES[(axis + 1 + int(random.integers(len(GENRES) - 1))) % len(GENRES)]
        genres = (genre, other) if random.random() < 0.3 else (genre,)
        made.append(BackTitle(f"back-{number:03d}", f"{name} {part + 1}" if part else name, genres))
    return made


def write_manifest(path: Path, titles: list[BackTitle]) -> None:
    """A manifest for ingest-catalog: title_id, name, uri (empty: there is no film), genres (separated by |)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("title_id", "name", "uri", "genres"))
        writer.writerows((title.title_id, title.name, "", "|".join(title.genres)) for title in titles)


def genre_vector(title_id: str, genres: tuple[str, ...]) -> np.ndarray:
    """A title's place on the axes, (G,), summing to 1.

    A genre that is no axis falls on one by its name's hash; a title without genres gets a place by its id's hash, so
    that a film of unknown genre still has members who like it more than others.
    """
    if not genres:
        return rng(0, "title without genres", title_id).dirichlet(np.full(len(GENRES), 0.5))
    axes = [_axis(genre.strip().lower()) for genre in genres]
    return np.bincount(axes, minlength=len(GENRES)) / len(axes)


def _axis(genre: str) -> int:
    return GENRES.index(genre) if genre in GENRES else int(rng(0, "genre", genre).integers(len(GENRES)))
