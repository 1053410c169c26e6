import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyart.report.charts import Estimate, film_colour, interval_chart, nice_ticks

FINITE = st.floats(-1e3, 1e3, allow_nan=False)


@given(st.lists(st.tuples(FINITE, FINITE, FINITE), min_size=1, max_size=9))
def test_every_interval_lies_on_the_axis_in_the_order_of_its_values(triples):
    estimates = [Estimate("", *(sorted(t)[i] for i in (1, 0, 2))) for t in triples]
    chart = interval_chart(estimates)
    for bar in chart.bars:
        assert 0 <= bar.left <= bar.point + 1e-2
        assert bar.point <= bar.left + bar.width + 1e-2 <= 100.1
    assert chart.axis.zero is not None


def test_places_are_linear():
    chart = interval_chart([Estimate("a", 0.1), Estimate("b", 0.2), Estimate("c", 0.4)])
    a, b, c = (bar.point for bar in chart.bars)
    assert c - a == pytest.approx(3 * (b - a), abs=0.01)
    assert chart.axis.zero < a


def test_the_sign_is_that_of_the_interval_not_of_the_value():
    rows = [Estimate("", 0.1, 0.02, 0.3), Estimate("", 0.1, -0.1, 0.3), Estimate("", -0.1, -0.2, -0.01)]
    assert [bar.sign for bar in interval_chart(rows).bars] == ["above", "unclear", "below"]


def test_a_refused_estimate_has_no_mark():
    bar, other = interval_chart([Estimate("a", None), Estimate("b", 0.1, math.nan, math.nan)]).bars
    assert bar.point is None and bar.left is None
    assert other.point is not None and other.width is None


@given(FINITE, st.floats(1e-6, 1e3))
def test_ticks_are_round_and_inside(low, span):
    ticks = nice_ticks(low, low + span)
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in ticks)
    assert len(ticks) <= 11


def test_warm_shots_are_redder_than_blue():
    def channels(text: str) -> tuple[int, ...]:
        return tuple(int(text[i : i + 2], 16) for i in (1, 3, 5))

    red, _, blue = channels(film_colour(0.5, 0.1))
    assert red > 128 > blue
    red, _, blue = channels(film_colour(0.5, -0.1))
    assert red < 128 < blue
    assert film_colour(7, 0) == "#ffffff"
