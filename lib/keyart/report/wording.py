"""How figures and moments are written on the pages."""

import math
import re
from datetime import date, datetime

from keyart.vision.words import phrase

__all__ = ["clock", "count", "day", "moment", "named", "percent", "reason", "signed_percent", "size", "span"]

NOTHING = "–"
MINUS = "\N{MINUS SIGN}"


def count(value: float | None) -> str:
    """A whole number with thousands set apart.

    >>> count(1234567)
    '1,234,567'
    """
    return NOTHING if value is None else f"{int(value):,}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share as a percentage.

    >>> percent(0.0351), percent(None)
    ('3.5%', '–')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{100 * value:.{digits}f}%".replace("-", MINUS)


def signed_percent(value: float | None, digits: int = 1) -> str:
    """A relative change as a percentage with its sign; what rounds to nothing has none.

    >>> signed_percent(0.123), signed_percent(-0.02), signed_percent(-0.0001)
    ('+12.3%', '−2.0%', '0.0%')
    """
    text = percent(value, digits)
    if value is None or not math.isfinite(value):
        return text
    if not text.strip(f"{MINUS}0.%"):
        return text.removeprefix(MINUS)
    return text if value < 0 else f"+{text}"


def clock(seconds: float | None) -> str:
    """A moment in a film.

    >>> clock(59.99), clock(61.5), clock(3725)
    ('0:59', '1:01', '1:02:05')
    """
    if seconds is None:
        return NOTHING
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def span(seconds: float | None) -> str:
    """A running time in words.

    >>> span(48.2), span(600), span(5400)
    ('48 s', '10 min', '1 h 30 min')
    """
    if seconds is None:
        return NOTHING
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(value: float | None) -> str:
    """Bytes in a unit one can picture.

    >>> size(1_530_000), size(999)
    ('1.5 MB', '999 B')
    """
    if value is None:
        return NOTHING
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def day(value: date | None) -> str:
    """A day without doubt about the order of its parts.

    >>> day(date(2026, 3, 9))
    '9 March 2026'
    """
    return NOTHING if value is None else f"{value.day} {value:%B} {value.year}"


def moment(value: datetime | None) -> str:
    """A moment in UTC to the minute."""
    return NOTHING if value is None else f"{day(value)}, {value:%H:%M} UTC"


_FEATURE = re.compile(r"^((?:gains by |loses by )?)(more|less) ([^;]+)")
_FACTOR = re.compile(r"factor \d+ (above|below) average")


def named(value: str) -> str:
    """An identifier as words: underscores and dashes become blanks.

    >>> named("already_started-share")
    'already started share'
    """
    return value.replace("_", " ").replace("-", " ").strip()


def reason(text: str) -> str:
    """What decided, as people would say it: features by their phrases, factors that have no name as taste.

    >>> reason("more hue x; factor 7 below average"), reason("gains by less face count")
    ('colours nearer red; by taste: what they watched', 'gains by fewer faces')
    """
    text = _FEATURE.sub(lambda found: found[1] + phrase(found[3], found[2] == "more"), text)
    return _FACTOR.sub("by taste: what they watched", text)
