"""Artworks that stay: draws by periods staggered by member, and choices kept unless the gain is large."""

from collections import Counter
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from keyart import seeding
from keyart.policy.assignment import Overrides
from keyart.policy.exploration import Softmax, draw, hashed_uniforms
from keyart.policy.resolve import ArtworkResolver
from keyart.policy.specification import Policy
from keyart.policy.staying import drawn_for, same_period, since, stayed

DAY = date(2026, 2, 1)
ROWS = [
    {
        "policy_id": "p", "level": "global", "cell": "*", "context": "*", "title_id": "T", "artwork_id": f"a{i}",
        "mean": mean, "sd": 0.1, "is_default": i == 0, "reason": "",
    }
    for i, mean in enumerate((0.3, 0.1, 0.0))
]  # fmt: skip


def resolver(days: int) -> ArtworkResolver:
    return ArtworkResolver.of(Policy("p", Softmax(0.3), "salt", 0.0, "t", DAY, {}, (), stay_days=days), ROWS)


@given(st.text("0123456789abcdef", min_size=8, max_size=8), st.integers(0, 3000), st.integers(1, 60))
def test_periods_are_as_long_as_they_should_be(user, more, days):
    day = DAY + timedelta(days=more)
    first = since("salt", user, day, days)
    assert first <= day < first + timedelta(days=days)
    assert since("salt", user, first, days) == first
    assert since("salt", user, first - timedelta(days=1), days) == first - timedelta(days=days)
    for other in (first, first + timedelta(days=days)):
        same = since("salt", user, other, days) == first
        assert same_period("salt", [user], other, day, days)[0] == same


def test_borders_are_spread_evenly_over_the_days():
    borders = Counter((since("salt", f"u{i}", DAY, 7) - DAY).days for i in range(7000))
    assert len(borders) == 7 and chisquare(list(borders.values())).pvalue > 1e-4


def test_what_is_served_changes_at_borders_only_and_follows_the_propensities():
    own, days = resolver(7), [DAY + timedelta(days=i) for i in range(28)]
    changes = Counter()
    for i in range(300):
        seen = [own.resolve(f"u{i}", "T", "SE", epoch=day).artwork_id for day in days]
        moved = {day for (_, one), (day, two) in pairwise(zip(days, seen, strict=True)) if one != two}
        assert all(since("salt", f"u{i}", day, 7) == day for day in moved)
        changes.update(moved)
    assert len(changes) > 20  # not all on one day
    served = Counter(own.resolve(f"u{i}", "T", "SE", epoch=DAY).artwork_id for i in range(4000))
    found = own.resolve("u", "T", "SE", epoch=DAY)
    assert chisquare([served[a] for a in found.candidate_set], np.array(found.probabilities) * 4000).pvalue > 1e-4
    again = int(
        draw(np.array(found.probabilities), hashed_uniforms("salt", [("u", "T", since("salt", "u", DAY, 7))])[0])
    )
    assert found.candidate_set[again] == found.artwork_id


def test_a_stay_of_one_day_is_the_draw_of_old():
    assert drawn_for("salt", "u", DAY, 1) == DAY
    number = seeding.uniform("salt", "u", "T", DAY)
    found = resolver(1).resolve("u", "T", "SE", epoch=DAY)
    assert found.candidate_set[int(draw(np.array(found.probabilities), number))] == found.artwork_id
    spec = '{"exploration": {"kind": "best"}, "levels": {"parents": {}}, "minimum_gain": 0, "taste": {"version": "t", "as_of": "2026-02-01"}}'  # noqa: E501
    old = Policy.parse("p", spec, "salt")
    assert old.stay_days == 1 and old.floor.least == 0


@pytest.mark.parametrize("days", [1, 7])
def test_on_continue_watching_nothing_moves_and_propensities_are_the_same(days):
    own = resolver(days)
    for i in range(60):
        user = f"u{i}"
        found = [
            own.resolve(user, "T", "SE", epoch=DAY + timedelta(days=d), surface="continue_watching") for d in range(60)
        ]
        assert len({one.artwork_id for one in found}) == 1
        assert found[0].probabilities == own.resolve(user, "T", "SE", epoch=DAY).probabilities
        assert own.resolve(user, "T", "SE", epoch=DAY, surface="home") == own.resolve(user, "T", "SE", epoch=DAY)
    served = Counter(
        own.resolve(f"u{i}", "T", "SE", epoch=DAY, surface="continue_watching").artwork_id for i in range(4000)
    )
    expected = np.array(found[0].probabilities) * 4000
    assert chisquare([served[a] for a in found[0].candidate_set], expected).pvalue > 1e-4


SIZES = (3, 2)  # artworks of two titles
STARTS = np.array([0, 3])


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_choices_are_kept_as_a_loop_says(seed, most):
    rng = np.random.default_rng(seed)
    members, titles = 6, len(SIZES)
    taste, features = rng.normal(size=(members, 2)), rng.normal(size=(5, 2))
    level, cells = rng.normal(size=(2, 5)), rng.integers(0, 2, members)
    level[rng.integers(0, 2), rng.integers(0, 3)] = -np.inf  # may not be shown in that cell
    of_title = [range(0, 3), range(3, 5)]
    score = level[cells] + taste @ features.T
    default = np.array([[max(of, key=lambda a, c=c: level[c, a]) for of in of_title] for c in (0, 1)])[cells]
    best = np.array([[max(of, key=lambda a, i=i: score[i, a]) for of in of_title] for i in range(members)])
    before = np.stack([rng.integers(-1, 3, members), rng.integers(3, 5, members)], axis=1)
    held = rng.random(members) < 0.7
    who, what = np.nonzero(best != default)
    gain = score[who, best[who, what]] - score[who, default[who, what]]
    fresh = Overrides(who, what, best[who, what], default[who, what], gain)
    found = stayed(fresh, default, before, held, taste, cells, level, features, most)
    shown = default.copy()
    shown[found.member, found.title] = found.artwork
    expected = best.copy()
    for i in range(members):
        for t in range(titles):
            old, new = before[i, t], best[i, t]
            if held[i] and old >= 0 and score[i, new] - score[i, old] <= most:
                expected[i, t] = old
    np.testing.assert_array_equal(shown, expected)
    assert (found.artwork != found.default).all() and (found.gain >= 0).all()
    np.testing.assert_array_equal(found.default, default[found.member, found.title])
    same = found.artwork == best[found.member, found.title]
    promised = score[found.member, found.artwork] - score[found.member, found.default]
    np.testing.assert_allclose(found.gain[same], promised[same], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.gain[~same], np.maximum(promised[~same], 0), rtol=1e-4, atol=1e-6)
