"""Programs among the members: they come every day, look at everything at a machine's pace and watch nothing."""

from typing import Any

import numpy as np

from keyart.demo.homepage import draw_slots
from keyart.demo.logbook import DAY, Columns, Logbook
from keyart.demo.viewing import HOME, PLAYER, ROW
from keyart.demo.worlds import World
from keyart.seeding import rng

__all__ = ["add_bots"]

PACE = 0.7
"""Seconds from one impression to the next."""
WIDTH = 6
"""Titles in a row of the page."""


def add_bots(log: Logbook, world: World, bots: np.ndarray) -> None:
    """Log what ``bots`` (indices of members) do: every title of every day, every other one of them taken and left.

    Artworks are drawn as for anyone, so the logged propensities hold. They do nothing else.
    """
    titles = len(world.catalogue.title_ids)
    shape = len(bots), titles
    started = np.zeros(shape, bool)
    for day in range(world.days):
        random = rng(world.seed, "bots", day)
        title = np.argsort(random.random(shape), axis=1)
        artwork = world.catalogue.slots[title, draw_slots(world, title, random)]
        begin = day * DAY + random.uniform(0.0, DAY / 2, (len(bots), 1))
        seconds = begin + PACE * np.arange(titles) + random.uniform(0.0, PACE / 2, shape)
        member = np.broadcast_to(bots[:, None], shape)
        session = np.broadcast_to(log.new_sessions(len(bots))[:, None], shape)
        row = np.broadcast_to(1 + np.arange(titles) // WIDTH, shape)
        position = np.broadcast_to(np.arange(titles) % WIDTH, shape)
        context: Columns = {
            "title": title.ravel(),
            "session": session.ravel(),
            "device": world.members.device[member].ravel(),
        }
        place: Columns = {"artwork": artwork.ravel(), "row": row.ravel(), "position": position.ravel(), "surface": HOME}
        before = np.take_along_axis(started, title, axis=1)
        log.add(
            "impression", member.ravel(), seconds.ravel(), candidates=title.ravel(), started=before.ravel(),
            ranker=random.standard_normal(title.size), **context, **place,
        )  # fmt: skip
        taken = random.random(shape) < 0.5
        _take_and_leave(log, member.ravel(), seconds.ravel(), taken.ravel(), context, place)
        np.put_along_axis(started, title, before | taken, axis=1)


def _take_and_leave(
    log: Logbook, member: np.ndarray, seconds: np.ndarray, taken: np.ndarray, context: Columns, place: Columns
) -> None:
    def some(columns: Columns) -> dict[str, Any]:
        return {name: values[taken] if isinstance(values, np.ndarray) else values for name, values in columns.items()}

    member, seconds = member[taken], seconds[taken]
    blink = np.full(len(member), 0.1)
    log.add("take", member, seconds + 0.1, source=ROW, **some(context), **some(place))
    log.add("play", member, seconds + 0.15, source=ROW, at=0, surface=PLAYER, **some(context))
    log.add("abandon", member, seconds + 0.3, at=blink, watched=blink, surface=PLAYER, **some(context))
