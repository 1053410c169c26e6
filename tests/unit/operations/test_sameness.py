"""Two tables are the same where rows, columns and values are, and every way not to be is told."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyart.operations.sameness import differences

ROW = {"id": "a", "n": 3, "mean": 1.5, "parts": [0.25, None], "box": {"x": 0.5}, "at": "now"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n": 4}, "n is 4, not 3"),
        ({"n": 3.0}, "n is 3.0, not 3"),  # another type is another value
        ({"mean": math.nan}, "mean is nan, not 1.5"),
        ({"mean": None}, "mean is None, not 1.5"),
        ({"parts": [0.25]}, "parts is [0.25]"),
        ({"parts": [0.25, 0.0]}, "parts is [0.25, 0.0]"),
        ({"box": {"x": 0.6}}, "box is {'x': 0.6}"),
        ({"box": {"y": 0.5}}, "box is {'y': 0.5}"),
        ({"more": 1}, "more is only on one side"),
        ({"id": "b"}, "('a',) is missing"),
    ],
)
def test_what_differs_is_told(change, said):
    told = differences([ROW], [ROW | change], ("id",))
    assert any(said in line for line in told), told
    assert differences([ROW | change], [ROW], ("id",)), "the other way round"


def test_rows_that_are_missing_too_much_or_doubled():
    rows = [ROW | {"id": name} for name in "abcdefgh"]
    assert differences(rows, rows[::-1], ("id",)) == [], "order says nothing"
    (line,) = differences(rows, rows[1:], ("id",))
    assert line == "('a',) is missing; 1 in all"
    lines = differences([], rows, ("id",), most=2)
    assert lines == ["('a',) is too much", "('b',) is too much; 8 in all"]
    assert differences(rows, [*rows, rows[0]], ("id",)) == ["('a',) stands 2 times among the found; 1 in all"]


def test_only_named_columns_are_ignored_and_never_the_key():
    assert differences([ROW], [ROW | {"at": "later"}], ("id",), ignored=("at",)) == []
    with pytest.raises(ValueError, match="key"):
        differences([ROW], [ROW], ("id",), ignored=("id",))
    with pytest.raises(ValueError, match="name"):
        differences([ROW], [ROW], ("name",))


@given(st.floats(-1e6, 1e6), st.floats(-3, 3))
def test_tolerance_is_the_columns_own(value, factor):
    """Within 1e-6 of the value, or of 1, and no further; also in arrays and structs."""
    allowed = 1e-6 * max(1.0, abs(value))
    other = value + factor * allowed
    close = math.isclose(value, other, rel_tol=1e-6, abs_tol=1e-6)
    if abs(factor) < 0.9 or abs(factor) > 1.1:
        assert close == (abs(factor) < 1)
    for wrap in (lambda x: x, lambda x: [x], lambda x: {"x": [x]}):
        one, two = [{"id": 1, "v": wrap(value), "w": 0}], [{"id": 1, "v": wrap(other), "w": 0}]
        assert (differences(one, two, ("id",), {"v": 1e-6}) == []) == close
        assert (differences(one, two, ("id",), {"w": 1e-6}) == []) == (value == other)
