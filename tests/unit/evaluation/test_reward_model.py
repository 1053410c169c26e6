"""The reward model: rates that nobody's own decisions are in, and what the response model adds to them."""

import numpy as np
import pytest

from keyart.evaluation.reward_model import (
    PRIOR_SUCCESSES,
    RewardModel,
    cross_fitted_rates,
    response_rates,
    shrunk_rates,
)

TITLE_OF = np.array([0, 0, 1, 1, 1])


def counts(seed: int, folds: int = 4):
    rng = np.random.default_rng(seed)
    n = rng.integers(0, 4000, size=(folds, 3, 5)).astype(float)
    return n, rng.binomial(n.astype(int), 0.05).astype(float)


def test_a_folds_rates_are_those_of_the_others():
    n, takes = counts(1)
    fitted = cross_fitted_rates(n, takes, TITLE_OF, 2)
    for k in range(4):
        others = [j for j in range(4) if j != k]
        np.testing.assert_allclose(fitted[k], shrunk_rates(n[others].sum(0), takes[others].sum(0), TITLE_OF, 2))
        # Whatever a fold did, its own rates do not move.
        changed = takes.copy()
        changed[k] = n[k]
        np.testing.assert_array_equal(cross_fitted_rates(n, changed, TITLE_OF, 2)[k], fitted[k])


def test_rates_lean_on_the_more_general_and_reach_the_counts():
    n, takes = np.zeros((2, 5)), np.zeros((2, 5))
    n[0, 0], takes[0, 0] = 1e7, 2e6
    n[0, 3], takes[0, 3] = 100.0, 0.0
    rates = shrunk_rates(n, takes, TITLE_OF, 2)
    assert rates[0, 0] == pytest.approx(0.2, rel=1e-3)
    assert rates[1, 0] == pytest.approx(0.2, rel=1e-3)  # never seen in this region: the artwork's over all
    assert rates[0, 1] == pytest.approx(0.2, rel=1e-3)  # never seen anywhere: the title's
    assert 0.0 < rates[0, 3] < rates[0, 4] < 0.2  # no take in 100, and another of the same title
    # A rate is (successes + PRIOR) / (n + PRIOR / rate of the more general).
    title = PRIOR_SUCCESSES / (100 + PRIOR_SUCCESSES / (2e6 / (1e7 + 100)))
    artwork = PRIOR_SUCCESSES / (100 + PRIOR_SUCCESSES / title)
    assert rates[0, 3] == pytest.approx(PRIOR_SUCCESSES / (100 + PRIOR_SUCCESSES / artwork))


def test_predictions_are_rates_times_what_is_known_of_the_member():
    rng = np.random.default_rng(9)
    arrays = {"features": rng.normal(size=(4, 2)), "weights": 0.5 * rng.normal(size=(3, 2))}
    rates = rng.random((2, 2, 5, 2)) * 0.1
    position = np.array([3, -1, 0, 1, 2])
    model = RewardModel.of(arrays, position, rates)
    standard = np.vstack([rng.normal(size=3), np.zeros(3)])
    fold, region, member = np.array([0, 1, 1]), np.array([1, 0, 1]), np.array([0, 0, 1])
    offsets, candidates = np.array([0, 2, 5, 7]), np.array([0, 1, 2, 3, 4, 0, 1])
    found = model.predict(fold, region, standard, member, offsets, candidates)
    for i in range(3):
        here = candidates[offsets[i] : offsets[i + 1]]
        scores = [
            standard[member[i]] @ arrays["weights"] @ arrays["features"][position[a]] if position[a] >= 0 else 0.0
            for a in here
        ]
        shelf = rates[fold[i], region[i], here]
        liked = shelf * np.exp(scores)[:, None]
        expected = np.clip(liked * shelf.sum(axis=0) / liked.sum(axis=0), 0, 1)
        np.testing.assert_allclose(found[offsets[i] : offsets[i + 1]], expected, rtol=1e-5)


def test_the_response_models_word_alone():
    n, takes = (values[0] for values in counts(3))
    scores = np.random.default_rng(4).normal(size=(3, 5))
    rates = response_rates(n, takes, TITLE_OF, 2, scores)[0]
    for t in range(2):
        own = rates[:, t == TITLE_OF]
        np.testing.assert_allclose(own.mean(axis=1), own.mean())  # an even draw is worth the title's rate everywhere
        raw = takes[:, t == TITLE_OF].sum() / n[:, t == TITLE_OF].sum()
        assert own.mean() == pytest.approx(raw, rel=0.02)
    np.testing.assert_allclose(np.log(rates[:, 0] / rates[:, 1]), scores[:, 0] - scores[:, 1])
