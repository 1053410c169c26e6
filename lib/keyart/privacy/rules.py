"""What the configuration allows to be kept and read: days a table's rows stay, traits of people, and for what."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from keyart.errors import ConfigError
from keyart.feedback.events import parse_now
from keyart.policy.versions import DAY, days_of
from keyart.settings import Settings

__all__ = ["DATED", "check_traits", "conditions", "first_days", "kept_from"]

DATED = {
    "events": "event_date",
    "impressions": "event_date",
    "decisions": "epoch",
    "artwork_stats": "event_date",
    "sessions": "session_date",
    "taste": "as_of",
    "user_assignments": "version",
    "quarantine": "run_date",
    "data_quality": "run_date",
}
"""Tables whose rows may be kept for so many days, and the column that says how old a row is."""

TRAITS = (
    "age", "birth", "birthday", "birthdate", "dob", "gender", "sex", "ethnicity", "race", "religion", "nationality",
    "citizenship", "income", "salary", "orientation", "sexuality", "disability", "health", "marital", "politics",
    "political", "demographic", "demographics", "caste",
)  # fmt: skip
"""Words in a column's name that tell of a trait of people."""


def first_days(retention: Mapping[str, str], today: date) -> dict[str, date]:
    """Of each table of ``privacy.retention`` the first day whose rows stay; ConfigError for what makes no sense.

    >>> first_days({"events": "30"}, date(2026, 3, 31))
    {'events': datetime.date(2026, 3, 1)}
    """
    found = {}
    for table, days in retention.items():
        if table not in DATED:
            raise ConfigError(f"privacy.retention.{table}: rows of it have no age; known are {', '.join(DATED)}")
        if not re.fullmatch(r"[1-9][0-9]{0,4}", str(days).strip()):
            raise ConfigError(f"privacy.retention.{table} is {days!r}; write a number of days, 1 or more")
        found[table] = today - timedelta(days=int(days))
    return found


def kept_from(settings: Settings) -> dict[str, date]:
    """``first_days`` of the settings as of what counts as the present."""
    today = parse_now(settings.events.now) or datetime.now(UTC)
    return first_days(settings.privacy.retention, today.date())


def conditions(first: Mapping[str, date]) -> dict[str, str]:
    """Of each table the SQL condition for rows that are too old."""
    return {
        table: f"{DAY} < {days_of(day)}" if DATED[table] == "version" else f"{DATED[table]} < DATE'{day}'"
        for table, day in first.items()
    }


def check_traits(columns: Mapping[str, str], purposes: Mapping[str, str]) -> None:
    """ConfigError where ``events.columns`` takes a column that tells of a trait of people without a purpose named.

    ``purposes`` is ``privacy.demographics``: the log's column to what it is read for.
    """
    for trait, purpose in purposes.items():
        if not purpose.strip():
            raise ConfigError(f"privacy.demographics.{trait}: say what the column is read for")
    for ours, theirs in columns.items():
        words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", theirs)}
        if words & set(TRAITS) and theirs not in purposes:
            raise ConfigError(
                f"events.columns.{ours} reads {theirs}, which tells of a trait of people: "
                f"name its purpose in privacy.demographics.{theirs}, or read another column"
            )
