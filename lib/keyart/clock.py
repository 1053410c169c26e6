"""Now, for rows of which the newest counts: never before what was written already, also where the clock went back."""

from datetime import UTC, datetime, timedelta

__all__ = ["after", "instant"]


def after(newest: datetime | None) -> datetime:
    """Now (UTC), or a microsecond after ``newest`` where the clock says that this is still to come.

    >>> after(datetime(9000, 1, 1, tzinfo=UTC)).isoformat()
    '9000-01-01T00:00:00.000001+00:00'
    """
    now = datetime.now(UTC)
    return now if newest is None or now > newest else newest + timedelta(microseconds=1)


def instant(micros: int | None) -> datetime | None:
    """A time from microseconds since 1970: what Spark collects as a timestamp is in the driver's own time zone."""
    return None if micros is None else datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros)
