"""The order of time: taste before t0, response on [t0, t1), test on [t1, end); and who is held out."""

from dataclasses import dataclass
from datetime import date, timedelta

from keyart.errors import ConfigError
from keyart.seeding import BUCKETS
from keyart.settings import TimeSettings

__all__ = ["Windows", "holdout_buckets", "resolve_windows"]


@dataclass(frozen=True)
class Windows:
    """First day of response rows, first day of test rows, and the day after the last test row."""

    t0: date
    t1: date
    end: date


def resolve_windows(first_epoch: date, last_epoch: date, time: TimeSettings) -> Windows:
    """Fill what the settings leave open from the first and last day with decisions.

    ConfigError names the keys where the three do not follow each other.

    >>> resolve_windows(date(2026, 1, 1), date(2026, 1, 28), TimeSettings())
    Windows(t0=datetime.date(2026, 1, 8), t1=datetime.date(2026, 1, 20), end=datetime.date(2026, 1, 29))
    """
    days = (last_epoch - first_epoch).days + 1
    windows = Windows(
        t0=time.t0 or first_epoch + timedelta(days=-(-days // 4)),
        t1=time.t1 or first_epoch + timedelta(days=-(-2 * days // 3)),
        end=time.end or last_epoch + timedelta(days=1),
    )
    if not windows.t0 < windows.t1 < windows.end:
        raise ConfigError(
            f"time.t0 {windows.t0}, time.t1 {windows.t1} and time.end {windows.end} must follow each other; decisions "
            f"run from {first_epoch} to {last_epoch}: set the three keys, or ingest more days"
        )
    return windows


def holdout_buckets(time: TimeSettings) -> int:
    """Members with ``user_bucket`` below this are held out of training."""
    return round(BUCKETS * time.holdout_share)
