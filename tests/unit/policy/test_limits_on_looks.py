"""Limits that assign-artwork obeys: one look's share of a member's titles, and artworks that mislead."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyart.policy.assignment import Overrides
from keyart.policy.limiting import Limits, cost_of, cost_rows, within_limits, worth_of
from keyart.policy.limits import kept_by_look, misleading


def by_loop(member, gain, look, instead, counts, most):
    """As the docstring says it: by gain, the largest first, while the look has room."""
    counts = counts.copy()
    kept = np.zeros(len(member), dtype=bool)
    for m in range(len(counts)):
        room = most * counts[m].sum()
        for i in sorted((i for i in range(len(member)) if member[i] == m), key=lambda i: (-gain[i], i)):
            if look[i] == instead[i] or counts[m, look[i]] + 1 <= room:
                kept[i] = True
                counts[m, look[i]] += 1
                counts[m, instead[i]] -= 1
    return kept


@given(st.integers(0, 10_000), st.floats(0.1, 1))
def test_overrides_are_let_in_by_gain(seed, most):
    rng = np.random.default_rng(seed)
    members, titles, looks = 4, 6, 3
    default = rng.integers(looks, size=(members, titles))
    chosen = rng.random((members, titles)) < 0.6
    member, title = np.nonzero(chosen)
    look, instead = rng.integers(looks, size=len(member)), default[member, title]
    gain = rng.integers(5, size=len(member)) / 4
    counts = np.stack([np.bincount(row, minlength=looks) for row in default])
    kept = kept_by_look(member, gain, look, instead, counts, most)
    np.testing.assert_array_equal(kept, by_loop(member, gain, look, instead, counts, most))
    shown = default.copy()
    shown[member[kept], title[kept]] = look[kept]
    after = np.stack([np.bincount(row, minlength=looks) for row in shown])
    assert (after <= np.maximum(counts, most * titles)).all()


def test_overrides_keep_their_order_and_the_cost_is_said():
    found = Overrides(
        member=np.array([0, 0, 1]), title=np.array([0, 1, 1]), artwork=np.array([1, 3, 3]),
        default=np.array([0, 2, 2]), gain=np.array([0.2, 0.3, 0.1]),
    )  # fmt: skip
    defaults = np.array([[0, 2], [0, 2]])
    same_look = Limits(0.5, np.array([0, 1, 0, 1]))
    left = within_limits(found, defaults, same_look)
    assert left.member.tolist() == [0, 1] and left.artwork.tolist() == [3, 3]
    assert within_limits(found, defaults, Limits()) is found
    scores = np.log(np.array([[1.0, 1.5, 1.0, 2.0], [1.0, 9.0, 1.0, 1.1]]))
    before, after = (worth_of(scores, defaults, kept) for kept in (found, left))
    assert (before, after) == (pytest.approx(1.5 + 2 + 1 + 1.1), pytest.approx(1 + 2 + 1 + 1.1))
    costs = cost_rows(cost_of(2, found, left, 8.0, before, after), "p", 4, date(2026, 1, 1))
    assert {row["measure"]: row["value"] for row in costs} == {
        "value_lost": pytest.approx(1 - after / 8),
        "value_lost_by_most_abandonment": pytest.approx(1 - before / 8),
        "value_lost_by_most_same_look": pytest.approx(1 - after / before),
        "gain_lost": round(0.2 / 0.6, 10),
        "overrides_lost": round(1 / 3, 10),
        "artworks_withheld": 4,
    }


def test_misleading_needs_evidence():
    takes = np.array([400.0, 400, 400, 5, 400, 0])
    abandoned = np.array([40.0, 160, 60, 4, 40, 0])
    title = np.array([0, 0, 0, 0, 1, 1])
    assert misleading(takes, abandoned, title, 1.5).tolist() == [False, True, False, False, False, False]
    assert not misleading(takes, abandoned, title, 10.0).any()


def test_an_honest_artwork_is_rarely_called_misleading():
    """At exactly the limit, one in a hundred."""
    rng = np.random.default_rng(9)
    title = np.repeat(np.arange(3000), 2)
    takes = np.full(6000, 300.0)
    abandoned = rng.binomial(300, np.tile([0.3, 0.2], 3000)).astype(float)
    called = misleading(takes, abandoned, title, 1.5)[::2]
    assert called.mean() < 0.018
