"""maintain: tables of older versions are brought on, small files together, rows that are too old removed, and files
that nothing needs deleted.

Safe beside running jobs: compaction and their writes are tried again where they meet, and a file is deleted only when
nothing can have needed it for ``maintain.retain_hours``.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from keyart.errors import ConfigError
from keyart.operations.ledger_spark import TABLE
from keyart.operations.lines import one_line
from keyart.operations.upkeep import Size, Upkeep, on_disk
from keyart.privacy.erase_spark import expire
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
    names = [name for name in wanted.tables or TABLES if tables.exists(name)]
    with ThreadPoolExecutor(LANES) as lanes:
        before = list(lanes.map(lambda name: _size(tables, name), names))
        if settings.privacy.retention:
            expire(tables, settings, purge=False)
        tables.delete(TABLE, OLD_BEATS)
        errors = list(lanes.map(lambda name: _failing(partial(_brought_up, tables, name)), names))
        # One after the other, for the session's options hold while one is vacuumed.
        errors = [
            error or _failing(partial(tables.vacuum, name, wanted.retain_hours, wanted.shorter))
            for name, error in zip(names, errors, strict=True)
        ]
        after = list(lanes.map(lambda name: _size(tables, name), names))
    return [Upkeep(*one) for one in zip(names, before, after, errors, strict=True)]


def _brought_up(tables: Tables, name: str) -> None:
    tables.migrate(name)
    tables.compact(name)


def _failing(work: Callable[[], object]) -> str:
    """Do the work; returns why it failed, in a line, or nothing."""
    try:
        work()
    except Exception as error:  # a table that cannot be kept up must not keep the others from it
        log.error("upkeep failed: %s", one_line(error), exc_info=error, extra={"quiet": True})
        return one_line(error)
    return ""


def _size(tables: Tables, name: str) -> Size:
    return Size(*tables.size(name), *on_disk(tables.location(name)))
