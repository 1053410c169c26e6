"""The offset model against a dense Newton step and a known truth."""

import numpy as np
import pytest
from scipy.optimize import minimize

from keyart.learning.offset import PRIOR_TAKES, Offset, newton_step, offset_sums, smoothed_rates
from keyart.seeding import rng


def sample(seed: int, count: int = 3000):
    random = rng(seed, "offset")
    group, covariates = random.integers(0, 5, count), random.normal(size=(count, 2))
    odds = random.normal(-1, 1, 5)[group] + covariates @ [0.8, -0.4]
    return group, covariates, (random.random(count) < 1 / (1 + np.exp(-odds))).astype(float)


def test_newton_finds_the_penalised_optimum():
    group, covariates, take = sample(1)
    prior = np.full(5, -1.0)

    def objective(v):
        odds = v[:5][group] + covariates @ v[5:]
        penalty = PRIOR_TAKES / 2 * np.sum((v[:5] - prior) ** 2) + np.sum(v[5:] ** 2) / 2
        return np.sum(np.logaddexp(0, odds) - take * odds) + penalty

    offset = Offset(prior.copy(), np.zeros(2), prior)
    for _ in range(8):
        sums, _ = offset_sums(offset, group, covariates, take)
        offset = newton_step(offset, sums)
    best = minimize(objective, np.append(prior, [0.0, 0.0]), tol=1e-10)
    np.testing.assert_allclose(np.append(offset.intercepts, offset.slopes), best.x, atol=1e-4)
    assert offset.slopes == pytest.approx([0.8, -0.4], abs=0.15)


def test_a_covariate_that_never_differs_gets_no_slope():
    group, covariates, take = sample(2)
    covariates[:, 1] = 0
    offset = Offset(np.zeros(5), np.zeros(2), np.zeros(5))
    sums, _ = offset_sums(offset, group, covariates, take)
    assert newton_step(offset, sums).slopes[1] == 0


def test_rates_lean_on_the_title_and_titles_on_all():
    n, takes = np.array([[10_000.0, 0.0], [0.0, 0.0]]), np.array([[1000.0, 0.0], [0.0, 0.0]])
    rates, title = smoothed_rates(n, takes)
    assert rates[0, 0] == pytest.approx(0.1, rel=0.01)
    assert rates[0, 1] == title[0]
    np.testing.assert_allclose(rates[1], 0.1)


def test_rates_without_any_take_are_small_but_not_zero():
    rates, _ = smoothed_rates(np.full((1, 1), 100.0), np.zeros((1, 1)))
    assert 0 < rates[0, 0] < 0.01
