"""Own artwork only for a member's likeliest titles."""

import numpy as np
import pytest

from keyart.errors import ModelError
from keyart.policy.assignment import Overrides
from keyart.policy.scope import Scope

TITLES = np.array([f"t{t}" for t in range(8)])


def every(members, titles):
    """An override of every member and title."""
    member, title = (grid.ravel() for grid in np.mgrid[:members, :titles])
    return Overrides(member, title, 2 * title + 1, 2 * title, np.full(len(member), 0.1))


def test_the_likeliest_titles_of_each_member_stay():
    rng = np.random.default_rng(1)
    factors, members = rng.normal(size=(8, 3)), rng.normal(size=(20, 5))  # vectors begin with the factors
    scope = Scope.of(3, TITLES, [*TITLES], factors)
    found = scope.within(every(20, 8), members, TITLES)
    expected = np.argsort(-members[:, :3] @ factors.T, axis=1)[:, :3]
    for m in range(20):
        assert set(found.title[found.member == m]) == set(expected[m])
    assert scope.said == ("own artwork for a member's 3 likeliest titles",)


def test_a_title_that_taste_does_not_know_is_nobodys_likely_one():
    titles = np.array(["a", "b", "new"])
    scope = Scope.of(2, titles, ["b", "a"], np.array([[1.0], [2.0]]))
    found = scope.within(every(2, 3), np.array([[1.0], [-1.0]]), titles)
    assert found.title.tolist() == [0, 1, 0, 1]
    # Of a slate without a, b is the likeliest.
    one = Scope.of(1, titles, ["b", "a"], np.array([[1.0], [2.0]])).within(every(1, 2), np.ones((1, 1)), titles[1:])
    assert one.title.tolist() == [0]
    with pytest.raises(ModelError, match="train-taste"):
        Scope.of(2, titles[2:], ["b"], np.ones((1, 1)))


def test_no_scope_leaves_all():
    found = every(2, 3)
    assert Scope().within(found, np.ones((2, 2)), TITLES[:3]) is found and Scope().said == ()
    assert Scope.of(9, TITLES, ["t1"], np.ones((1, 1))).within(found, np.ones((2, 2)), TITLES) is found
