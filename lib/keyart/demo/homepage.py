"""Home-page visits, day by day: what is shown where with which artwork, what is taken, and how it is watched."""

from dataclasses import dataclass

import numpy as np

from keyart.demo.backcatalogue import GENRES
from keyart.demo.logbook import DAY, Columns, Logbook
from keyart.demo.truth import Pages
from keyart.demo.viewing import CONTINUE, HOME, ROW, SEARCH, SEARCH_PAGE, add_viewing, watched_fraction
from keyart.demo.worlds import DEVICES, EDITORS_SHARE, UTC_OFFSET, World
from keyart.seeding import rng

__all__ = ["draw_slots", "visit_days"]

WIDTH, IN_SIGHT = 6, 4
"""Titles in a row of the page, and those of them that are seen without scrolling sideways."""
SCROLLING, SIDEWAYS = 0.35, 0.2
"""Chances of going on to the next row, and along a row. Few titles in view at once keep competition on a page mild:
what titles do to each other is what estimates made decision by decision cannot see."""
CONTINUED = 4
"""Most titles in the row of those already started."""
LAST_START = 23.2 * 3600.0
"""Sessions begin before this second of the UTC day, so that what they show and take lies within one epoch."""


@dataclass
class _Memory:
    """What earlier days left: all (M, T) but the last."""

    started: np.ndarray
    artwork: np.ndarray  # that a started title keeps
    since: np.ndarray  # day on which it was started
    seen: np.ndarray  # days on which it was seen
    visited: np.ndarray  # (M,) whether the member came yesterday


@dataclass(frozen=True)
class _Visits:
    """One day's n visits of J slots; ``title`` is -1 for slots that are not seen."""

    day: int
    member: np.ndarray  # (n,)
    title: np.ndarray  # (n, J)
    artwork: np.ndarray  # (n, J)
    row: np.ndarray  # (J,) 0 is the first row of titles not yet started
    position: np.ndarray  # (J,)
    depth: np.ndarray  # (n,) rows scrolled into view
    ranker: np.ndarray  # (n, J)
    base: np.ndarray  # (n, J)
    quality: np.ndarray  # (n, J) logit


def visit_days(world: World, log: Logbook) -> Pages:
    """Let the members visit for all days, log what happens, and return the pages: the decisions.

    A day's visit is one session, or two on different devices that show the same artworks, and ends with one choice
    among the titles seen, or none. Everything that the choice depends on lies before it.
    """
    count, titles = world.affinity.shape
    memory = _Memory(
        started=np.zeros((count, titles), bool),
        artwork=np.broadcast_to(world.catalogue.slots[:, 0], (count, titles)).copy(),
        since=np.zeros((count, titles), np.int32),
        seen=np.zeros((count, titles), np.int16),
        visited=np.zeros(count, bool),
    )
    liking = 0.6 * world.affinity + world.appeal
    ranker = liking + 0.5 * rng(world.seed, "ranker").standard_normal(liking.shape)
    days = []
    for day in range(world.days):
        random = rng(world.seed, "day", day)
        moved = world.trend * day
        visits = _open_pages(world, memory, liking + moved, ranker + moved, day, random)
        _live_through(world, memory, visits, log, random)
        _search_for_films(world, memory, visits, log, random)
        memory.visited[:] = False
        memory.visited[visits.member] = True
        days.append(visits)
    return _as_pages(days)


def _as_pages(days: list[_Visits]) -> Pages:
    title = np.concatenate([visits.title for visits in days]).astype(np.int32)
    visit = np.argsort((title >= 0).sum(axis=1), kind="stable")[:, None]
    slot = np.argsort(title < 0, axis=1, kind="stable")[visit[:, 0]]

    def packed(name: str) -> np.ndarray:
        return np.concatenate([getattr(visits, name) for visits in days])[visit, slot].astype(np.float32)

    return Pages(
        member=np.concatenate([visits.member for visits in days])[visit[:, 0]],
        day=np.concatenate([np.full(len(visits.member), visits.day) for visits in days])[visit[:, 0]],
        title=title[visit, slot],
        base=packed("base"),
        quality=packed("quality"),
    )


def _open_pages(
    world: World, memory: _Memory, liking: np.ndarray, ranker: np.ndarray, day: int, random: np.random.Generator
) -> _Visits:
    member = np.flatnonzero(random.random(len(world.members.ids)) < world.members.visiting)
    titles = world.affinity.shape[1]
    rows = 2 if titles <= 2 * WIDTH else 3
    slots = min(titles, rows * WIDTH)
    score = ranker[member] + 0.3 * random.standard_normal((len(member), titles))
    order = np.argsort(np.where(memory.started[member], np.inf, -score), axis=1, kind="stable")[:, :slots]
    row, position = np.arange(slots) // WIDTH, np.arange(slots) % WIDTH
    scrolled = random.random((len(member), rows - 1)) < SCROLLING
    depth = 1 + np.logical_and.accumulate(scrolled, axis=1).sum(axis=1)
    sideways = random.random((len(member), rows)) < SIDEWAYS
    at = member[:, None], order
    seen = ~memory.started[at] & (row < depth[:, None]) & ((position < IN_SIGHT) | sideways[:, row])
    # Utility: liking, place on the page, tired of the title, tired of scrolling.
    base = world.intercept + liking[at] - 0.1 * row - 0.04 * position
    base += -0.05 * np.minimum(memory.seen[at], 8) - 0.08 * row * (depth[:, None] - 1)
    served = world.catalogue.slots[order, draw_slots(world, order, random)]
    return _Visits(
        day=day,
        member=member,
        title=np.where(seen, order, -1),
        artwork=served,
        row=row,
        position=position,
        depth=depth,
        ranker=np.take_along_axis(score, order, 1),
        base=base,
        quality=0.3 + 0.5 * world.affinity[at],
    )


def draw_slots(world: World, title: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Slots served by the logging policy: the editors' default or one of all, by chance."""
    count = (world.catalogue.slots >= 0).sum(axis=1)[title]
    chance = random.random(title.shape)
    uniform = np.floor((chance - EDITORS_SHARE) / (1.0 - EDITORS_SHARE) * count).astype(np.int64)
    return np.where(chance < EDITORS_SHARE, 0, np.minimum(uniform, count - 1))


def _live_through(world: World, memory: _Memory, visits: _Visits, log: Logbook, random: np.random.Generator) -> None:
    member, n = visits.member, len(visits.member)
    start, earlier, twice = _session_times(world, member, visits.day, random)
    session = log.new_sessions(n)
    device = world.members.device[member]
    device = np.where(random.random(n) < 0.75, device, random.integers(len(DEVICES), size=n))
    other = (device + 1 + random.integers(len(DEVICES) - 1, size=n)) % len(DEVICES)
    seen = visits.title >= 0
    _log_shown(log, visits, seen & twice[:, None] & (visits.row == 0), earlier, log.new_sessions(n), other, random)
    _log_shown(log, visits, seen, start, session, device, random)
    again = _log_continued(world, memory, visits, log, start, session, device)
    browsed = np.flatnonzero((visits.depth > 1) & (random.random(n) < 0.3))
    log.add(
        "browse", member[browsed], start[browsed] + 9.0 + 20.0 * visits.depth[browsed], surface=HOME,
        session=session[browsed], device=device[browsed], row=visits.depth[browsed],
    )  # fmt: skip

    chosen = _choose(world, visits, random)
    ready = start + 30.0 + 20.0 * visits.depth + random.uniform(5.0, 60.0, n)
    taking = np.flatnonzero(chosen >= 0)
    _log_takes(world, memory, visits, log, random, taking, chosen[taking], ready[taking], session, device)
    memory.seen[np.broadcast_to(member[:, None], seen.shape)[seen], visits.title[seen]] += 1

    # Who takes nothing new may go on with what was started at least two whole days before.
    old = (again >= 0) & (chosen < 0) & (random.random(n) < 0.15)
    old &= memory.since[member, again] <= visits.day - 3
    who = np.flatnonzero(old)
    title, mine = again[who], member[who]
    when = start[who] + 15.0 + random.uniform(0.0, 20.0, len(who))
    context: Columns = {"session": session[who], "device": device[who], "source": CONTINUE}
    kept = memory.artwork[mine, title]
    log.add("take", mine, when, title=title, artwork=kept, surface=HOME, row=0, position=0, **context)
    length = world.catalogue.durations[title]
    at = length * random.uniform(0.2, 0.8, len(who))
    left = watched_fraction(np.full(len(who), 0.6), random) * (1.0 - at / length)
    add_viewing(log, random, mine, when + 4.0, title, left, length, at=at, **context)


def _session_times(
    world: World, member: np.ndarray, day: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start of the visit's last session, of an earlier one, and where there is an earlier one; in seconds."""
    offset = np.array([UTC_OFFSET.get(name, 0) for name in world.regions])[world.members.region[member]]

    def moment() -> np.ndarray:
        part = random.choice(3, len(member), p=[0.15, 0.25, 0.6])
        local = np.array([8.0, 13.0, 20.5])[part] + np.array([1.0, 1.5, 2.0])[part] * random.standard_normal(len(part))
        return np.minimum((local - offset) % 24.0 * 3600.0, LAST_START)

    one, two = moment(), moment()
    twice = (random.random(len(member)) < 0.2) & (np.abs(one - two) > 1800.0)
    last = np.where(twice, np.maximum(one, two), one)
    return day * DAY + last, day * DAY + np.minimum(one, two), twice


def _log_shown(
    log: Logbook,
    visits: _Visits,
    seen: np.ndarray,
    start: np.ndarray,
    session: np.ndarray,
    device: np.ndarray,
    random: np.random.Generator,
) -> None:
    visit, slot = np.nonzero(seen)
    row, position = visits.row[slot], visits.position[slot]
    log.add(
        "impression",
        visits.member[visit],
        start[visit] + 10.0 + 20.0 * row + 2.0 * position + random.uniform(0.0, 1.5, len(visit)),
        title=visits.title[visit, slot],
        artwork=visits.artwork[visit, slot],
        session=session[visit],
        device=device[visit],
        surface=HOME,
        row=row + 1,
        position=position,
        candidates=visits.title[visit, slot],
        started=0,
        ranker=visits.ranker[visit, slot],
    )


def _log_continued(
    world: World,
    memory: _Memory,
    visits: _Visits,
    log: Logbook,
    start: np.ndarray,
    session: np.ndarray,
    device: np.ndarray,
) -> np.ndarray:
    """Log the row of started titles; returns its first title per visit, -1 where there is none."""
    started = memory.started[visits.member]
    place = started.cumsum(axis=1) - 1
    visit, title = np.nonzero(started & (place < CONTINUED))
    member, position = visits.member[visit], place[visit, title]
    artwork = memory.artwork[member, title]
    log.add(
        "impression",
        member,
        start[visit] + 2.0 + position,
        title=title,
        artwork=artwork,
        session=session[visit],
        device=device[visit],
        surface=HOME,
        row=0,
        position=position,
        candidates=len(world.catalogue.title_ids) + artwork,
        started=1,
    )
    return np.where(started.any(axis=1), started.argmax(axis=1), -1)


def _choose(world: World, visits: _Visits, random: np.random.Generator) -> np.ndarray:
    """The slot taken on each page, or -1: titles compete with each other and with taking nothing."""
    catalogue = world.catalogue
    taste = (world.observable + world.private)[visits.member]
    look = np.einsum("nd,njd->nj", taste, catalogue.looks[visits.artwork])
    effect = world.scale * look + world.take_shift[visits.artwork]
    weight = np.exp(visits.base + effect) * (visits.title >= 0)
    reached = weight.cumsum(axis=1)
    draw = random.random(len(reached)) * (1.0 + reached[:, -1])
    return np.where(draw < reached[:, -1], (reached <= draw[:, None]).sum(axis=1), -1)


def _log_takes(
    world: World,
    memory: _Memory,
    visits: _Visits,
    log: Logbook,
    random: np.random.Generator,
    visit: np.ndarray,
    slot: np.ndarray,
    ready: np.ndarray,
    session: np.ndarray,
    device: np.ndarray,
) -> None:
    """Log takes and what is watched; some come minutes or hours later, from the page again or by search."""
    n, member = len(visit), visits.member[visit]
    title, artwork = visits.title[visit, slot], visits.artwork[visit, slot]
    way = np.searchsorted([0.82, 0.92], random.random(n), side="right")
    delay = np.where(way > 0, np.exp(random.uniform(np.log(600.0), np.log(6 * 3600.0), n)), 0.0)
    # A take stays within the day: before the next visit, whose page depends on it.
    way = np.where(ready + delay < (visits.day + 1) * DAY - 60.0, way, 0)
    seconds = np.where(way > 0, ready + delay, ready)
    later = np.where(way > 0, log.new_sessions(n), session[visit])
    context = {"session": later, "device": np.where(way > 0, world.members.device[member], device[visit])}
    searched = way == 2
    log.add(
        "search", member[searched], seconds[searched] - 15.0, surface=SEARCH_PAGE,
        query=world.catalogue.genre_mix[title[searched]].argmax(axis=1),
        **{name: values[searched] for name, values in context.items()},
    )  # fmt: skip
    log.add(
        "take", member, seconds, title=title, artwork=artwork, source=np.where(searched, SEARCH, ROW),
        surface=np.where(searched, SEARCH_PAGE, HOME), row=np.where(searched, -1, visits.row[slot] + 1),
        position=np.where(searched, -1, visits.position[slot]), **context,
    )  # fmt: skip
    logit = visits.quality[visit, slot] + world.quality_shift[artwork]
    fraction = watched_fraction(1.0 / (1.0 + np.exp(-logit)), random)
    length = world.catalogue.durations[title]
    add_viewing(
        log, random, member, seconds + 4.0, title, fraction, length, source=np.where(searched, SEARCH, ROW), **context
    )
    memory.started[member, title], memory.artwork[member, title] = True, artwork
    memory.since[member, title] = visits.day


def _search_for_films(
    world: World, memory: _Memory, visits: _Visits, log: Logbook, random: np.random.Generator
) -> None:
    """A few members look for a film by themselves, on days when no page can have shown it to them lately."""
    away = ~memory.visited & ~memory.started.all(axis=1)
    away[visits.member] = False
    member = np.flatnonzero(away & (random.random(len(away)) < 0.004))
    wish = world.affinity[member] + random.gumbel(size=(len(member), world.affinity.shape[1]))
    title = np.where(memory.started[member], -np.inf, wish).argmax(axis=1)
    seconds = visits.day * DAY + random.uniform(0.3, 0.95, len(member)) * DAY
    context = {"session": log.new_sessions(len(member)), "device": world.members.device[member]}
    word = world.catalogue.genre_mix[title].argmax(axis=1) if len(member) else np.zeros(0, np.int64)
    log.add("search", member, seconds - 15.0, query=word % len(GENRES), surface=SEARCH_PAGE, **context)
    quality = 1.0 / (1.0 + np.exp(-0.3 - 0.5 * world.affinity[member, title]))
    length = world.catalogue.durations[title]
    fraction = watched_fraction(quality, random)
    add_viewing(log, random, member, seconds, title, fraction, length, source=SEARCH, **context)
    memory.started[member, title] = True
    memory.since[member, title] = visits.day
