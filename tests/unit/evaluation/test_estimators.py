"""Estimators against hand-computed values, closed forms, an outside implementation by loops, and simulated worlds."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from keyart.evaluation.estimators import (
    ESTIMATORS,
    Layout,
    Moments,
    difference,
    effective_size,
    effective_takes,
    importance_weights,
    interval,
    lift,
    mean_weight,
    member_sums,
    standard_error,
)

ONE = Layout(("new",), ("reward",))
TWO = Layout(("new", "old"), ("reward",))


def moments_of(layout, members, weights, reward, served=None, expected=None):
    n = len(members)
    served = np.zeros(n) if served is None else served
    expected = {t: np.zeros(n) for t in layout.targets} if expected is None else expected
    rows = layout.rows(
        weights, {"reward": reward}, {"reward": served}, {(t, "reward"): expected[t] for t in layout.targets}
    )
    return Moments.of(member_sums(rows, members))


# Four decisions of three members; propensities 1/2, 1/4, 1/4, 1/2; the target shows what was served in 1, 2 and 4.
MEMBERS = np.array([5, 5, 7, 9])
PROPENSITY = np.array([0.5, 0.25, 0.25, 0.5])
WEIGHTS = importance_weights(np.array([1, 1, 0, 1]), PROPENSITY)
REWARD = np.array([1.0, 0.5, 1.0, 0.0])
SERVED = np.array([0.4, 0.2, 0.5, 0.1])
EXPECTED = np.array([0.4, 0.2, 0.3, 0.1])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ips", (2 * 1 + 4 * 0.5) / 4),
        ("snips", (2 * 1 + 4 * 0.5) / (2 + 4 + 2)),
        ("dm", (0.4 + 0.2 + 0.3 + 0.1) / 4),
        ("dr", (1.0 + 2 * 0.6 + 4 * 0.3 + 2 * -0.1) / 4),
        ("sndr", 1.0 / 4 + (2 * 0.6 + 4 * 0.3 + 2 * -0.1) / 8),
        ("replay", (1.0 + 0.5 + 0.0) / 3),
        ("clipped", (2 * 1 + 3 * 0.5) / 4),
        ("switch", (1.0 + 2 * 0.6 + 2 * -0.1) / 4),
    ],
)
def test_by_hand(name, value):
    rows = ONE.rows(
        {"new": WEIGHTS}, {"reward": REWARD}, {"reward": SERVED}, {("new", "reward"): EXPECTED}, PROPENSITY, 3.0, 3.0
    )
    moments = Moments.of(member_sums(rows, MEMBERS))
    assert ESTIMATORS[name](moments, ONE, "new", "reward").value == pytest.approx(value)
    assert moments.members == 3
    assert effective_size(moments, ONE, "new") == pytest.approx(8**2 / (4 + 16 + 4))
    assert mean_weight(moments, ONE, "new").value == pytest.approx(2.0)


def test_clipped_weights_by_hand():
    clipped = importance_weights(np.array([1, 1, 0, 1]), np.array([0.5, 0.25, 0.25, 0.5]), largest=3.0)
    moments = moments_of(ONE, MEMBERS, {"new": clipped}, REWARD)
    assert ESTIMATORS["ips"](moments, ONE, "new", "reward").value == pytest.approx((2 + 3 * 0.5) / 4)


@pytest.mark.parametrize("propensity", [0.0, -0.1, 1.5, np.nan])
def test_impossible_propensities_are_refused(propensity):
    with pytest.raises(ValueError, match="propensity"):
        importance_weights(np.ones(1), np.array([propensity]))


def test_one_decision_a_member_is_the_textbook_interval():
    rng = np.random.default_rng(3)
    reward = rng.random(500)
    moments = moments_of(ONE, np.arange(500), {"new": np.ones(500)}, reward)
    found = ESTIMATORS["ips"](moments, ONE, "new", "reward")
    error = reward.std(ddof=1) / np.sqrt(500)
    assert standard_error(found, moments) == pytest.approx(error)
    low, high = interval(found, moments, 0.99)
    assert (high - low) / 2 == pytest.approx(2.5758293 * error)


def test_errors_are_scipys_and_the_sandwichs():
    """One decision a member: scipy's standard error and interval. Clusters: Liang and Zeger 1986 with M / (M - 1)."""
    rng = np.random.default_rng(5)
    values, weights = rng.random(300), rng.gamma(2.0, size=300)
    moments = moments_of(ONE, np.arange(300), {"new": np.ones(300)}, values)
    found = ESTIMATORS["ips"](moments, ONE, "new", "reward")
    assert standard_error(found, moments) == pytest.approx(stats.sem(values), rel=1e-9)
    expected = stats.norm.interval(0.9, values.mean(), stats.sem(values))
    np.testing.assert_allclose(interval(found, moments, 0.9), expected, rtol=1e-9)
    members = rng.integers(0, 40, 300)
    moments = moments_of(ONE, members, {"new": weights}, values)
    found = ESTIMATORS["snips"](moments, ONE, "new", "reward")
    scores = np.bincount(members, weights * (values - np.average(values, weights=weights)))
    sandwich = np.sqrt((scores**2).sum() * 40 / 39) / weights.sum()
    assert standard_error(found, moments) == pytest.approx(sandwich, rel=1e-9)


def test_repeating_each_members_decision_adds_no_information():
    rng = np.random.default_rng(4)
    reward, weights = rng.random(300), rng.random(300) + 0.5
    once = moments_of(ONE, np.arange(300), {"new": weights}, reward)
    often = moments_of(ONE, np.repeat(np.arange(300), 7), {"new": np.repeat(weights, 7)}, np.repeat(reward, 7))
    for name in ("ips", "snips"):
        one, many = (ESTIMATORS[name](m, ONE, "new", "reward") for m in (once, often))
        assert many.value == pytest.approx(one.value)
        assert standard_error(many, often) == pytest.approx(standard_error(one, once))


def test_moments_add_up_whatever_the_split():
    rng = np.random.default_rng(6)
    rows, members = rng.normal(size=(200, 4)), rng.integers(0, 30, 200)
    sums = member_sums(rows, members)
    for m, code in enumerate(np.unique(members)):
        np.testing.assert_allclose(sums[m], rows[members == code].sum(axis=0))
    whole, parts = Moments.of(sums), Moments.of(sums[:11]) + Moments.of(sums[11:])
    assert parts.members == whole.members
    np.testing.assert_allclose(parts.covariance(), whole.covariance())


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000))
def test_gradients_are_derivatives(seed):
    rng = np.random.default_rng(seed)
    n = 40
    weights = {t: rng.random(n) + 0.1 for t in TWO.targets}
    moments = moments_of(
        TWO, rng.integers(0, 12, n), weights, rng.random(n), rng.random(n), {t: rng.random(n) for t in TWO.targets}
    )

    def values(m):
        found = {name: [e(m, TWO, t, "reward") for t in TWO.targets] for name, e in ESTIMATORS.items()}
        return [f for pair in found.values() for f in (*pair, difference(*pair), lift(*pair))]

    step = 1e-6
    for j in range(len(moments.sums)):
        shift = np.zeros_like(moments.sums)
        shift[j] = step
        up = values(Moments(moments.members, moments.sums + shift, moments.products))
        down = values(Moments(moments.members, moments.sums - shift, moments.products))
        for f, a, b in zip(values(moments), up, down, strict=True):
            assert f.gradient[j] == pytest.approx((a.value - b.value) / (2 * step), abs=1e-6, rel=1e-4)


def world(seed: int, members: int = 400, artworks: int = 4):
    """Members with tastes and appetites of their own: rewards depend on both, decisions of a member hang together."""
    rng = np.random.default_rng(seed)
    n = members * 6
    member = np.repeat(np.arange(members), 6)
    taste = rng.integers(0, artworks, members)[member]
    appetite = rng.gamma(2.0, 0.05, members)[member]
    logging = np.array([0.4, 0.3, 0.2, 0.1])
    served = rng.choice(artworks, n, p=logging)
    mean = np.minimum(appetite[:, None] * (1 + (np.arange(artworks) == taste[:, None])), 1)
    reward = (rng.random(n) < mean[np.arange(n), served]) * 0.8
    new, old = taste, np.zeros(n, dtype=int)
    weights = {t: importance_weights(served == c, logging[served]) for t, c in (("new", new), ("old", old))}
    q = np.full((n, artworks), 0.08) + 0.04 * np.eye(artworks)[taste]  # a model that is roughly right
    rows = np.arange(n)
    expected = {"new": q[rows, new], "old": q[rows, old]}
    truth = {"new": mean[rows, new].mean() * 0.8, "old": mean[rows, old].mean() * 0.8}
    return moments_of(TWO, member, weights, reward, q[rows, served], expected), truth


@pytest.fixture(scope="module")
def worlds():
    return [world(seed) for seed in range(400)]


@pytest.fixture(scope="module")
def limit():
    """What each behaviour is worth in the population: appetite averages 0.1, a match doubles it (clipped at 1)."""
    found = [world(10_000 + seed, members=4000)[1] for seed in range(20)]
    return {t: float(np.mean([truth[t] for truth in found])) for t in TWO.targets}


@pytest.mark.parametrize("name", ["ips", "snips", "dr", "sndr"])
def test_unbiased_and_its_interval_covers(worlds, limit, name):
    found = [(ESTIMATORS[name](m, TWO, "new", "reward"), m) for m, _ in worlds]
    values = np.array([f.value for f, _ in found])
    assert abs(values.mean() - limit["new"]) < 4 * values.std() / np.sqrt(len(values))
    errors = np.array([standard_error(f, m) for f, m in found])
    assert errors.mean() == pytest.approx(values.std(), rel=0.15)
    covered = [low <= limit["new"] <= high for low, high in (interval(f, m) for f, m in found)]
    assert 0.91 <= np.mean(covered) <= 0.985


@pytest.mark.parametrize("name", ["snips", "dr"])
def test_paired_lift_covers(worlds, limit, name):
    truth = limit["new"] / limit["old"] - 1
    covered, paired, apart = [], [], []
    for m, _ in worlds:
        new, old = (ESTIMATORS[name](m, TWO, t, "reward") for t in TWO.targets)
        low, high = interval(lift(new, old), m)
        covered.append(low <= truth <= high)
        paired.append(standard_error(difference(new, old), m))
        apart.append(np.hypot(standard_error(new, m), standard_error(old, m)))
    assert 0.91 <= np.mean(covered) <= 0.985
    # Both share the members' appetites: pairing must not be worse than pretending they are independent.
    assert np.mean(paired) < 1.02 * np.mean(apart)


def test_doubly_robust_is_tighter_where_the_model_knows_the_level():
    rng = np.random.default_rng(8)
    n = 4000
    weights = {"new": importance_weights(rng.random(n) < 0.25, np.full(n, 0.25))}
    level = np.repeat(rng.random(400), 10)
    reward = level + rng.normal(0, 0.05, n)
    moments = moments_of(ONE, np.repeat(np.arange(400), 10), weights, reward, level, {"new": level})
    ips, dr = (standard_error(ESTIMATORS[e](moments, ONE, "new", "reward"), moments) for e in ("ips", "dr"))
    # What is left to dr is how members differ; ips also pays for the draw.
    assert dr == pytest.approx(np.sqrt(1 / 12 / 400), rel=0.1)
    assert dr < 0.75 * ips


def test_without_agreement_there_is_no_estimate():
    moments = moments_of(ONE, MEMBERS, {"new": np.zeros(4)}, REWARD)
    assert np.isnan(ESTIMATORS["snips"](moments, ONE, "new", "reward").value)
    assert ESTIMATORS["ips"](moments, ONE, "new", "reward").value == 0
    assert effective_size(moments, ONE, "new") == 0


def test_one_member_has_no_interval():
    moments = moments_of(ONE, np.zeros(4, int), {"new": WEIGHTS}, REWARD)
    assert np.isnan(interval(ESTIMATORS["ips"](moments, ONE, "new", "reward"), moments)).all()


@pytest.mark.shared
def test_real_bandit_log(shared):
    """Open Bandit Data, logged at random: the random policy is worth its click rate, one item what that item got."""
    with open(shared / "data" / "obd" / "random" / "men.csv") as file:
        log = [
            (int(r["item_id"]), int(r["position"]), int(r["click"]), float(r["propensity_score"]))
            for r in csv.DictReader(file)
        ]
    item, position, click, propensity = map(np.array, zip(*log, strict=True))
    assert len(log) == 10_000
    members = np.arange(len(log))
    weights = {
        "new": importance_weights(np.full(len(log), 1 / 34), propensity),
        "old": importance_weights(item == 14, propensity),
    }
    moments = moments_of(TWO, members, weights, click.astype(float))
    for name in ("ips", "snips"):
        found = ESTIMATORS[name](moments, TWO, "new", "reward")
        assert found.value == pytest.approx(click.mean())
        assert standard_error(found, moments) == pytest.approx(click.std(ddof=1) / np.sqrt(len(log)), rel=1e-3)
    assert ESTIMATORS["snips"](moments, TWO, "old", "reward").value == pytest.approx(click[item == 14].mean())
    assert effective_size(moments, TWO, "old") == pytest.approx((item == 14).sum())
    assert set(position) == {1, 2, 3}


def test_takes_of_alike_weight():
    """Of constant weights k in a share 1/k of the decisions: the takes that agree; skewness is that of the closed
    form."""
    layout = Layout(("new",), ("take",))
    w = np.repeat([0.0, 4.0], [300, 100])
    none = {("new", "take"): np.zeros(400)}
    rows = layout.rows({"new": w}, {"take": np.zeros(400)}, {"take": np.zeros(400)}, none)
    assert effective_takes(Moments.of(rows), layout, "new", 0.05) == pytest.approx(0.05 * 100)
    rng = np.random.default_rng(3)
    w = rng.gamma(1.0, 1.0, 4000)
    rows = layout.rows(
        {"new": w}, {"take": np.zeros(4000)}, {"take": np.zeros(4000)}, {("new", "take"): np.zeros(4000)}
    )
    # Sums of w x Poisson(rate) have third cumulant rate sum w^3 and variance rate sum w^2.
    skewness = 0.05 * (w**3).sum() / (0.05 * (w**2).sum()) ** 1.5
    found = effective_takes(Moments.of(rows), layout, "new", 0.05)
    assert found == pytest.approx(1 / skewness**2)
    assert found < 0.05 * effective_size(Moments.of(rows), layout, "new")


@pytest.mark.parametrize(("takes", "least"), [(15, 0.93), (40, 0.94)])
def test_few_takes_cost_coverage_as_hall_says(takes, least):
    """Exact coverage of the normal interval of a Poisson count, averaged over means around ``takes``: the discreteness
    of one mean is not what weighted sums have. The expansion is 0.95 - 0.23 / takes."""
    means = np.linspace(0.8 * takes, 1.2 * takes, 401)
    count = np.arange(1, 6 * takes)
    inside = np.abs(count[None, :] - means[:, None]) <= 1.959964 * np.sqrt(count)
    covered = (stats.poisson.pmf(count[None, :], means[:, None]) * inside).sum(axis=1).mean()
    assert covered == pytest.approx(0.95 - 0.2314 / takes, abs=0.004)
    assert covered > least
