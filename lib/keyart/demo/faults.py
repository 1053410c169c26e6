"""What goes wrong between members and a log: rows late, twice, out of order, from the future, malformed, of unknowns.

Good rows stay as they are: a log with faults holds every event of the log without them, and more.
"""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from keyart.demo.logbook import FIRST_DAY, numbered, with_column
from keyart.settings import SimulateSettings

__all__ = ["BROKEN", "DELIVERY", "with_faults"]

DELIVERY = "delivery"
"""Column that says which delivery a row comes with, from 0."""
BROKEN = "broken"
"""Event type of rows that JSON lines cut off."""
FAR_FUTURE = datetime(2099, 1, 1, tzinfo=UTC)
_MICROS_A_DAY = 86_400_000_000
_ORIGIN = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)


def with_faults(log: pa.Table, settings: SimulateSettings, random: np.random.Generator, name: str) -> pa.Table:
    """``log`` (plain columns, in the order of time) with the faults that the settings ask for, and DELIVERY.

    ``name`` begins the ids of rows that are faulty.
    """
    rows, last = log.num_rows, settings.deliveries - 1
    days = (log["ts"].cast(pa.int64()).to_numpy() - int(_ORIGIN.timestamp() * 1e6)) // _MICROS_A_DAY
    due = np.clip(days * settings.deliveries // settings.days, 0, last)
    due = np.minimum(due + (random.random(rows) < settings.late), last)
    twice = np.flatnonzero(random.random(rows) < settings.duplicates)
    again = np.minimum(due[twice] + random.integers(2, size=len(twice)), last)
    bad, at = _damaged(log, settings, random, name)
    whole = pa.concat_tables([log, log.take(pa.array(twice)), bad])
    place = np.concatenate([np.arange(rows), twice, at]).astype(np.float64)
    moved = random.random(len(place)) < settings.disordered
    moved[rows : rows + len(twice)] = True
    place[moved] = random.uniform(0, rows, int(moved.sum()))
    delivery = np.concatenate([due, again, due[at]]).astype(np.int32)
    order = np.argsort(place, kind="stable")
    return whole.append_column(DELIVERY, pa.array(delivery)).take(pa.array(order))


def _damaged(
    log: pa.Table, settings: SimulateSettings, random: np.random.Generator, name: str
) -> tuple[pa.Table, np.ndarray]:
    """Spoilt copies of some rows, and which rows they are copies of."""
    draw = random.random(log.num_rows)
    ends = np.cumsum([settings.future, *[settings.malformed / 4] * 4, *[settings.unknown / 2] * 2])
    kind = np.searchsorted(ends, draw, side="right")
    parts, copied = [], []
    for number, (column, value) in enumerate(_SPOILT):
        # Of rows that name an artwork alone could it be unknown, and so on: a null would stay one, and good.
        rows = np.flatnonzero(kind == number)
        rows = rows[log[column].is_valid().to_numpy()[rows]]
        part = log.take(pa.array(rows))
        parts.append(with_column(part, column, pa.array([value] * len(rows), log.schema.field(column).type)))
        copied.append(rows)
    bad, at = pa.concat_tables(parts), np.concatenate(copied)
    return with_column(bad, "event_id", numbered(f"{name}fault-", np.arange(bad.num_rows))), at


_SPOILT = (
    ("ts", FAR_FUTURE),
    ("user_id", None),
    ("event_type", BROKEN),
    ("local_hour", 99),
    ("propensity", 1.7),
    ("title_id", "no-such-title"),
    ("artwork_id", "no-such-artwork"),
)
"""Column and what stands there, in the order of _damaged: future, four malformed, two unknown."""
