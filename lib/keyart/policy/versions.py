"""Versions of members' overrides: newest wins, and a stream's batch is newer than what assign-artwork wrote.

assign-artwork writes the day (since 1970) that taste is of; a batch that day times STEP plus a number that grows.
"""

from datetime import date

__all__ = ["ASSIGNED", "DAY", "STEP", "days_of", "online_version"]

STEP = 1_000_000_000
ASSIGNED = f"version < {STEP}"
"""SQL condition for rows that assign-artwork wrote: what a policy is judged by, for later rows know later days."""
DAY = f"IF(version < {STEP}, version, version DIV {STEP})"
"""SQL for the day of a row, since 1970."""


def days_of(day: date) -> int:
    """Days since 1970."""
    return (day - date(1970, 1, 1)).days


def online_version(as_of: date, number: int) -> int:
    """Of a batch whose taste is as of a day; ``number`` must grow from batch to batch.

    >>> online_version(date(2026, 1, 2), 3) > online_version(date(2026, 1, 2), 2) > days_of(date(2026, 1, 3))
    True
    """
    return days_of(as_of) * STEP + number
