"""Exact propensities, draws that follow them, and draws that anyone can recompute."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import chisquare

from keyart.errors import ConfigError
from keyart.policy.exploration import (
    KINDS,
    Best,
    EpsilonGreedy,
    Softmax,
    Thompson,
    Uniform,
    draw,
    from_spec,
    hashed_uniforms,
    to_spec,
)

POLICIES = [Uniform(), Best(), EpsilonGreedy(0.1), Softmax(0.5), Thompson(16, "salt")]
SCORES = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 5), st.integers(1, 9)),
    elements=st.floats(-5, 5) | st.just(-np.inf),
).map(lambda scores: np.where(np.arange(scores.shape[1]) == 0, np.maximum(scores, 0.0), scores))


def propensities(policy, scores, sd=0.7):
    """Of artworks that are called by their places."""
    noise = policy.noise([str(a) for a in range(scores.shape[-1])])
    return policy.propensities(scores, np.full(scores.shape, sd), noise)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.kind)
@settings(deadline=None)
@given(scores=SCORES)
def test_propensities_are_distributions_over_what_may_be_shown(policy, scores):
    found = propensities(policy, scores)
    assert found.shape == scores.shape
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    assert (found[np.isneginf(scores)] == 0).all()
    assert (found >= 0).all()


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.kind)
@settings(deadline=None)
@given(scores=SCORES)
def test_one_title_has_to_the_last_bit_what_it_has_among_many(policy, scores):
    """A resolver asks for one, assign-artwork for all: there are quicker ways for one."""
    for row, wanted in zip(scores, propensities(policy, scores), strict=True):
        assert propensities(policy, row).tolist() == wanted.tolist()


def test_one_title_is_taken_in_any_layout():
    rng, policy = np.random.default_rng(2), Thompson(16, "salt")
    scores, sds, noise = rng.normal(size=9), rng.random(9), policy.noise([str(a) for a in range(9)])
    wanted = policy.propensities(scores.astype(np.float32).astype(np.float64), sds, noise).tolist()
    spread = np.repeat(scores.astype(np.float32), 3)[::3]
    assert policy.propensities(spread, np.repeat(sds, 2)[::2], np.asfortranarray(noise)).tolist() == wanted


def test_epsilon_greedy_by_hand():
    found = EpsilonGreedy(0.2).propensities(np.array([0.1, 0.7, -np.inf, 0.7]))
    np.testing.assert_allclose(found, [0.2 / 3, 0.2 / 3 + 0.8, 0, 0.2 / 3])  # the first of equals


def test_softmax_by_hand():
    np.testing.assert_allclose(Softmax(2.0).propensities(np.array([0.0, 2 * np.log(3)])), [0.25, 0.75])


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.kind)
def test_a_policy_survives_its_spec(policy):
    assert from_spec(to_spec(policy)) == policy
    assert to_spec(policy)["kind"] in KINDS


@pytest.mark.parametrize(
    "spec",
    [{"kind": "greedy"}, {}, {"kind": "softmax"}, {"kind": "softmax", "temperature": 0.0}, {"kind": "best", "x": 1}],
)
def test_unknown_specs_are_refused(spec):
    with pytest.raises(ConfigError):
        from_spec(spec)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.kind)
def test_nothing_to_show_is_an_error(policy):
    with pytest.raises(ValueError, match="may be shown"):
        propensities(policy, np.array([[0.0, 1.0], [-np.inf, -np.inf]]))


@pytest.fixture(scope="module")
def numbers():
    """A million of what members, titles and a day hash to."""
    return hashed_uniforms("salt", ((f"{i:08x}", f"title-{i % 7}", date(2026, 1, 1)) for i in range(1_000_000)))


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.kind)
def test_a_million_hashed_draws_follow_the_propensities(policy, numbers):
    logged = propensities(policy, np.array([0.3, -0.2, 0.9, -np.inf, 0.1]))
    served = draw(np.broadcast_to(logged, (len(numbers), 5)), numbers)
    counts, shown = np.bincount(served, minlength=5), logged > 0
    assert counts[~shown].sum() == 0
    assert shown.sum() == 1 or chisquare(counts[shown], len(numbers) * logged[shown]).pvalue > 1e-4


def test_thompson_serves_as_often_as_an_artwork_is_best_under_the_posterior():
    means, sds, policy = np.array([0.1, 0.0, -0.1]), np.array([0.1, 0.3, 0.01]), Thompson(4096, "seed")
    found = policy.propensities(means, sds, policy.noise(["a", "b", "c"]))
    drawn = np.random.default_rng(1).normal(means, sds, (1_000_000, 3)).argmax(axis=1)
    np.testing.assert_allclose(found, np.bincount(drawn, minlength=3) / len(drawn), atol=4 * 0.5 / 4096**0.5)
    np.testing.assert_array_equal(found * 4096, np.round(found * 4096))


def test_thompsons_draws_belong_to_the_artwork_and_the_seed():
    policy = Thompson(64, "seed")
    noise = policy.noise(["a", "b"])
    np.testing.assert_array_equal(policy.noise(["b"])[0], noise[1])
    assert not np.array_equal(Thompson(64, "other").noise(["a"])[0], noise[0])
    np.testing.assert_allclose(
        noise[0, :2], [-1.048073827638956, 2.07633907279722]
    )  # whoever holds a log relies on these
    certain = policy.propensities(np.array([0.1, 0.1]), np.zeros(2), noise)
    assert certain.tolist() == [1.0, 0.0]  # the first of equals
    with pytest.raises(ValueError, match="sds"):
        policy.propensities(np.zeros(2))


def test_draws_of_different_titles_and_days_are_independent():
    n = 20_000
    one = hashed_uniforms("salt", ((str(i), "a", "2026-01-01") for i in range(n)))
    for other in (("b", "2026-01-01"), ("a", "2026-01-02")):
        assert abs(np.corrcoef(one, hashed_uniforms("salt", ((str(i), *other) for i in range(n))))[0, 1]) < 0.03
    assert not np.array_equal(one, hashed_uniforms("other", ((str(i), "a", "2026-01-01") for i in range(n))))


@given(
    weights=st.lists(st.integers(0, 1000), min_size=1, max_size=12).filter(lambda w: sum(w) > 0),
    number=st.floats(0, 1, exclude_max=True) | st.sampled_from([0.0, np.nextafter(1, 0)]),
)
def test_a_draw_never_serves_what_has_no_probability(weights, number):
    propensities = np.array(weights) / sum(weights)
    served = int(draw(propensities, number))
    assert propensities[served] > 0
    below = propensities[:served].sum()
    assert below - 1e-12 <= number <= below + propensities[served] + 1e-12


@pytest.mark.parametrize("rule", [Uniform(), Best(), EpsilonGreedy(0.3), EpsilonGreedy(0.05), Softmax(0.2)])
def test_one_row_is_what_it_is_among_many_to_the_last_bit(rule):
    scores = np.random.default_rng(5).normal(size=(500, 7))
    scores[np.random.default_rng(6).random(scores.shape) < 0.3] = -np.inf
    scores = scores[(scores > -np.inf).any(axis=1)]
    many = rule.propensities(scores)
    assert all((rule.propensities(row) == many[i]).all() for i, row in enumerate(scores))
    for bad in (np.array([np.nan, 1.0]), np.array([-np.inf, np.nan]), np.full(3, -np.inf)):
        with pytest.raises(ValueError, match=r"not a number|no artwork"):
            rule.propensities(bad)
