"""Parts of the day, times and column names."""

from datetime import UTC, datetime

import pytest

from keyart.errors import ConfigError
from keyart.feedback.events import EVENT_TYPES, REASONS, TITLE_EVENTS, day_part, parse_now, theirs


@pytest.mark.parametrize(
    ("part", "hours"),
    [("night", range(6)), ("morning", range(6, 12)), ("afternoon", range(12, 18)), ("evening", range(18, 24))],
)
def test_parts_of_the_day(part, hours):
    assert {day_part(hour) for hour in hours} == {part}


def test_now_is_utc_whatever_zone_it_is_written_in():
    assert parse_now("") is None
    assert parse_now("2026-01-31T12:00:00") == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert parse_now("2026-01-31T12:00:00+02:00") == datetime(2026, 1, 31, 10, tzinfo=UTC)
    with pytest.raises(ConfigError, match=r"events\.now is 'soon'"):
        parse_now("soon")


def test_columns_are_mapped_ours_to_theirs():
    names = theirs({"user_id": "member"})
    assert names["user_id"] == "member"
    assert names["title_id"] == "title_id"
    with pytest.raises(ConfigError, match=r"events\.columns\.member"):
        theirs({"member": "user_id"})


def test_reasons_are_told_apart_and_title_events_are_events():
    assert len(set(REASONS.values())) == len(REASONS)
    assert set(TITLE_EVENTS) < set(EVENT_TYPES)
