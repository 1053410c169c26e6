"""What members do with a title once they play it, and what they watch beside the catalogue's films."""

from collections.abc import Sequence

import numpy as np

from keyart.demo.backcatalogue import GENRES, BackTitle, genre_vector
from keyart.demo.logbook import DAY, SOURCES, SURFACES, Columns, Logbook
from keyart.demo.worlds import Members, World
from keyart.seeding import rng

__all__ = ["add_back_catalogue", "add_viewing", "watched_fraction"]

ROW, SEARCH, CONTINUE = range(len(SOURCES))
HOME, SEARCH_PAGE, PLAYER = range(len(SURFACES))
BACK_SECONDS = 5_400.0
"""Running time of back-catalogue titles."""
TAIL_DAYS = 3
"""The log runs on after the last decision, so that every decision's outcome is final."""


def watched_fraction(quality: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Shares of the running time that are watched, of mean exactly ``quality``: many see all, many leave early."""
    whole = random.random(len(quality)) < 0.5 * quality
    mean = 0.5 * quality / (1.0 - 0.5 * quality)
    part = random.beta(np.maximum(1.2 * mean, 1e-6), np.maximum(1.2 * (1.0 - mean), 1e-6))
    return np.where(whole, 1.0, part)


def add_viewing(
    log: Logbook,
    random: np.random.Generator,
    member: np.ndarray,
    seconds: np.ndarray,
    title: np.ndarray,
    fraction: np.ndarray,
    duration: np.ndarray,
    **context: np.ndarray | int,
) -> None:
    """Log play, now and then pause and rewind, and how it ended; ``fraction`` (n,) of ``duration`` is watched.

    ``context`` holds session, device, source and, for a title continued, ``at`` seconds.
    """
    start = np.broadcast_to(np.asarray(context.pop("at", 0.0), np.float64), len(member))
    source = context.pop("source")
    watched = np.round(fraction * duration, 3)
    same: Columns = {"title": title, "surface": PLAYER, **context}
    log.add("play", member, seconds, source=source, at=start, **same)
    for kind, share in (("pause", 0.25), ("rewind", 0.1)):
        some = (random.random(len(member)) < share) & (fraction > 0.15)
        moment = watched[some] * random.uniform(0.1, 0.9, some.sum())
        at = (start[some] + moment) % duration[some]
        log.add(kind, member[some], seconds[some] + moment, at=at, **_of(same, some))
    # The clock goes on a little longer than the film: credits.
    end, left_at = seconds + watched + 1.0, np.minimum(start + watched, duration)
    whole, little = fraction >= 1.0, fraction < 0.1
    for kind, some in (("complete", whole), ("abandon", little), ("stop", ~whole & ~little)):
        log.add(kind, member[some], end[some], at=left_at[some], watched=watched[some], **_of(same, some))


def _of(columns: Columns, rows: np.ndarray) -> Columns:
    """The columns of some of the events."""
    return {name: np.broadcast_to(values, len(rows))[rows] for name, values in columns.items()}


def add_back_catalogue(
    log: Logbook, world: World, back: Sequence[BackTitle], spread: float = 0.9, most: int = 60
) -> None:
    """Log what members watch of the back catalogue: 4 titles or more (heavy-tailed) before day 0, some since.

    ``spread`` is of the logarithm of plays before day 0, ``most`` their limit.
    """
    random = rng(world.seed, "back catalogue", "plays")
    members = world.members
    count = len(members.ids)
    before = np.minimum(4 + np.floor(np.exp(0.9 + spread * random.standard_normal(count))), most).astype(np.int64)
    _add_period(log, random, members, back, before, (-world.days * DAY, -DAY / 2), len(world.catalogue.title_ids))
    since = random.poisson(0.3 * before)
    end = (world.days + TAIL_DAYS) * DAY
    _add_period(log, random, members, back, since, (0.0, end), len(world.catalogue.title_ids))


def _add_period(
    log: Logbook,
    random: np.random.Generator,
    members: Members,
    back: Sequence[BackTitle],
    plays: np.ndarray,
    period: tuple[float, float],
    first_code: int,
) -> None:
    member = np.repeat(np.arange(len(plays)), plays)
    mix = np.stack([genre_vector(title.title_id, title.genres) for title in back])
    popularity = 1.0 / np.sqrt(1.0 + rng(0, "back catalogue", "popularity").permutation(len(back)))
    genre = _drawn(members.genres[member].cumsum(axis=1), random)
    by_genre = (mix * popularity[:, None]).T
    # A genre without titles: members take what is popular.
    by_genre = np.where(by_genre.any(axis=1, keepdims=True), by_genre, popularity)
    title = _drawn((by_genre / by_genre.sum(axis=1, keepdims=True)).cumsum(axis=1)[genre], random)
    liking = (members.genres[member] * mix[title]).sum(axis=1)
    fraction = watched_fraction(np.clip(0.35 + 0.6 * liking, 0.05, 0.95), random)
    seconds = random.uniform(*period, len(member))
    session = log.new_sessions(len(member))
    source = np.searchsorted([0.55, 0.85], random.random(len(member)), side="right")
    context: Columns = {"session": session, "device": members.device[member]}
    searched = source == SEARCH
    word = np.where(random.random(len(member)) < 0.85, genre, random.integers(len(GENRES), size=len(member)))
    log.add(
        "search",
        member[searched],
        seconds[searched] - 20.0,
        query=word[searched],
        surface=SEARCH_PAGE,
        **_of(context, searched),
    )
    length = np.full(len(member), BACK_SECONDS)
    add_viewing(log, random, member, seconds, first_code + title, fraction, length, source=source, **context)


def _drawn(cumulative: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One index a row, from cumulative chances (n, K)."""
    return np.minimum((random.random(len(cumulative))[:, None] > cumulative).sum(axis=1), cumulative.shape[1] - 1)
