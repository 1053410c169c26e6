"""The three days that order learning and testing."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyart.errors import ConfigError
from keyart.feedback.windows import Windows, holdout_buckets, resolve_windows
from keyart.settings import TimeSettings

FIRST = date(2026, 1, 1)


def test_open_days_are_a_quarter_and_two_thirds():
    found = resolve_windows(FIRST, date(2026, 1, 12), TimeSettings())
    assert found == Windows(date(2026, 1, 4), date(2026, 1, 9), date(2026, 1, 13))


def test_given_days_win():
    given_days = TimeSettings(t0=date(2026, 1, 2), t1=date(2026, 1, 5), end=date(2026, 1, 7))
    found = resolve_windows(FIRST, date(2026, 3, 1), given_days)
    assert found == Windows(date(2026, 1, 2), date(2026, 1, 5), date(2026, 1, 7))


@given(st.integers(3, 3000))
def test_every_log_of_three_days_or_more_has_three_parts(days):
    last = FIRST + timedelta(days=days - 1)
    found = resolve_windows(FIRST, last, TimeSettings())
    assert FIRST < found.t0 < found.t1 < found.end == last + timedelta(days=1)
    assert abs((found.t0 - FIRST).days - days / 4) < 1
    assert abs((found.t1 - FIRST).days - 2 * days / 3) < 1


@pytest.mark.parametrize(
    ("first", "last", "time"),
    [
        (FIRST, FIRST, TimeSettings()),
        (FIRST, date(2026, 1, 20), TimeSettings(t0=date(2026, 1, 15))),
        (FIRST, date(2026, 1, 20), TimeSettings(t1=date(2026, 2, 1))),
        (FIRST, date(2026, 1, 20), TimeSettings(end=FIRST)),
    ],
    ids=["one day", "t0 past t1", "t1 past end", "end before all"],
)
def test_days_out_of_order_name_the_keys(first, last, time):
    with pytest.raises(ConfigError, match=r"time\.t0.*time\.t1.*time\.end"):
        resolve_windows(first, last, time)


@pytest.mark.parametrize(("share", "buckets"), [(0.0, 0), (0.1, 6), (0.25, 16), (0.5, 32)])
def test_held_out_members_are_the_lowest_buckets(share, buckets):
    assert holdout_buckets(TimeSettings(holdout_share=share)) == buckets
