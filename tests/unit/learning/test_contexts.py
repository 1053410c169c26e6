"""Weights of devices and parts of the day: held against a reference fit, simulated coverage, and worlds without any."""

from itertools import product

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from keyart.learning.contexts import (
    GROUPS,
    Contexts,
    _score_of,
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


def sums_of(halves, seed=6):
    """As ``context_sums``: members' takes fall into the groups at random."""
    found = []
    for number, (seen, expected) in enumerate(halves):
        shares = np.full(GROUPS, 1 / GROUPS)
        groups = rng(seed, f"groups {number}").multinomial(seen.astype(int), shares)
        found.append([*np.moveaxis(groups, -1, 0), expected, expected])
    return np.array(found, dtype=np.float32)


def test_contexts_that_do_nothing_are_not_claimed():
    claimed, found = 0, []
    for number in range(60):
        halves = [world(f"nothing {number} {half}", 1.0)[:2] for half in range(2)]
        effects, metrics = choose_contexts(sums_of(halves, number), CONTEXTS, FEATURES, TITLE_INDEX)
        claimed += effects is not None
        found.append((metrics["context_score"], metrics["context_dispersion"]))
    scores, dispersions = np.array(found).T
    assert claimed == 0
    # As if by chance: mean 0, sd 1; a little less where chance looks like members who differ.
    assert -0.7 < np.mean(scores) < 0.2 and 0.6 < np.std(scores) < 1.35
    assert 1.0 <= np.mean(dispersions) < 1.25


def test_contexts_that_matter_are_claimed_and_learned_from_all_days():
    early, expected, weights = world("matter", 3.0, 0.4, 0.3)
    late = rng(9, "late").poisson(expected * np.exp(CONTEXTS.design @ weights @ FEATURES.T)).astype(float)
    sums = sums_of([(early, expected), (late, expected)])
    effects, metrics = choose_contexts(sums, CONTEXTS, FEATURES, TITLE_INDEX)
    assert metrics["context_score"] > 10 and metrics["validation_context_gain"] > 0
    spread = metrics["context_dispersion"]
    both = fit_contexts((early + late) / spread, 2 * expected / spread, CONTEXTS, FEATURES, TITLE_INDEX)
    np.testing.assert_allclose(effects.mean, both.mean, atol=1e-6)
    assert np.corrcoef(effects.mean.ravel(), centred(weights, early).ravel())[0, 1] > 0.95
    half = fit_contexts(early, expected, CONTEXTS, FEATURES, TITLE_INDEX)
    by_hand = sum(
        log_likelihood(flat, CONTEXTS.design, late, expected) * sign
        for flat, sign in ((half.mean.ravel(), 1), (np.zeros(5 * WIDTH), -1))
    )
    assert late_gain(half, late, expected, CONTEXTS, FEATURES, TITLE_INDEX) == pytest.approx(by_hand)


def test_an_effect_that_does_not_last_is_not_claimed():
    early, expected, weights = world("turns", 3.0, 0.4, 0.3)
    turned = rng(9, "turned").poisson(expected * np.exp(-CONTEXTS.design @ weights @ FEATURES.T)).astype(float)
    sums = sums_of([(early, expected), (turned, expected)])
    effects, metrics = choose_contexts(sums, CONTEXTS, FEATURES, TITLE_INDEX)
    assert effects is None and metrics["validation_context_gain"] < 0 and metrics["context_score"] > 10


def block_of(random, contexts, tastes, device, decisions, strength, late):
    """Decisions of members on one device each, under a draw among a title's artworks that all have a chance."""
    members = len(tastes)
    member = np.repeat(np.arange(members), decisions)
    title = random.integers(0, TITLES, len(member))
    artwork = title * EACH + random.integers(0, EACH, len(member))
    pull = np.einsum("mp,mp->m", strength * tastes[member], FEATURES[artwork])
    take = random.random(len(member)) < expit(np.log(0.15 / 0.85) + pull)
    part = random.random(len(member)) < 0.3
    pairs, combination = np.unique(artwork, return_inverse=True)
    return {
        "z": tastes, "member": member, "combination": combination, "artwork": pairs,
        "design": TITLE_INDEX[pairs], "design_offsets": np.arange(TITLES + 1) * EACH,
        "design_artworks": np.arange(TITLES * EACH), "design_shares": np.full(TITLES * EACH, 1 / EACH),
        "group": title, "take": take.astype(float), "weight": np.ones(len(member)),
        "covariates": np.zeros((len(member), 1)), "context": device[member] * len(contexts.day_parts) + part,
        "personal": np.ones(len(member), dtype=bool), "late": np.full(len(member), late),
    }  # fmt: skip


BASE = Base(
    Offset(np.full(TITLES, np.log(0.15 / 0.85)), np.zeros(1), np.zeros(TITLES)), np.zeros(1), np.ones(1), 1, 300
)
TWO = Contexts(("phone", "tv"), ("evening", "morning"))


def summed(blocks, weights):
    none = np.zeros((1, TITLES * EACH))
    return np.sum([context_sums(b, BASE, none, FEATURES, weights, len(TWO))["contexts"] for b in blocks], axis=0)


def test_what_a_devices_members_like_is_not_taken_for_its_doing():
    """Phones belong to members of another taste, which the member level knows; the device does nothing."""
    random, weights = rng(7, "skewed"), 0.4 * np.eye(WIDTH)
    device = (random.random(1500) < 0.5).astype(int)
    tastes = random.normal(size=(1500, WIDTH)) + np.where(device == 0, 1.0, -1.0)[:, None]
    blocks = [block_of(random, TWO, tastes, device, 40, 0.4, late) for late in (False, True)]
    unknowing, of_device = choose_contexts(summed(blocks, 0 * weights), TWO, FEATURES, TITLE_INDEX)
    assert unknowing is not None and of_device["context_score"] > 10
    effects, metrics = choose_contexts(summed(blocks, weights), TWO, FEATURES, TITLE_INDEX)
    assert effects is None and metrics["context_score"] < 4


def test_members_who_differ_and_keep_to_their_device_do_not_make_it_matter():
    """Tastes that nobody knows, 150 decisions each: what by chance more of a device's members like is not its doing."""
    claimed, plain = 0, []
    for number in range(8):
        random, weights = rng(8, f"clustered {number}"), np.zeros((WIDTH, WIDTH))
        device = (random.random(400) < 0.5).astype(int)
        tastes = random.normal(size=(400, WIDTH))
        blocks = [block_of(random, TWO, tastes, device, 150, 0.6, late) for late in (False, True)]
        effects, _ = choose_contexts(summed(blocks, weights), TWO, FEATURES, TITLE_INDEX)
        claimed += effects is not None
        early = summed(blocks[:1], weights)[0].astype(float)
        plain.append(_score_of(early[:GROUPS].sum(axis=0), early[-2], TWO, FEATURES, TITLE_INDEX))
    assert claimed == 0
    assert max(plain) > 4  # what a test says that takes decisions for independent


def test_what_all_contexts_share_is_the_regions_not_a_devices():
    """A look that everyone likes beyond what was expected, shown on all devices alike."""
    random = rng(4, "shared")
    usual = 3.0 * np.multiply.outer(np.ones(6), random.gamma(1.0, size=TITLES * EACH))
    seen = random.poisson(usual * np.exp(FEATURES @ [0.5, -0.5, 0.3])).astype(float)
    found = fit_contexts(seen, usual, CONTEXTS, FEATURES, TITLE_INDEX)
    score = choose_contexts(sums_of([(seen, usual)] * 2), CONTEXTS, FEATURES, TITLE_INDEX)[1]["context_score"]
    assert score < 4 and np.abs(found.mean).max() < 0.1


def test_a_score_counts_what_the_data_can_tell():
    """Twelve coordinates, of which the three or four artworks of a few titles show only some."""
    scores, wide = [], rng(3, "wide").normal(size=(8, 12))
    titles = np.repeat([0, 1], 4)
    for number in range(200):
        random = rng(4, f"narrow {number}")
        expected = np.full((4, 8), 25.0)
        sums = sums_of([(random.poisson(expected).astype(float), expected) for _ in range(2)], number)
        scores.append(choose_contexts(sums, TWO, centred_within(wide, titles), titles)[1]["context_score"])
    assert -1.0 < np.mean(scores) < 0.2 and np.max(scores) < 5


def test_weighted_counts_and_places_nobody_saw_stay_finite():
    seen, expected, _ = world("weighted", 2.0, 0.4)
    expected[4] = seen[4] = 0
    expected[:, :EACH] = seen[:, :EACH] = 0
    plain, metrics = choose_contexts(sums_of([(seen, expected)] * 2), CONTEXTS, FEATURES, TITLE_INDEX)
    weighted = sums_of([(seen, expected)] * 2) * 3
    weighted[:, -1] *= 3
    effects, same = choose_contexts(weighted, CONTEXTS, FEATURES, TITLE_INDEX)
    assert np.isfinite(plain.mean).all() and same == pytest.approx(metrics, rel=1e-3)
    np.testing.assert_allclose(effects.mean, plain.mean, atol=1e-4)  # three times the weight says no more
    nothing = choose_contexts(0 * weighted, CONTEXTS, FEATURES, TITLE_INDEX)
    assert nothing == (None, {"context_score": 0.0, "context_dispersion": 1.0})


def test_sums_of_a_block_by_hand():
    offset = Offset(np.array([-1.0, 0.5]), np.zeros(1), np.zeros(2))
    base = Base(offset, np.zeros(1), np.ones(1), 2, 2)  # one title in two regions, two artworks
    block = {
        "context": np.array([0, 1, -1, 1, 0]), "late": np.array([0, 0, 0, 1, 0], dtype=bool),
        "group": np.array([0, 1, 0, 1, 0]), "take": np.array([1, 0, 1, 1, 0]), "weight": np.array([2.0, 1, 1, 0.5, 1]),
        "combination": np.array([0, 1, 0, 0, 0]), "artwork": np.array([0, 1]), "covariates": np.zeros((5, 1)),
        "member": np.array([0, 0, 1, 1, 5]), "z": np.array([[2.0], [1.0], [0.0], [0.0], [0.0], [9.0]]),
        "personal": np.array([1, 1, 1, 1, 0], dtype=bool), "design": np.array([0, 0]),
        "design_offsets": np.array([0, 2]), "design_artworks": np.array([0, 1]), "design_shares": np.array([0.5, 0.5]),
    }  # fmt: skip
    effects = np.array([[0.1, 0.2], [0.3, 0.4]])
    found = context_sums(block, base, effects, np.array([[1.0], [-1.0]]), np.array([[0.3]]), 2)["contexts"]

    def chance(odds):
        return 1 / (1 + np.exp(-odds))

    first, second, fourth, kid = chance(-1 + 0.1 + 0.6), chance(0.5 + 0.4 - 0.6), chance(0.5 + 0.3 + 0.3), chance(-0.9)
    expected = np.zeros((2, GROUPS + 2, 2, 2))
    expected[0, 0, 0, 0] = 2.0
    expected[0, -2:, 0, 0] = 2 * first + kid, 4 * first + kid  # a kids' profile has no taste of its own
    expected[0, -2:, 1, 1] = second, second
    expected[1, 1, 1, 0], expected[1, -2, 1, 0], expected[1, -1, 1, 0] = 0.5, 0.5 * fourth, 0.25 * fourth
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_places_are_those_of_the_design():
    assert len(CONTEXTS) == 6 and CONTEXTS.design.shape == (6, 5)
    assert CONTEXTS.design[3].tolist() == [0, 1, 0, 0, 1]  # tablet, morning
    assert len(Contexts()) == 0 and Contexts().design.shape == (0, 0)
