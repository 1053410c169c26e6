"""maintain: tables of older versions are brought on, small files together, rows that are too old removed, and files
that nothing needs deleted.

Safe beside running jobs: compaction and their writes are tried again where they meet, and a file is deleted only when
nothing can have needed it for ``maintain.retain_hours``.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from keyart.errors import ConfigError
from keyart.operations.ledger_spark import TABLE
from keyart.operations.lines import one_line
from keyart.operations.upkeep import NOTHING, Size, Upkeep, on_disk
from keyart.privacy.erase_spark import too_old
from keyart.schemas import TABLES
from keyart.settings import Settings
from keyart.tables import Tables

__all__ = ["maintain"]

log = logging.getLogger(__name__)

WEEK = 168
"""Hours: what Delta keeps at least."""
LANES = 2
"""Tables compacted at a time; each takes all cores."""
OLD_BEATS = f"state = 'running' AND at < current_timestamp() - INTERVAL {WEEK} HOURS"


def maintain(tables: Tables, settings: Settings) -> list[Upkeep]:
    """Do the upkeep of all tables; what fails of one does not keep it from the others and stands in its ``error``.

    ConfigError for a table that there is not, or fewer hours than a week without ``maintain.shorter``.
    """
    wanted = settings.maintain
    if wanted.retain_hours < WEEK and not wanted.shorter:
        raise ConfigError(
            f"maintain.retain_hours is {wanted.retain_hours}: below {WEEK} Delta cannot know that no reader or writer "
            "needs a file; where nothing else runs, set maintain.shorter=true too"
        )
    if unknown := set(wanted.tables) - set(TABLES):
        raise ConfigError(f"maintain.tables: there is no {', '.join(sorted(unknown))}; known are {', '.join(TABLES)}")
    old = {**(too_old(settings) if settings.privacy.retention else {}), TABLE: OLD_BEATS}
    cares = [_Care(tables, name) for name in wanted.tables or TABLES if tables.exists(name)]
    # What is too old goes from all tables, also where not all are compacted.
    others = [_Care(tables, name) for name in old if tables.exists(name) and name not in {one.name for one in cares}]
    with ThreadPoolExecutor(LANES) as lanes:
        before = list(lanes.map(_Care.size, cares))
        for one in (*cares, *others):
            if one.name in old:
                one.take(partial(tables.delete, one.name, old[one.name]))
        list(lanes.map(lambda one: one.take(one.bring_up), cares))
        # One after the other, for the session's options hold while one is vacuumed.
        for one in cares:
            one.take(partial(tables.vacuum, one.name, wanted.retain_hours, wanted.shorter))
        after = list(lanes.map(_Care.size, cares))
    done = [Upkeep(one.name, was, now, one.error) for one, was, now in zip(cares, before, after, strict=True)]
    return done + [Upkeep(one.name, NOTHING, NOTHING, one.error) for one in others if one.error]


@dataclass
class _Care:
    """A table that is kept up, and why that failed first, in a line; what is left is then left alone."""

    tables: Tables
    name: str
    error: str = ""

    def take(self, work: Callable[[], object]) -> None:
        """Do some of the upkeep: a table that cannot be kept up must not keep the others from it."""
        if self.error:
            return
        try:
            work()
        except Exception as error:
            self._failed(error)

    def bring_up(self) -> None:
        """Bring an older table on, and put small files together."""
        self.tables.migrate(self.name)
        self.tables.compact(self.name)

    def size(self) -> Size:
        """Its files, also where its upkeep failed; of a table that cannot be read none."""
        try:
            return Size(*self.tables.size(self.name), *on_disk(self.tables.location(self.name)))
        except Exception as error:
            self._failed(error)
            return NOTHING

    def _failed(self, error: Exception) -> None:
        line = one_line(error)
        log.error("upkeep of %s failed: %s", self.name, line, exc_info=error, extra={"quiet": True})
        self.error = self.error or line
