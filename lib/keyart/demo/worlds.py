"""Who the simulated members are and what they answer to: regions, genres, and tastes in images that no log shows.

A member's taste in images is ``everyone's + their region's + what follows from their genres + their own``. The first
three follow from what a log can show (the observable context); the last is private, and it has exactly as much variance
as region and genres together: half of the differences between members lie outside what any learner can know.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from keyart.demo.backcatalogue import GENRES, genre_vector
from keyart.demo.looks import DESCRIPTORS, read_look, shoutiness, standardise
from keyart.errors import InputError
from keyart.seeding import rng
from keyart.settings import DemoSettings

__all__ = ["DEVICES", "Catalogue", "Members", "World", "build_world", "catalogue_of", "catalogue_of_looks"]

DEVICES = ("tv", "phone", "tablet", "web")
GLOBAL_SHARE, REGION_SHARE, GENRE_SHARE = 0.03, 0.10, 0.87
"""How the variance of the observable look effect divides; the private half comes on top of it."""
CLICKBAIT_TAKE, CLICKBAIT_QUALITY = 0.5, 1.4
"""What shouting adds to the log of the chance of a take, and takes from the logit of the quality of what is watched."""
EDITORS_SHARE = 0.15
"""Of the logging policy: served as the editors' default; the rest is uniform over the candidate set."""
UTC_OFFSET = {"SE": 1, "NO": 1, "DE": 1, "FR": 1, "JP": 9, "IN": 5, "US": -6, "BR": -3}


@dataclass(frozen=True)
class Catalogue:
    """The titles with artworks, as arrays: T titles, N artworks, at most A artworks a title."""

    title_ids: tuple[str, ...]
    genre_mix: np.ndarray  # (T, G)
    durations: np.ndarray  # (T,) seconds
    artwork_ids: tuple[str, ...]
    title_of: np.ndarray  # (N,)
    slots: np.ndarray  # (T, A) into artworks; -1 where a title has fewer
    looks: np.ndarray  # (N, D) centred within title
    shout: np.ndarray  # (N,) centred within title
    propensity: np.ndarray  # (N,) with which the logging policy serves an artwork, given its title is shown

    def shelf(self, titles: np.ndarray) -> "Catalogue":
        """The same catalogue with some of its titles (indices)."""
        slots = self.slots[titles]
        there = slots >= 0
        artworks = slots[there]
        moved = np.full(slots.shape, -1, dtype=np.int64)
        moved[there] = np.arange(len(artworks))
        return Catalogue(
            title_ids=tuple(self.title_ids[title] for title in titles),
            genre_mix=self.genre_mix[titles],
            durations=self.durations[titles],
            artwork_ids=tuple(self.artwork_ids[artwork] for artwork in artworks),
            title_of=np.nonzero(there)[0],
            slots=moved,
            looks=self.looks[artworks],
            shout=self.shout[artworks],
            propensity=self.propensity[artworks],
        )


@dataclass(frozen=True)
class Members:
    """The members, as arrays of length M."""

    ids: np.ndarray  # (M,) text
    region: np.ndarray  # (M,) into World.regions
    kids: np.ndarray  # (M,) bool
    visiting: np.ndarray  # (M,) chance of opening the home page on a day
    genres: np.ndarray  # (M, G) shares of what they like to watch; sums to 1
    device: np.ndarray  # (M,) main device, into DEVICES


@dataclass(frozen=True)
class World:
    """Catalogue, members and everything that drives what members do; ``scale`` and ``intercept`` are calibrated."""

    name: str
    seed: int
    days: int
    catalogue: Catalogue
    members: Members
    regions: tuple[str, ...]
    observable: np.ndarray  # (M, D) taste that follows from region and genres, the global part included
    private: np.ndarray  # (M, D)
    private_variance: np.ndarray  # (D,)
    division: np.ndarray  # (N,) half the variance, over members, of what an artwork does to the log of its chance
    affinity: np.ndarray  # (M, T) unit spread
    appeal: np.ndarray  # (T,) of the title itself
    trend: np.ndarray  # (T,) by which appeal changes from day to day
    scale: float  # of every look effect; 0 in the null world
    intercept: float

    @property
    def take_shift(self) -> np.ndarray:
        """What each artwork adds for every member alike, (N,).

        A strong look divides members, and exp() would turn that into popularity: the mean of exp(taste) is taken out.
        """
        return self.scale * CLICKBAIT_TAKE * self.catalogue.shout - self.scale**2 * self.division

    @property
    def quality_shift(self) -> np.ndarray:
        """What each artwork adds to the logit of the quality of what is watched, (N,)."""
        return -self.scale * CLICKBAIT_QUALITY * self.catalogue.shout

    def subset(self, members: np.ndarray) -> "World":
        """The same world with some of its members (indices or mask)."""
        chosen = Members(**{name: values[members] for name, values in vars(self.members).items()})
        return replace(
            self,
            members=chosen,
            observable=self.observable[members],
            private=self.private[members],
            affinity=self.affinity[members],
        )


def catalogue_of(
    titles: Sequence[tuple[str, Sequence[str], float]], artworks: Mapping[str, Sequence[tuple[str, bytes]]]
) -> Catalogue:
    """Read titles (id, genres, seconds) and their artworks (id, encoded image; the editors' default first).

    InputError where there is no title, a title has no artwork, or an image cannot be decoded.
    """
    if not titles:
        raise InputError("the audience needs at least one title with artworks")
    without = [title_id for title_id, _, _ in titles if not artworks.get(title_id)]
    if without:
        raise InputError(f"titles without artworks: {', '.join(without)}; run select-artwork first")
    looks = np.stack([read_look(image) for title_id, _, _ in titles for _, image in artworks[title_id]])
    return catalogue_of_looks(titles, [[name for name, _ in artworks[title_id]] for title_id, _, _ in titles], looks)


def catalogue_of_looks(
    titles: Sequence[tuple[str, Sequence[str], float]], artworks: Sequence[Sequence[str]], raw: np.ndarray
) -> Catalogue:
    """The same where looks are known: ``artworks`` names each title's, ``raw`` (N, D) says how they look, in order."""
    counts = [len(names) for names in artworks]
    title_of = np.repeat(np.arange(len(titles)), counts)
    slots = np.full((len(titles), max(counts)), -1, dtype=np.int64)
    slots[np.arange(max(counts)) < np.array(counts)[:, None]] = np.arange(sum(counts))
    uniform = (1.0 - EDITORS_SHARE) / np.array(counts)[title_of]
    uniform[slots[:, 0]] += EDITORS_SHARE
    return Catalogue(
        title_ids=tuple(title_id for title_id, _, _ in titles),
        genre_mix=np.stack([genre_vector(title_id, tuple(genres)) for title_id, genres, _ in titles]),
        durations=np.array([seconds for _, _, seconds in titles], dtype=np.float64),
        artwork_ids=tuple(name for names in artworks for name in names),
        title_of=title_of,
        slots=slots,
        looks=standardise(raw, title_of),
        shout=shoutiness(raw, title_of),
        propensity=uniform,
    )


def build_world(catalogue: Catalogue, demo: DemoSettings, regions: Mapping[str, str]) -> World:
    """Members and tastes of a world that is not yet calibrated: unit scale of look effects, an intercept by guess."""
    names = tuple(regions) or ("everywhere",)
    parents = [regions.get(name, "other") for name in names]
    members = _members(demo, names)
    affinity = (members.genres - members.genres.mean(axis=0)) @ catalogue.genre_mix.T
    affinity /= max(float(affinity.std()), 1e-9)
    observable, private = _tastes(demo, members, parents)
    spread = np.cov(observable + private, rowvar=False)
    return World(
        name=demo.world,
        seed=demo.seed,
        days=demo.days,
        catalogue=catalogue,
        members=members,
        regions=names,
        observable=observable,
        private=private,
        private_variance=private.var(axis=0),
        division=0.5 * np.einsum("nd,de,ne->n", catalogue.looks, spread, catalogue.looks),
        affinity=affinity,
        appeal=0.3 * rng(demo.seed, "appeal").standard_normal(len(catalogue.title_ids)),
        trend=np.zeros(len(catalogue.title_ids)),
        scale=0.0 if demo.world == "null" else 0.4,
        intercept=-3.0,
    )


def _members(demo: DemoSettings, regions: Sequence[str]) -> Members:
    random = rng(demo.seed, "members")
    count = demo.members
    size = random.dirichlet(np.full(len(regions), 8.0))
    region = np.searchsorted(size.cumsum()[:-1], random.random(count), side="right")
    # A few strong genres a member, and somewhat different ones from region to region.
    leaning = 0.22 * np.exp(0.25 * random.standard_normal((len(regions), len(GENRES))))
    liking = random.standard_gamma(leaning[region]) + 1e-6
    width = max(6, len(str(count - 1)))
    return Members(
        ids=np.array([f"member-{number:0{width}d}" for number in range(count)]),
        region=region,
        kids=random.random(count) < 0.03,
        visiting=np.clip(np.exp(-1.5 + 0.9 * random.standard_normal(count)), 0.005, 0.9),
        genres=liking / liking.sum(axis=1, keepdims=True),
        device=np.searchsorted([0.45, 0.8, 0.9], random.random(count), side="right"),
    )


def _tastes(demo: DemoSettings, members: Members, parents: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The observable and the private part of every member's taste, (M, D) each."""
    random = rng(demo.seed, "tastes")
    depth = len(DESCRIPTORS)
    everyone = random.choice([-1.0, 1.0], depth) / np.sqrt(depth)
    if demo.world == "homogeneous":
        nothing = np.zeros((demo.members, depth))
        return nothing + everyone, nothing
    family = {parent: random.standard_normal(depth) for parent in sorted(set(parents))}
    own = random.standard_normal((len(parents), depth))
    by_region = np.stack([family[parent] for parent in parents]) + 0.8 * own
    regional = _with_variance(by_region[members.region], REGION_SHARE / depth)
    generic = _with_variance(members.genres @ random.standard_normal((len(GENRES), depth)), GENRE_SHARE / depth)
    shared = np.sqrt(GLOBAL_SHARE) * everyone
    differing = regional + generic
    private = _unexplained(random.standard_normal((demo.members, depth)), members, len(parents))
    return shared + differing, private * differing.std(axis=0)


def _with_variance(values: np.ndarray, variance: float) -> np.ndarray:
    """Columns centred and scaled to one variance; a constant column stays zero."""
    centred = values - values.mean(axis=0)
    spread = centred.std(axis=0)
    return np.sqrt(variance) * np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-9)


def _unexplained(noise: np.ndarray, members: Members, regions: int) -> np.ndarray:
    """Columns of unit variance, exactly uncorrelated with each other, with regions and with genres."""
    known = np.column_stack([np.eye(regions)[members.region], members.genres])
    left = noise - known @ np.linalg.lstsq(known, noise, rcond=None)[0]
    columns, _ = np.linalg.qr(left)
    return columns * np.sqrt(len(noise))
