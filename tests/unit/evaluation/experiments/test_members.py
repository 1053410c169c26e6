"""From days to members, and who is where: against hand-computed rows and loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyart import seeding
from keyart.errors import ConfigError
from keyart.evaluation.estimators import Moments
from keyart.evaluation.experiments.members import MemberDays, by_day, exposed_members
from keyart.evaluation.experiments.metrics import COLUMNS, FACTS, METRICS
from keyart.evaluation.experiments.novelty import novelty
from keyart.evaluation.experiments.quantiles import Sketch, grid, quantile_difference
from keyart.evaluation.experiments.randomisation import HOLDOUT, OUTSIDE, Split, hashed
from keyart.evaluation.experiments.stealing import decision_weights, stealing

KEYS = [f"{i:032x}" for i in range(20_000)]


def test_arms_follow_the_hash_and_the_shares():
    split = Split("e", "artwork", "salt", (0.5, 0.3, 0.2), (0.2, 0.8), 0.1)
    arms = split.arms(KEYS)
    assert np.mean(arms == HOLDOUT) == pytest.approx(0.1, abs=0.01)
    inside = arms >= 0
    assert inside.mean() == pytest.approx(0.9 * 0.6, abs=0.015)
    np.testing.assert_allclose(np.bincount(arms[inside]) / inside.sum(), split.shares, atol=0.02)
    for key, arm in zip(KEYS[:200], arms, strict=False):
        layer, own = seeding.uniform("salt", "layer artwork", key), seeding.uniform("salt", "experiment e", key)
        wanted = 0 if own < 0.5 else 1 if own < 0.8 else 2
        wanted = wanted if 0.2 <= layer < 0.8 else OUTSIDE
        assert arm == (HOLDOUT if seeding.uniform("salt", "holdout", key) < 0.1 else wanted)
    np.testing.assert_array_equal(split.arms(KEYS[::-1]), arms[::-1])


def test_one_layer_shares_no_member_and_two_layers_are_independent():
    first = Split("a", "one", "s", (0.5, 0.5), (0.0, 0.5)).arms(KEYS)
    second = Split("b", "one", "s", (0.5, 0.5), (0.5, 1.0)).arms(KEYS)
    other = Split("c", "two", "s", (0.5, 0.5)).arms(KEYS)
    assert not ((first >= 0) & (second >= 0)).any()
    table = np.array([[((first == i) & (other == j)).sum() for j in (0, 1)] for i in (0, 1)])
    assert abs(table[0, 0] * table[1, 1] / (table[0, 1] * table[1, 0]) - 1) < 0.1
    assert hashed("s", "x", KEYS).mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    "change", [{"shares": (1.0,)}, {"shares": (0.5, 0.6)}, {"traffic": (0.5, 0.5)}, {"holdout": 1.0}]
)
def test_an_impossible_split_is_refused(change):
    with pytest.raises(ConfigError):
        Split(**{"experiment_id": "e", "layer": "l", "salt": "s", "shares": (0.5, 0.5), **change})


def days_of(rows, titles):
    """Rows of (member, day, facts by name)."""
    facts = np.array([[row[2].get(name, 0.0) for name in FACTS] for row in rows])
    return MemberDays(np.array([r[0] for r in rows]), np.array([r[1] for r in rows]), facts, np.array(titles, float))


ROWS = [
    (0, 95, {"decisions": 2, "reward": 5, "active_days": 1}),  # before
    (0, 100, {"decisions": 0, "watched": 9, "active_days": 1}),  # in the experiment's days, not exposed yet
    (0, 101, {"decisions": 3, "takes": 1, "reward": 0.5, "watched": 30, "active_days": 1, "weight": 2, "cancels": 0}),
    (0, 103, {"decisions": 0, "watched": 4, "active_days": 1, "cancels": 2}),
    (1, 104, {"decisions": 1, "active_days": 1}),  # exposed on the last day: cannot return
    (2, 99, {"decisions": 7, "active_days": 1}),  # never exposed
    (2, 105, {"decisions": 7, "active_days": 1}),
]


def test_days_become_members():
    exposed = exposed_members(days_of(ROWS, [1, 0, 0]), 100, 105, 7)
    assert exposed.member.tolist() == [0, 1]
    assert exposed.first.tolist() == [101, 104]
    found = [dict(zip(COLUMNS, row, strict=True)) for row in exposed.columns]
    wanted = {"members": 1, "decisions": 3, "takes": 1, "reward": 0.5, "watched": 34, "active_days": 2, "titles": 1}
    wanted |= {"could_return": 1, "returned": 1, "cancelled": 1, "days": 1, "weighted_totals": 1.0, "weight": 2}
    wanted |= {"before_reward": 5, "before_decisions": 2, "before_active_days": 1}
    assert {name: found[0][name] for name in wanted} == wanted
    assert (found[1]["could_return"], found[1]["returned"], found[1]["cancelled"]) == (0, 0, 0)


def test_days_since_exposure():
    days = days_of(ROWS, [1, 0, 0])
    exposed = exposed_members(days, 100, 105, 7)
    minutes = by_day(days, exposed, METRICS["minutes"], 105, 4)
    assert minutes.tolist() == [[30, 0, 4, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 0, 0, 0]]
    fraction = by_day(days, exposed, METRICS["take_fraction"], 105, 2)
    assert fraction.tolist() == [[1, 0, 3, 0], [0, 0, 1, 0]]
    assert by_day(days, exposed, METRICS["return"], 105, 4) is None


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(90, 109), st.integers(0, 3)), min_size=1, max_size=40))
def test_sums_over_members_do_not_depend_on_batches(rows):
    """Whole members in two batches give the moments of one."""
    rows = [(m, day, {"decisions": n, "reward": n / 2, "active_days": 1}) for m, day, n in rows]
    whole = exposed_members(days_of(rows, [0] * 5), 100, 110, 7).columns
    parts = [
        exposed_members(days_of(part, [0] * 5), 100, 110, 7).columns
        for part in ([r for r in rows if r[0] < 2], [r for r in rows if r[0] >= 2])
        if part
    ]
    one, two = Moments.of(whole), Moments.of(np.concatenate(parts))
    np.testing.assert_allclose(one.products, two.products)
    assert one.members == two.members


def test_a_fading_effect_has_a_slope_and_a_steady_one_has_none():
    rng = np.random.default_rng(7)

    def side(effects):
        base = rng.gamma(2, 1.0, (3000, 1))
        y = rng.poisson(base * np.ones((1, 10))) + rng.normal(size=(3000, 10)) + effects
        return Moments.of(np.concatenate([y, np.ones((3000, 10))], axis=1))

    fading = novelty(side(np.zeros(10)), side(0.5 - 0.05 * np.arange(10)))
    assert fading.slope == pytest.approx(-0.05, abs=4 * fading.slope_error)
    assert fading.p_value < 1e-6
    slopes = [novelty(side(np.zeros(10)), side(np.full(10, 0.3))) for _ in range(60)]
    z = [one.slope / one.slope_error for one in slopes]
    assert 0.75 < np.std(z) < 1.3


def test_a_share_of_the_gain_is_stolen():
    """Two titles a day; a favourite adds 0.4 to its own title and takes 0.1 from the other: a quarter is stolen."""
    rng = np.random.default_rng(8)
    n, p = 60_000, 0.7
    favourite = rng.random((n, 2)) < p
    reward = 1 + 0.4 * favourite - 0.1 * favourite[:, ::-1] + rng.normal(size=(n, 2)) + rng.normal(size=(n, 1))
    w = decision_weights(favourite, np.full((n, 2), p))
    columns = {
        "decisions": np.full(n, 2), "days": np.ones(n), "randomised": np.full(n, 2), "weight": w.sum(axis=1),
        "reward": reward.sum(axis=1), "weighted_reward": (w * reward).sum(axis=1),
        "weighted_totals": w.sum(axis=1) * reward.sum(axis=1),
    }  # fmt: skip
    found = stealing(Moments.of(np.stack([columns.get(name, np.zeros(n)) for name in COLUMNS], axis=1)))
    assert found.own == pytest.approx(0.4, abs=4 * found.own_error)
    assert found.total == pytest.approx(0.3, abs=4 * found.total_error)
    assert found.stolen == pytest.approx(0.25, abs=4 * found.stolen_error)
    assert found.total_error < 0.03
    assert decision_weights(np.array([True]), np.array([1.0])).tolist() == [0.0]


def test_quantiles_are_numpys_within_a_step_of_the_grid():
    rng = np.random.default_rng(9)
    values, member = rng.lognormal(3, 1, 5000), rng.integers(0, 900, 5000)
    steps = grid(0.1, 1000, 400)
    whole = Sketch.of(values, member, steps)
    halves = Sketch.of(values[member < 400], member[member < 400], steps) + Sketch.of(
        values[member >= 400], member[member >= 400], steps
    )
    np.testing.assert_allclose(whole.flat(), halves.flat())
    np.testing.assert_allclose(Sketch.unflat(whole.flat()).share(), whole.share())
    for p in (0.1, 0.5, 0.9):
        assert whole.quantile(p, steps) == pytest.approx(np.quantile(values, p), rel=0.025)
        low, high = whole.interval(p, steps)
        assert low < whole.quantile(p, steps) < high


def test_intervals_of_quantiles_know_that_values_cluster():
    """Members' values go together: the clustered interval covers, one for independent values would be half as wide."""
    rng = np.random.default_rng(10)
    steps = grid(0.01, 10_000, 400)
    covered = wide = 0
    for _ in range(150):
        own = np.repeat(rng.normal(size=150), 10)
        values = np.exp(2 + own + 0.5 * rng.normal(size=1500))
        low, high = Sketch.of(values, np.repeat(np.arange(150), 10), steps).interval(0.5, steps)
        covered += low <= np.exp(2) <= high
        alone = Sketch.of(values, np.arange(1500), steps).interval(0.5, steps)
        wide += (high - low) > 1.8 * (alone[1] - alone[0])
    assert covered >= 0.9 * 150
    assert wide > 0.9 * 150


def test_the_difference_of_quantiles_covers():
    rng = np.random.default_rng(11)
    steps = grid(0.01, 10_000, 300)
    hits = 0
    for _ in range(150):
        sides = [Sketch.of(np.exp(2 + s + rng.normal(size=400)), np.arange(400), steps) for s in (0.0, 0.2)]
        _, low, high = quantile_difference(sides[0], sides[1], 0.5, steps)
        hits += low <= np.exp(2.2) - np.exp(2) <= high
    assert hits >= 0.9 * 150
