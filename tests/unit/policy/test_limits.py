"""Limits that hold whatever was learned."""

from datetime import date

import numpy as np
import pytest

from keyart.policy.exploration import EpsilonGreedy
from keyart.policy.limits import is_available, is_personalised, masked

MARCH = [("SE", date(2026, 3, 1), date(2026, 4, 1)), ("NO", None, date(2026, 2, 1))]


@pytest.mark.parametrize(
    ("regions", "rights", "region", "day", "may"),
    [
        ([], [], "SE", None, True),
        (["SE"], [], "SE", date(2026, 1, 1), True),
        (["SE"], [], "JP", None, False),
        ([], MARCH, "SE", date(2026, 3, 31), True),
        ([], MARCH, "SE", date(2026, 4, 1), False),
        ([], MARCH, "NO", date(2020, 1, 1), True),
        ([], MARCH, "JP", date(2026, 3, 5), True),
        (["NO"], MARCH, "SE", date(2026, 3, 5), False),
        ([], MARCH, "SE", None, True),
    ],
)
def test_availability(regions, rights, region, day, may):
    assert is_available(regions, rights, region, day) is may


def test_kids_are_never_personalised():
    assert not is_personalised(True)
    assert is_personalised(False)
    assert is_personalised(None)


def test_limits_come_before_the_draw():
    found = EpsilonGreedy(0.1).propensities(masked(np.array([3.0, 1.0, 2.0]), np.array([False, True, True])))
    np.testing.assert_allclose(found, [0, 0.05, 0.95])
