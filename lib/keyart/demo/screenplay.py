"""Screenplays: which shots a film consists of, in which look, in which order, and how one becomes the next.

Every film is a function of (seed, index) alone. All films pass through the same bright, dark, warm, cold, vivid and
black-and-white moments, near and far, with faces and without, so that each title has artworks for different tastes;
the genre decides what is shown, how it leans and how it is cut.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from keyart.demo.camera import Layer, Move, Shot, Window
from keyart.demo.grading import GRADES
from keyart.demo.lettering import Card
from keyart.demo.setups import PLAIN, SETUPS, Setup, mirrored
from keyart.demo.titles import GENRES, Genre, Name
from keyart.errors import InputError
from keyart.seeding import rng

__all__ = ["FPS", "MOST_FILMS", "Film", "Transition", "film", "truth"]

FPS = 24
MOST_FILMS = sum(len(genre.names) for genre in GENRES.values())
CARD_SECONDS = 1.7
FADE = 20  # frames of a fade through black
# What every film shows: kind of set-up, tone of its grade. Order is shuffled; the first is a place.
MOMENTS = (
    ("place", "bright"),
    ("face", "warm"),
    ("thing", "vivid"),
    ("face", "cold"),
    ("place", "dark"),
    ("thing", "bright"),
    ("figure", "contrast"),
    ("face", "mono"),
    ("any", "soft"),
    ("thing", "dark"),
)
DIRECTORS = ("Ines Aldermoor", "Jun Okafor", "Petra Lindqvist", "Mateus Rowe", "Sarai Voss", "Emil Tanaka")
MOVES: dict[str, tuple[Move, ...]] = {
    "face": (Move(zoom=-0.16), Move(zoom=0.13), Move(right=0.06), Move(zoom=-0.05)),
    "figure": (Move(zoom=-0.18), Move(right=0.12), Move(zoom=0.16, right=-0.05)),
    "place": (Move(zoom=0.22), Move(right=0.16), Move(down=-0.16, zoom=-0.05), Move(zoom=-0.25)),
    "thing": (Move(zoom=-0.24), Move(right=-0.14), Move(zoom=0.2, down=0.06), Move(zoom=-0.08, right=0.08)),
    "sky": (Move(zoom=-0.22, right=0.05), Move(right=0.15), Move(zoom=0.18)),
}


@dataclass(frozen=True)
class Transition:
    """How a shot begins: ``kind`` is cut, dissolve or fade; ``frames`` is 0 for a cut."""

    kind: str = "cut"
    frames: int = 0

    @property
    def overlap(self) -> int:
        """Frames in which both shots are seen."""
        return self.frames if self.kind == "dissolve" else 0


@dataclass(frozen=True)
class Film:
    """All that is needed to make a film and to list it in a catalogue."""

    title_id: str
    name: str
    genres: tuple[str, ...]
    maturity_rating: str
    kids: bool
    cast: tuple[str, ...]
    shots: tuple[Shot, ...]
    transitions: tuple[Transition, ...]
    """One fewer than the shots."""
    seed: int

    @property
    def starts(self) -> tuple[int, ...]:
        """First frame in which each shot is seen."""
        starts = [0]
        for shot, change in zip(self.shots, self.transitions, strict=False):
            starts.append(starts[-1] + shot.frames - change.overlap)
        return tuple(starts)

    @property
    def frames(self) -> int:
        """Number of frames of the whole film."""
        return self.starts[-1] + self.shots[-1].frames


def film(seed: int, index: int) -> Film:
    """The film of that number, from 0; InputError past the 64 names there are."""
    if not 0 <= index < MOST_FILMS:
        raise InputError(f"the studio knows {MOST_FILMS} films; demo.titles may not be larger")
    genre_name, name = _name(seed, index)
    genre = GENRES[genre_name]
    draw = rng(seed, "film", name.name)
    moments = _order(draw)
    setups = _cast_setups(draw, genre, name, moments)
    looks = _looks(draw, genre, moments)
    changes = [_transition(draw, genre) for _ in range(len(moments) + 1)]
    lengths = _lengths(draw, genre, changes)
    middle = [_shot(draw, genre, *parts) for parts in zip(setups, looks, lengths, strict=True)]
    performers = [who for setup in setups for who in setup.performers]
    cast = tuple(sorted(dict.fromkeys(performers), key=lambda who: (-performers.count(who), who)))
    director = str(draw.choice(DIRECTORS))
    shots = (_title_card(genre, name, middle[-1]), *middle, _credits(genre, cast, director, middle[0]))
    return Film(
        title_id=_slug(name.name),
        name=name.name,
        genres=(genre_name, name.also),
        maturity_rating="PG" if genre.rating == "G" and name.also == "drama" else genre.rating,
        kids=genre.rating == "G" or (genre.rating == "PG" and name.also == "family"),
        cast=cast,
        shots=shots,
        transitions=tuple(changes),
        seed=seed,
    )


def truth(story: Film) -> dict[str, object]:
    """The film's shot boundaries: cuts are first frames; a gradual one is [first mixed frame, first whole frame]."""
    cuts, gradual = [], []
    for start, change in zip(story.starts[1:], story.transitions, strict=True):
        if change.kind == "cut":
            cuts.append(start)
        elif change.kind == "dissolve":
            gradual.append([start, start + change.frames])
        else:
            gradual.append([start - change.frames // 2, start + change.frames // 2])
    return {"frames": story.frames, "fps": FPS, "vfr": False, "cuts": cuts, "gradual": gradual}


def _name(seed: int, index: int) -> tuple[str, Name]:
    """Every genre once before any comes again; which name comes when depends on the seed."""
    names = list(GENRES)
    genre = names[int(rng(seed, "genres", index // len(names)).permutation(len(names))[index % len(names)])]
    order = rng(seed, "names", genre).permutation(len(GENRES[genre].names))
    return genre, GENRES[genre].names[int(order[index // len(names)])]


def _order(draw: np.random.Generator) -> list[tuple[str, str]]:
    """A place first, then the rest in an order in which no kind follows itself more often than it must."""
    first, *rest = MOMENTS
    orders = [[rest[k] for k in draw.permutation(len(rest))] for _ in range(12)]
    return [first, *min(orders, key=lambda order: sum(a[0] == b[0] for a, b in pairwise([first, *order])))]


def _cast_setups(draw: np.random.Generator, genre: Genre, name: Name, moments: list[tuple[str, str]]) -> list[Setup]:
    """A set-up for each moment: the name's own first, then what the genre likes and what was not seen yet."""
    chosen: dict[int, str] = {}
    for star in name.stars:
        free = [k for k, (kind, _) in enumerate(moments) if _fits(SETUPS[star], kind) and k not in chosen]
        chosen[min(free, key=lambda k: (moments[k][0] != SETUPS[star].kind, k))] = star
    for k, (kind, _) in enumerate(moments):
        if k in chosen:
            continue
        names = [s for s, setup in SETUPS.items() if _fits(setup, kind) and s not in chosen.values()]
        used = [SETUPS[s].subject for s in chosen.values()]
        liked = np.array([8.0 if any(w in s for w in genre.likes) else 0.25 if s in PLAIN else 1.0 for s in names])
        seen = np.array([used.count(SETUPS[s].subject) for s in names])
        weights = liked / np.where(seen == 0, 1, 8.0**seen)
        chosen[k] = names[int(draw.choice(len(names), p=weights / weights.sum()))]
    return [SETUPS[chosen[k]] for k in range(len(moments))]


def _fits(setup: Setup, kind: str) -> bool:
    return kind in ("any", setup.kind) or (kind == "place" and setup.kind == "sky")


def _looks(draw: np.random.Generator, genre: Genre, moments: list[tuple[str, str]]) -> list[str]:
    """A grade with each moment's tone, the genre's own where it has one, and no grade more than twice."""
    looks: list[str] = []
    for _, tone in moments:
        fitting = [g for g, look in GRADES.items() if tone in look.tones]
        own = [g for g in fitting if g in genre.grades]
        fresh = [g for g in own if g not in looks] or [g for g in fitting if g not in looks] or fitting
        looks.append(str(draw.choice(fresh)))
    return looks


def _lengths(draw: np.random.Generator, genre: Genre, changes: list[Transition]) -> list[int]:
    """Frames of each shot between the cards, so that the film has its genre's length."""
    whole = (genre.seconds + draw.uniform(-1, 1) - 2 * CARD_SECONDS) * FPS
    whole += (changes[0].overlap + changes[-1].overlap) / 2  # the cards' half
    shares = draw.uniform(0.9, 1.15, len(changes) - 1)
    mixed = [(before.overlap + after.overlap) / 2 for before, after in pairwise(changes)]
    return [round(length) for length in whole * shares / shares.sum() + mixed]


def _shot(draw: np.random.Generator, genre: Genre, setup: Setup, look: str, frames: int) -> Shot:
    options = MOVES[setup.kind]
    move = replace(options[int(draw.integers(len(options)))], unrest=genre.unrest)
    layers = setup.layers
    if setup.mirrorable and draw.random() < 0.5:
        layers = tuple(mirrored(layer) for layer in layers)
        move = replace(move, right=-move.right)
    return Shot(layers, move, look, frames)


def _transition(draw: np.random.Generator, genre: Genre) -> Transition:
    cuts, dissolves = genre.shares
    chance = draw.random()
    if chance < cuts:
        return Transition()
    if chance < cuts + dissolves:
        return Transition("dissolve", int(draw.integers(10, 25)))
    return Transition("fade", FADE)


def _title_card(genre: Genre, name: Name, behind: Shot) -> Shot:
    headline = name.name.upper() if genre.face.startswith("DejaVuSans") else name.name
    card = Card(headline, ("a keyart picture",), genre.face, genre.spacing, rule=not genre.spacing)
    return Shot(_backdrop(behind), Move(zoom=-0.06), "night", round(CARD_SECONDS * FPS), card)


def _credits(genre: Genre, cast: tuple[str, ...], director: str, behind: Shot) -> Shot:
    card = Card("The End", (f"directed by {director}", *cast[:4]), genre.face, genre.spacing)
    return Shot(_backdrop(behind), Move(zoom=0.05), "noir", round(CARD_SECONDS * FPS), card)


def _backdrop(shot: Shot) -> tuple[Layer, ...]:
    """The hindmost layer of a shot, far out of focus."""
    layer = shot.layers[0]
    wide = Window(layer.window.x, layer.window.y, min(layer.window.width * 1.2, 0.95))
    return (replace(layer, window=wide, blur=30, depth=1.0, cut=False, own=Move()),)


def _slug(name: str) -> str:
    return "-".join("".join(c for c in word if c.isalnum()) for word in name.lower().replace("-", " ").split())
