"""What a log row may say: event types, reasons to set a row aside, parts of the day. No Spark here."""

from datetime import UTC, datetime

from keyart.errors import ConfigError

__all__ = [
    "DAY_PARTS",
    "DROPPED",
    "EVENT_TYPES",
    "LIST_COLUMNS",
    "LOG_COLUMNS",
    "REASONS",
    "REPEATS",
    "REQUIRED",
    "SEGMENT_NAME",
    "TITLE_EVENTS",
    "WATCH_ENDS",
    "day_part",
    "parse_now",
    "theirs",
]

LOG_COLUMNS = (
    "event_id", "event_type", "user_id", "title_id", "artwork_id", "ts", "session_id", "region", "device", "local_hour",
    "local_weekday", "kids", "surface", "row", "position", "policy_id", "segment", "propensity", "candidate_set",
    "candidate_propensities", "already_started", "ranker_id", "ranker_score", "source", "position_seconds",
    "watched_seconds", "rating", "query", "opted_out",
)  # fmt: skip
"""Columns of a raw log by our names."""

LIST_COLUMNS = ("candidate_set", "candidate_propensities")
REQUIRED = ("event_type", "user_id", "ts")
"""Without these columns a log is not one."""

SEGMENT_NAME = "^taste-[1-9][0-9]*$"
"""What assign-artwork calls a segment. Other words in a column of that name are somebody else's and are not read."""

WATCH_ENDS = ("stop", "complete", "abandon")
"""Events that say how much was watched since the play."""

REPEATS = ("rewind", "rewatch")
"""Events that say a part was worth another look."""

TITLE_EVENTS = (
    "impression", "take", "play", "pause", "resume", "rewind", "rewatch", "fast_forward", "forward", "skip", "seek",
    *WATCH_ENDS, "thumbs", "list_add", "list_remove",
)  # fmt: skip
"""Events that concern a title and must name it."""

EVENT_TYPES = (*TITLE_EVENTS, "search", "browse", "scroll", "details", "preview", "rate", "cancel", "consent")
"""consent says nothing but what its column opted_out says: a list of who opted out is delivered as such rows."""

REASONS = {
    "unreadable": "unreadable line",
    "no_member": "missing user_id",
    "event_type": "unknown event type",
    "no_time": "missing ts",
    "bad_time": "malformed ts",
    "future": "ts in the future",
    "bad_value": "malformed value",
    "no_title": "missing title_id",
    "title": "unknown title",
    "artwork": "unknown artwork",
    "other_title": "artwork of another title",
    "propensity": "propensity outside (0, 1]",
    "lengths": "candidate_set and candidate_propensities of different lengths",
    "sum": "candidate_propensities do not sum to 1",
    "not_candidate": "served artwork not in candidate_set",
    "mismatch": "propensity differs from candidate_propensities",
}
"""Why a row is set aside, in the order they are tried: the first that applies is the row's reason."""

DROPPED = {"erased": "erased member", "opted_out": "opted out", "expired": "past retention"}
"""Why a row is kept nowhere, not even in quarantine; counted in data_quality."""

DAY_PARTS = ("night", "morning", "afternoon", "evening")
HOURS_PER_PART = 6


def day_part(hour: int) -> str:
    """The part of the day of an hour from 0 to 23, six hours each from midnight on.

    >>> [day_part(hour) for hour in (5, 6, 17, 18)]
    ['night', 'morning', 'afternoon', 'evening']
    """
    return DAY_PARTS[hour // HOURS_PER_PART]


def parse_now(text: str) -> datetime | None:
    """``events.now`` as a time in UTC, None where it is empty; ConfigError where it is no ISO time."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"events.now is {text!r}; write an ISO time such as 2026-01-31T00:00:00") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def theirs(columns: dict[str, str]) -> dict[str, str]:
    """How the log calls each of our columns; ConfigError for a name that is none of ours."""
    unknown = sorted(set(columns) - set(LOG_COLUMNS))
    if unknown:
        raise ConfigError(f"events.columns.{unknown[0]} is no column of a log; known are {', '.join(LOG_COLUMNS)}")
    return {name: columns.get(name, name) for name in LOG_COLUMNS}
