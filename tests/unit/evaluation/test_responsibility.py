"""Responsibility by hand on a few decisions, by loops, and by simulation for intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import jensenshannon

from keyart.errors import ConfigError
from keyart.evaluation import concentration as c
from keyart.evaluation.estimators import Moments
from keyart.evaluation.measures import Findings, Pictures, breaches, limits_of, measure_rows
from keyart.evaluation.responsibility import (
    COLUMNS,
    Catalogue,
    Shown,
    calibration,
    divergence,
    entropy,
    gap,
    measure,
    member_figures,
)

# Two members; titles 0 (drama) and 1 (drama and crime); artworks 0, 1 of title 0 and 2, 3 of title 1.
CATALOGUE = Catalogue(
    look=np.array([0, 1, 0, 1]),
    role=np.array([1, 2, 0, 2]),
    genres=np.array([[1.0, 0.0], [0.5, 0.5]]),
    prominence=np.array([1.0, 0.2, np.nan, 0.4]),
)
SHOWN = Shown(
    member=np.array([0, 0, 0, 1]),
    late=np.array([False, False, True, True]),
    title=np.array([0, 1, 0, 1]),
    served=np.array([0, 3, 1, 2]),
    place=np.array([0, 1, 1, 0]),
    previous=np.array([-1, -1, 0, -1]),
    propensity=np.array([0.5, 0.25, 0.5, 0.75]),
    offsets=np.array([0, 2, 4, 6, 8]),
    candidates=np.array([0, 1, 2, 3, 0, 1, 2, 3]),
    take=np.array([1.0, 0.0, 1.0, 1.0]),
    abandoned=np.array([0.0, 0.0, 1.0, 0.0]),
    reward=np.array([0.5, 0.0, 0.1, 0.9]),
)
LOGGED = np.array([0.5, 0.5, 0.75, 0.25, 0.5, 0.5, 0.75, 0.25])
BRIGHT = np.array([1.0, 0, 1, 0, 1, 0, 1, 0])  # always the first artwork, of look 0


def amounts(most):
    """None, or enough that a sum's half is not rounded away."""
    return st.floats(0, most).map(lambda amount: amount if amount > 1e-9 else 0.0)


def figures(probabilities):
    return [dict(zip(COLUMNS, row, strict=True)) for row in member_figures(SHOWN, probabilities, CATALOGUE)]


def test_figures_by_hand():
    first, second = figures(LOGGED)
    assert first["look_entropy"] == pytest.approx(entropy(np.array([[1.75, 1.25]]))[0])
    assert first["genre_entropy"] == pytest.approx(entropy(np.array([[2.5, 0.5]]))[0])
    assert (first["both_halves"], second["both_halves"]) == (1, 0)
    assert first["look_drift"] == pytest.approx(jensenshannon([1.25, 0.75], [0.5, 0.5], 2) ** 2)
    assert (first["cast"], first["small_roles"]) == pytest.approx((0.5 + 0.5 + 0.25 + 1.0 - 0.0, 0.5 + 0.25 + 0.5))
    assert first["timed"] == pytest.approx(first["cast"])
    assert first["prominence"] == pytest.approx(0.5 * 1.0 + 0.5 * 0.2 + 0.25 * 0.4 + 0.5 * 1.0 + 0.5 * 0.2)
    assert (first["weight"], first["takes"], first["abandoned"]) == pytest.approx((3, 2, 1))
    assert (first["places"], first["swaps"]) == (1, 0.5)
    assert second["reward"] == pytest.approx(0.9)
    one, two = figures(BRIGHT)
    assert (one["look_entropy"], one["look_drift"], one["small_roles"]) == (0, 0, 0)
    assert (one["weight"], one["takes"], one["reward"]) == pytest.approx((2, 2, 1.0))  # served in decision 0 only
    assert one["swaps"] == 0, "the policy shows what the member saw before"
    assert two["takes"] == pytest.approx(1 / 0.75)


@given(hnp.arrays(float, (3, 4), elements=amounts(100)), hnp.arrays(float, (3, 4), elements=amounts(100)))
def test_divergence_is_scipys_and_symmetric(one, other):
    found = divergence(one, other)
    np.testing.assert_allclose(found, divergence(other, one), atol=1e-12)
    assert ((found >= 0) & (found <= 1 + 1e-12)).all()
    assert ((entropy(one) >= 0) & (entropy(one) <= 1 + 1e-12)).all()
    for a, b, value in zip(one, other, found, strict=True):
        if a.sum() > 1e-3 and b.sum() > 1e-3:
            assert value == pytest.approx(jensenshannon(a, b, 2) ** 2, abs=1e-9)


@given(hnp.arrays(float, st.integers(1, 30), elements=amounts(1e3)))
def test_gini_is_the_mean_difference(x):
    pairs = np.abs(x[:, None] - x[None, :]).mean()
    assert c.gini(x) == pytest.approx(pairs / (2 * x.mean()) if x.sum() > 0 else 0.0, abs=1e-9)


def test_variety_of_the_catalogue():
    rng = np.random.default_rng(1)
    features, title = rng.normal(size=(300, 5)), np.arange(300) // 3
    even = np.ones(300)
    assert c.spread(features, even) == pytest.approx(1)
    middle = ((features**2).sum(axis=1) < 3).astype(float)
    assert c.spread(features, middle) < 0.7
    assert c.outlier_share(features, even) == pytest.approx(1)
    assert c.outlier_share(features, middle) == 0
    assert c.coverage(even, title) == 1
    one = (np.arange(300) % 3 == 0).astype(float)
    assert c.coverage(one, title) == pytest.approx(1 / 3)
    copies = np.repeat(features[::3], 3, axis=0)
    copies[:, 0] += np.tile([0, 3, 6], 100)  # each title has other pictures too
    twins = copies.copy()
    twins[150::3] = twins[0:150:3]
    assert c.alike_share(twins, title, one) == 1
    assert c.alike_share(copies, title, one) < 0.9
    assert np.isnan(c.alike_share(features[:3], title[:3], one[:3]))
    assert c.niche_titles(np.array([5, 1, 9, 0]), 0.5).tolist() == [False, True, False, True]


def cluster(rng, members, small):
    """COLUMNS of members whose pictures show small roles with a chance of their own around ``small``."""
    own = np.clip(rng.normal(small, 0.1, members), 0, 1)
    cast = 1 + rng.poisson(6, members)
    column = {"members": np.ones(members), "cast": cast, "small_roles": rng.binomial(cast, own)}
    return np.stack([column.get(name, np.zeros(members)) for name in COLUMNS], axis=1).astype(float)


def test_intervals_cover_and_the_gap_of_equals_is_rarely_found():
    rng = np.random.default_rng(2)
    covered, found = 0, 0
    for _ in range(300):
        groups = {name: Moments.of(cluster(rng, 200, 0.3)) for name in ("SE", "NO", "JP", "IN")}
        _, low, high = measure(groups["SE"], "small_roles")
        covered += low <= 0.3 <= high
        found += gap(groups, "small_roles")[1] > 0
    assert 0.92 * 300 <= covered <= 0.98 * 300
    assert found <= 0.05 * 300 + 12
    groups = {"a": Moments.of(cluster(rng, 2000, 0.2)), "b": Moments.of(cluster(rng, 2000, 0.3))}
    _, low, high = gap(groups, "small_roles")
    assert low < 0.1 < high and low > 0
    assert gap({"a": groups["a"]}, "small_roles") is None


def test_calibration_is_1_where_the_gain_is_as_promised():
    rng = np.random.default_rng(3)
    gain = rng.uniform(0.1, 0.5, 40_000)
    base = 0.2
    own, default = rng.binomial(5, base * np.exp(gain)) / 5, rng.binomial(5, base, 40_000) / 5
    value, low, high = calibration(Moments.of(np.stack([np.ones(40_000), gain, own, default], axis=1)))
    assert low < 1 < high and high - low < 0.2
    half, _, top = calibration(Moments.of(np.stack([np.ones(40_000), 2 * gain, own, default], axis=1)))
    assert top < 0.75 and half == pytest.approx(value / 2)
    assert np.isnan(calibration(Moments.of(np.zeros((5, 4))))[0])


def findings():
    rng = np.random.default_rng(4)
    moments = {
        (b, name): Moments.of(cluster(rng, n, 0.3))
        for b in ("logged", "uniform", "region", "user")
        for name, n in (("*", 400), ("region=SE", 300), ("region=NO", 100), ("region=JP", 3))
    }
    exposure = {b: np.ones(6) for b in ("logged", "uniform", "region")} | {"user": np.array([3.0, 0, 3, 0, 0, 0])}
    exposure["uniform"] = np.array([1.0, 1, 1, 1, 1, 0])  # the last was withdrawn
    takes = {b: np.array([9.0, 1.0]) for b in exposure}
    audience, members = {"SE": 500, "NO": 500}, {"*": 400, "region=SE": 300, "region=NO": 100, "region=JP": 3}
    return Findings(moments, exposure, takes, {}, members, audience)


def test_rows_and_limits():
    rng = np.random.default_rng(5)
    pictures = Pictures(rng.normal(size=(6, 3)), np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 0, 1, 0, 1]),
                        creators=np.array([[1.0, 0.0], [0.5, 0.5]]))  # fmt: skip
    limits = limits_of({"gini": "..0.3", "representation": "0.8..1.25", "small_roles": "0..1"})
    rows = measure_rows(findings(), pictures, limits, 0.5, 50)
    assert {row["segment"] for row in rows} == {"*", "region=SE", "region=NO", "region"}, "3 members are folded in"
    by = {(row["behaviour"], row["measure"], row["segment"]): row for row in rows}
    assert by["user", "gini", "*"]["value"] == pytest.approx(0.6)
    assert by["user", "gini", "*"]["within"] is False and by["uniform", "gini", "*"]["within"] is True
    assert by["user", "look_variety", "*"]["value"] == 0
    assert by["logged", "niche_takes", "*"]["value"] == pytest.approx(0.1)
    assert by["logged", "niche_creator_takes", "*"]["value"] == pytest.approx(0.05)
    assert by["logged", "niche_creator_exposure", "*"]["value"] == pytest.approx(
        2 / 5 / 2
    )  # one of title 1 was withdrawn
    assert by["logged", "creator_gini", "*"]["value"] == pytest.approx(0.45)
    assert by["logged", "representation", "region=SE"]["value"] == pytest.approx(300 / 403 / 0.5)
    assert by["user", "small_roles_gap", "region"]["lower"] is not None
    assert by["user", "small_roles", "*"]["within"] is True
    said = breaches(rows)
    assert [line.split(" is ")[0] for line in said] == ["gini", "representation of region=NO",
                                                       "representation of region=SE"]  # fmt: skip


@pytest.mark.parametrize("said", [{"beauty": "0..1"}, {"gini": "0.5"}, {"gini": "low..high"}])
def test_a_limit_that_cannot_be_read_is_named(said):
    with pytest.raises(ConfigError, match=r"responsibility\.limits"):
        limits_of(said)


def test_screen_time_says_who_is_a_lead():
    """Counting artworks, both people are main; on screen the second is seen for a fifth of the lead's time."""
    clusters, titles = [[0], [1], [1], [0], []], ["t"] * 5
    share = c.prominence(clusters, [[0.5], [0.1], [0.1], [0.5], None], titles)
    np.testing.assert_allclose(share, [1.0, 0.2, 0.2, 1.0, np.nan])
    assert c.roles(clusters, titles).tolist() == [1, 1, 1, 1, 0]
    assert c.roles(clusters, titles, share).tolist() == [1, 2, 2, 1, 0]
    unknown = c.prominence(clusters, [None] * 5, titles)
    assert c.roles(clusters, titles, unknown).tolist() == [1, 1, 1, 1, 0]


def test_nobody_says_who_the_creators_are():
    pictures = Pictures(np.eye(6), np.array([0, 0, 0, 1, 1, 1]), np.zeros(6, int), np.zeros((2, 0)))
    assert not {row["measure"] for row in measure_rows(findings(), pictures, {}, 0.5, 50)} & {
        "niche_creator_takes", "niche_creator_exposure", "creator_gini"
    }  # fmt: skip
