"""The demo's audience at any size: blocks of members, each of them made anywhere from its number alone.

One audience of REFERENCE members is calibrated as the demo's is. A block's members resemble members of it drawn by
chance (region, genres and what follows from them); their private taste, habits and all they do are their own. On a
block's home pages stand SHELF titles at most, drawn by popularity, as if a recommender had retrieved them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from keyart.demo.audience import calibrated
from keyart.demo.backcatalogue import GENRES, BackTitle
from keyart.demo.bots import add_bots
from keyart.demo.faults import with_faults
from keyart.demo.homepage import visit_days
from keyart.demo.logbook import Logbook, LogTables, plain
from keyart.demo.looks import DESCRIPTORS
from keyart.demo.viewing import add_back_catalogue
from keyart.demo.worlds import Catalogue, Members, World, build_world, catalogue_of_looks
from keyart.seeding import rng
from keyart.settings import DemoSettings, SimulateSettings

__all__ = ["FEATURES", "Crowd", "Item", "block_log", "blocks", "crowd_of", "invented"]

MEMBERS = 2_000
"""Members of a block. Part of what a seed means: another number makes another log."""
REFERENCE = 4_000
SHELF = 48
BLOCKS_A_SEED = 10_000_000
MOST_PLAYS = 600
"""Plays of one member before the first day."""
FEATURES = 24
"""Length of invented artworks' feature vectors."""


@dataclass(frozen=True)
class Item:
    """A title as the simulation sees it; without artworks it is watched and never shown."""

    title_id: str
    genres: tuple[str, ...]
    seconds: float
    artworks: tuple[str, ...]  # the editors' default first
    features: np.ndarray  # (artworks, F)


@dataclass(frozen=True)
class Crowd:
    """All that any block of members is made from. T titles with artworks, N artworks."""

    settings: SimulateSettings
    catalogue: Catalogue
    back: list[BackTitle]
    popularity: np.ndarray  # (T,) sums to 1
    appeal: np.ndarray  # (T,)
    trend: np.ndarray  # (T,) a day
    reference: World  # calibrated, with a shelf of its own
    spread: np.ndarray  # (D, D) covariance of its members' tastes
    liking: float  # standard deviation of genres times genre mix


def invented(settings: SimulateSettings) -> list[Item]:
    """A catalogue for trials: titles with artworks whose feature vectors differ, and some titles without."""
    random = rng(settings.seed, "catalogue")
    mixing = random.standard_normal((len(DESCRIPTORS), FEATURES))
    items = []
    for number in range(settings.titles + max(2, settings.titles // 4)):
        shown = settings.artworks if number < settings.titles else 0
        name = f"title-{number:06d}"
        genres = random.choice(len(GENRES), 2 if random.random() < 0.3 else 1, replace=False)
        looks = random.standard_normal((shown, len(DESCRIPTORS)))
        noise = 0.3 * random.standard_normal((shown, FEATURES))
        items.append(
            Item(
                title_id=name,
                genres=tuple(GENRES[genre] for genre in genres),
                seconds=0.0,
                artworks=tuple(f"{name}-{place:02d}" for place in range(shown)),
                features=np.round(looks @ mixing + noise, 6),
            )
        )
    return items


def crowd_of(
    items: Sequence[Item], settings: SimulateSettings, demo: DemoSettings, regions: Mapping[str, str], seconds: float
) -> Crowd:
    """Calibrate the audience for a catalogue; ``seconds`` is the running time of titles that do not say theirs.

    What members see in an artwork is DESCRIPTORS many directions of its feature vector, chosen by the vectors' length.
    """
    shown = [item for item in items if item.artworks]
    features = np.concatenate([item.features for item in shown])
    usual = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-9)
    directions = rng(0, "looks", features.shape[1]).standard_normal((features.shape[1], len(DESCRIPTORS)))
    catalogue = catalogue_of_looks(
        [(item.title_id, item.genres, item.seconds or seconds) for item in shown],
        [item.artworks for item in shown],
        usual @ directions,
    )
    count = len(shown)
    random = rng(settings.seed, "titles")
    popularity = (1.0 + random.permutation(count)) ** -settings.title_tail
    popularity /= popularity.sum()
    demo = replace(demo, seed=settings.seed, members=REFERENCE, days=min(settings.days, 28))
    pilot = _shelf(rng(settings.seed, "pilot"), popularity)
    reference = calibrated(build_world(catalogue.shelf(pilot), demo, regions), demo)
    members = reference.members
    return Crowd(
        settings=settings,
        catalogue=catalogue,
        back=[BackTitle(item.title_id, item.title_id, item.genres) for item in items if not item.artworks],
        popularity=popularity,
        appeal=0.3 * random.standard_normal(count),
        trend=settings.drift / 28.0 * random.standard_normal(count),
        reference=reference,
        spread=np.cov(reference.observable + reference.private, rowvar=False),
        liking=max(float(_liking(members.genres, members.genres, reference.catalogue.genre_mix).std()), 1e-9),
    )


def blocks(settings: SimulateSettings) -> int:
    """How many blocks the members are."""
    return -(-settings.members // MEMBERS)


def block_log(crowd: Crowd, block: int) -> pa.Table:
    """All rows of a block: the raw log's columns and DELIVERY, in the order of time but for faults."""
    settings = crowd.settings
    world, bots = block_world(crowd, block)
    log = Logbook()
    if crowd.back:
        add_back_catalogue(log, world, crowd.back, settings.user_tail, MOST_PLAYS)
    visit_days(world, log)
    if len(bots):
        add_bots(log, world, bots)
    events = log.events()
    tables = LogTables(world, crowd.back, f"s{world.seed}-")
    rows = plain(tables.table(events, np.arange(len(events["kind"]))))
    return with_faults(rows, settings, rng(world.seed, "faults"), tables.prefix)


def block_world(crowd: Crowd, block: int) -> tuple[World, np.ndarray]:
    """The world of a block's members, and which of them are bots."""
    settings = crowd.settings
    seed = settings.seed * BLOCKS_A_SEED + block
    random = rng(seed, "block")
    count = min(MEMBERS, settings.members - block * MEMBERS)
    like = random.integers(len(crowd.reference.members.ids), size=count)
    titles = _shelf(random, crowd.popularity)
    catalogue = crowd.catalogue.shelf(titles)
    known = crowd.reference.subset(like)
    activity = settings.user_tail * random.standard_normal(count)
    bots = random.random(count) < settings.bots
    visiting = np.clip(np.exp(-1.5 + activity), 0.005, 0.9)
    members = Members(
        ids=np.array([f"member-{number:09d}" for number in range(block * MEMBERS, block * MEMBERS + count)]),
        region=known.members.region,
        kids=random.random(count) < 0.03,
        visiting=np.where(bots, 0.0, visiting),
        genres=known.members.genres,
        device=known.members.device,
    )
    world = replace(
        known,
        seed=seed,
        days=settings.days,
        catalogue=catalogue,
        members=members,
        private=np.sqrt(known.private_variance) * random.standard_normal(known.private.shape),
        division=0.5 * np.einsum("nd,de,ne->n", catalogue.looks, crowd.spread, catalogue.looks),
        affinity=_liking(members.genres, crowd.reference.members.genres, catalogue.genre_mix) / crowd.liking,
        appeal=crowd.appeal[titles],
        trend=crowd.trend[titles],
    )
    return world, np.flatnonzero(bots)


def _shelf(random: np.random.Generator, popularity: np.ndarray) -> np.ndarray:
    return np.sort(random.choice(len(popularity), min(SHELF, len(popularity)), replace=False, p=popularity))


def _liking(genres: np.ndarray, everyone: np.ndarray, mix: np.ndarray) -> np.ndarray:
    return (genres - everyone.mean(axis=0)) @ mix.T
