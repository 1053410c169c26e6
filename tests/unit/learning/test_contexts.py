"""Weights of devices and parts of the day: held against a reference fit, simulated coverage, and worlds without any."""

from itertools import product

import numpy as np
import pytest
from scipy.optimize import minimize

from keyart.learning.contexts import (
    Contexts,
    _slopes,
    choose_contexts,
    context_sums,
    fit_contexts,
    late_gain,
)
from keyart.learning.coordinates import centred_within
from keyart.learning.offset import Offset
from keyart.learning.response import Base
from keyart.learning.variances import PRIOR_SD
from keyart.seeding import rng

CONTEXTS = Contexts(("phone", "tablet", "tv"), ("evening", "morning"))
TITLES, EACH, WIDTH = 60, 5, 3
TITLE_INDEX = np.repeat(np.arange(TITLES), EACH)
FEATURES = centred_within(rng(1, "features").normal(size=(TITLES * EACH, WIDTH)), TITLE_INDEX)


def world(name, size, device=0.0, part=0.0, days=1.0):
    """Counts of Poisson, what was expected but for the contexts, and the weights (K, P) behind them."""
    random = rng(2, name)
    weights = np.concatenate([random.normal(0, device, (3, WIDTH)), random.normal(0, part, (2, WIDTH))])
    share = np.multiply.outer([0.5, 0.1, 0.4], [0.7, 0.3]).ravel()
    usual = size * share[:, None] * random.gamma(1.0, size=TITLES * EACH) * days
    # Phones take some titles more, whatever they look like: no artwork's doing.
    liking = np.exp(random.normal(0, 0.7, (6, TITLES)))[:, TITLE_INDEX]
    rates = usual * liking * np.exp(CONTEXTS.design @ weights @ FEATURES.T)
    return random.poisson(rates).astype(float), usual, weights


def centred(weights, seen):
    """The weights against what contexts have in common, as often as they took."""
    share = seen.sum(axis=1) @ CONTEXTS.design
    parts = [
        weights[:3] - share[:3] @ weights[:3] / share[:3].sum(),
        weights[3:] - share[3:] @ weights[3:] / share[3:].sum(),
    ]
    return np.concatenate(parts)


def log_likelihood(flat, design, seen, expected):
    """By title and context, by hand."""
    pulls, found = design @ flat.reshape(-1, WIDTH) @ FEATURES.T, 0.0
    for g, t in product(range(len(seen)), range(TITLES)):
        here = t == TITLE_INDEX
        shares = expected[g, here] * np.exp(pulls[g, here])
        found += np.sum(seen[g, here] * np.log(shares / shares.sum()))
    return found


def test_slopes_are_those_of_the_likelihood():
    seen, expected, _ = world("slopes", 2.0, 0.5, 0.3)
    at = rng(3, "at").normal(0, 0.3, 5 * WIDTH)
    design = CONTEXTS.design
    gradient, hessian = _slopes(seen, expected, design, design @ at.reshape(-1, WIDTH), FEATURES, TITLE_INDEX)
    steps = np.eye(len(at)) * 1e-5
    numeric = [
        (log_likelihood(at + step, design, seen, expected) - log_likelihood(at - step, design, seen, expected)) / 2e-5
        for step in steps
    ]
    np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-3)
    moved = [
        _slopes(seen, expected, design, design @ (at + step).reshape(-1, WIDTH), FEATURES, TITLE_INDEX)[0]
        - _slopes(seen, expected, design, design @ (at - step).reshape(-1, WIDTH), FEATURES, TITLE_INDEX)[0]
        for step in steps
    ]
    np.testing.assert_allclose(-hessian, np.array(moved) / 2e-5, rtol=1e-4, atol=1e-2)


def test_with_much_to_go_by_weights_are_the_most_likely_ones():
    """Where the prior has nothing to say any more, against a general optimiser."""
    seen, expected, _ = world("reference", 100.0, 0.4, 0.2)
    found = fit_contexts(seen, expected, CONTEXTS, FEATURES, TITLE_INDEX)
    share = seen.sum(axis=1) @ CONTEXTS.design
    centring = np.eye(5)
    centring[:3, :3] -= share[:3] / share[:3].sum()
    centring[3:, 3:] -= share[3:] / share[3:].sum()
    design = np.hstack([np.ones((6, 1)), CONTEXTS.design])

    def loss(flat):
        return -log_likelihood(flat, design, seen, expected) / 1000

    best = minimize(loss, np.zeros(6 * WIDTH), method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-14}).x
    np.testing.assert_allclose(found.mean, centring @ best.reshape(-1, WIDTH)[1:], atol=0.01)
    assert np.abs(found.mean).max() > 0.3


def test_intervals_cover_what_was_planted():
    """95% of worlds drawn from the prior, whatever their devices and parts do."""
    inside = []
    for number in range(100):
        device, part = rng(5, f"sds {number}").exponential(PRIOR_SD, 2)
        seen, expected, weights = world(f"coverage {number}", 3.0, device, part)
        found = fit_contexts(seen, expected, CONTEXTS, FEATURES, TITLE_INDEX)
        sd = found.arrays(np.eye(WIDTH))["context_features_sd"]
        inside.append(np.abs(found.mean - centred(weights, seen)) < 1.96 * sd)
    assert 0.93 < np.mean(inside) < 0.97


def test_contexts_that_do_nothing_are_not_claimed():
    claimed, scores = 0, []
    for number in range(60):
        halves = [world(f"nothing {number} {half}", 1.0)[:2] for half in range(2)]
        sums = np.array([[seen, expected, expected] for seen, expected in halves])
        effects, metrics = choose_contexts(sums, CONTEXTS, FEATURES, TITLE_INDEX)
        claimed += effects is not None
        scores.append(metrics["context_score"])
    assert claimed == 0
    assert abs(np.mean(scores)) < 0.3 and 0.7 < np.std(scores) < 1.35  # as if by chance: mean 0, sd 1


def test_contexts_that_matter_are_claimed_and_learned_from_all_days():
    early, expected, weights = world("matter", 3.0, 0.4, 0.3)
    late = rng(9, "late").poisson(expected * np.exp(CONTEXTS.design @ weights @ FEATURES.T)).astype(float)
    sums = np.array([[early, expected, expected], [late, expected, expected]])
    effects, metrics = choose_contexts(sums, CONTEXTS, FEATURES, TITLE_INDEX)
    assert metrics["context_score"] > 10 and metrics["validation_context_gain"] > 0
    both = fit_contexts(early + late, 2 * expected, CONTEXTS, FEATURES, TITLE_INDEX)
    np.testing.assert_array_equal(effects.mean, both.mean)
    assert np.corrcoef(effects.mean.ravel(), centred(weights, early).ravel())[0, 1] > 0.95
    half = fit_contexts(early, expected, CONTEXTS, FEATURES, TITLE_INDEX)
    by_hand = sum(
        log_likelihood(flat, CONTEXTS.design, late, expected) * sign
        for flat, sign in ((half.mean.ravel(), 1), (np.zeros(5 * WIDTH), -1))
    )
    assert metrics["validation_context_gain"] == pytest.approx(by_hand)
    assert late_gain(half, late, expected, CONTEXTS, FEATURES, TITLE_INDEX) == pytest.approx(by_hand)


def test_an_effect_that_does_not_last_is_not_claimed():
    early, expected, weights = world("turns", 3.0, 0.4, 0.3)
    turned = rng(9, "turned").poisson(expected * np.exp(-CONTEXTS.design @ weights @ FEATURES.T)).astype(float)
    sums = np.array([[early, expected, expected], [turned, expected, expected]])
    effects, metrics = choose_contexts(sums, CONTEXTS, FEATURES, TITLE_INDEX)
    assert effects is None and metrics["validation_context_gain"] < 0 and metrics["context_score"] > 10


def test_what_all_contexts_share_is_the_regions_not_a_devices():
    """A look that everyone likes beyond what was expected, shown on all devices alike."""
    random = rng(4, "shared")
    usual = 3.0 * np.multiply.outer(np.ones(6), random.gamma(1.0, size=TITLES * EACH))
    seen = random.poisson(usual * np.exp(FEATURES @ [0.5, -0.5, 0.3])).astype(float)
    found = fit_contexts(seen, usual, CONTEXTS, FEATURES, TITLE_INDEX)
    assert found.score < 4 and np.abs(found.mean).max() < 0.1


def test_weighted_counts_and_places_nobody_saw_stay_finite():
    seen, expected, _ = world("weighted", 2.0, 0.4)
    weight = 3.0
    expected[4] = seen[4] = 0
    expected[:, :EACH] = seen[:, :EACH] = 0
    plain = fit_contexts(seen, expected, CONTEXTS, FEATURES, TITLE_INDEX)
    half = np.array([weight * seen, weight * expected, weight**2 * expected]) / 2
    effects, _ = choose_contexts(np.array([half, half]), CONTEXTS, FEATURES, TITLE_INDEX)
    assert np.isfinite(plain.mean).all() and np.isfinite(effects.mean).all()
    np.testing.assert_allclose(effects.mean, plain.mean, atol=1e-6)  # three times the weight says no more


def test_sums_of_a_block_by_hand():
    offset = Offset(np.array([-1.0, 0.5]), np.zeros(1), np.zeros(2))
    base = Base(offset, np.zeros(1), np.ones(1), 2, 2)  # one title in two regions, two artworks
    block = {
        "context": np.array([0, 1, -1, 1, 0]), "late": np.array([0, 0, 0, 1, 0], dtype=bool),
        "group": np.array([0, 1, 0, 1, 0]), "take": np.array([1, 0, 1, 1, 0]), "weight": np.array([2.0, 1, 1, 0.5, 1]),
        "combination": np.array([0, 1, 0, 0, 0]), "artwork": np.array([0, 1]), "covariates": np.zeros((5, 1)),
    }  # fmt: skip
    effects = np.array([[0.1, 0.2], [0.3, 0.4]])
    found = context_sums(block, base, effects, 2)["contexts"]
    low, high = 1 / (1 + np.exp(1.0)), 1 / (1 + np.exp(-0.5))
    expected = np.zeros((2, 3, 2, 2))
    expected[0, :, 0, 0] = 2.0, (2 + 1) * low * np.exp(0.1), (4 + 1) * low * np.exp(0.1)
    expected[0, :, 1, 1] = 0.0, high * np.exp(0.4), high * np.exp(0.4)
    expected[1, :, 1, 0] = 0.5, 0.5 * high * np.exp(0.3), 0.25 * high * np.exp(0.3)
    np.testing.assert_allclose(found, expected)


def test_places_are_those_of_the_design():
    assert len(CONTEXTS) == 6 and CONTEXTS.design.shape == (6, 5)
    assert CONTEXTS.design[3].tolist() == [0, 1, 0, 0, 1]  # tablet, morning
    assert len(Contexts()) == 0 and Contexts().design.shape == (0, 0)
