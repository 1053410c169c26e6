"""The bilinear logistic kernel against finite differences, columns written out, and a known truth."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from keyart.errors import ModelError
from keyart.learning.logistic import Rows, full_hessian, log_odds, losses, newton_sums, ridge_step, score_test
from keyart.seeding import rng


def rows(seed: int, members: int = 12, count: int = 400, size: tuple[int, int] = (3, 2), weights=None) -> Rows:
    random = rng(seed, "logistic")
    z, x = random.normal(size=(members, size[0])), random.normal(size=(9, size[1]))
    member, combination = np.sort(random.integers(0, members, count)), random.integers(0, 9, count)
    offset = random.normal(-1.0, 0.5, count)
    weights = random.normal(0, 0.3, size) if weights is None else weights
    odds = offset + np.einsum("rk,kp,rp->r", z[member], weights, x[combination])
    return Rows(z, x, member, combination, (random.random(count) < expit(odds)).astype(float), offset)


def columns(found: Rows) -> np.ndarray:
    """Each row's K x P features, which the kernel never forms."""
    z, x = found.z[found.member], found.x[found.combination]
    return (z[:, :, None] * x[:, None, :]).reshape(len(z), -1)


def test_sums_are_those_of_the_columns_written_out():
    found, matrices = rows(1), rng(1, "w").normal(0, 0.4, (3, 3, 2))
    sums, design = newton_sums(found, matrices), columns(found)
    for s, matrix in enumerate(matrices):
        odds = found.offset + design @ matrix.ravel()
        assert sums["loss"][s] == pytest.approx(np.sum(np.log1p(np.exp(odds)) - found.take * odds))
        np.testing.assert_allclose(sums["gradient"][s].ravel(), design.T @ (found.take - expit(odds)), atol=1e-9)
    chance = expit(found.offset + design @ matrices[0].ravel())
    hessian = design.T @ (design * (chance * (1 - chance))[:, None])
    np.testing.assert_allclose(full_hessian(sums["hessian"], 3, 2), hessian, atol=1e-9)


def test_gradient_and_hessian_are_the_derivatives_of_the_loss():
    found, at = rows(2), rng(2, "w").normal(0, 0.4, (1, 3, 2))
    sums = newton_sums(found, at)
    step = 1e-5
    for place in np.ndindex(3, 2):
        bump = np.zeros_like(at)
        bump[0][place] = step
        up, down = newton_sums(found, at + bump), newton_sums(found, at - bump)
        assert (down["loss"] - up["loss"])[0] / (2 * step) == pytest.approx(sums["gradient"][0][place], abs=1e-4)
        slope = (down["gradient"] - up["gradient"])[0].ravel() / (2 * step)
        row = full_hessian(sums["hessian"], 3, 2)[np.ravel_multi_index(place, (3, 2))]
        np.testing.assert_allclose(slope, row, atol=1e-4)


def test_sums_of_blocks_and_slices_add_up():
    found, zero = rows(3), np.zeros((1, 3, 2))
    early = found.member < 5
    whole = newton_sums(found, zero)
    for name in whole:
        parts = newton_sums(found.where(early), zero)[name] + newton_sums(found.where(~early), zero)[name]
        np.testing.assert_allclose(parts, whole[name], atol=1e-9)


def test_newton_reaches_the_optimum_that_scipy_finds():
    found, l2 = rows(4), 2.0
    design = columns(found)

    def objective(w):
        return np.sum(losses(found.take, found.offset + design @ w)) + l2 / 2 * w @ w

    weights = np.zeros((3, 2))
    for _ in range(8):
        sums = newton_sums(found, weights[None])
        weights = ridge_step(full_hessian(sums["hessian"], 3, 2), sums["gradient"][0], weights, l2)
    assert objective(weights.ravel()) == pytest.approx(minimize(objective, np.zeros(6)).fun, abs=1e-6)


def test_a_bilinear_truth_is_recovered_within_its_standard_errors():
    truth = rng(5, "truth").normal(0, 0.3, (3, 2))
    found = rows(6, members=800, count=60_000, weights=truth)
    weights = np.zeros((3, 2))
    for _ in range(6):
        sums = newton_sums(found, weights[None])
        hessian = full_hessian(sums["hessian"], 3, 2)
        weights = ridge_step(hessian, sums["gradient"][0], weights, 1e-6)
    standard = (weights - truth).ravel() / np.sqrt(np.diag(np.linalg.inv(hessian)))
    assert np.abs(standard).max() < 3.5
    assert np.abs(weights / truth - 1).max() < 0.5


def test_no_weights_leave_the_offset():
    found = rows(7)
    assert log_odds(found, np.zeros((3, 2))) is found.offset


def test_score_test_is_standard_without_an_effect_and_large_with_one():
    def score(seed: int, weights: np.ndarray) -> float:
        found = rows(seed, members=300, count=3000, weights=weights)
        sums = newton_sums(found, np.zeros((1, 3, 2)))
        return score_test(full_hessian(sums["hessian"], 3, 2), sums["gradient"][0], l2=50.0)

    none = np.array([score(100 + seed, np.zeros((3, 2))) for seed in range(200)])
    assert abs(none.mean()) < 0.25
    assert 0.75 < none.std() < 1.25
    assert (none > 4).mean() <= 0.01
    assert score(1, np.full((3, 2), 0.15)) > 4


def fitted(found: Rows, l2: float, steps: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Weights after so many Newton steps, and the gradient of the penalised log-likelihood there."""
    weights = np.zeros((found.z.shape[1], found.x.shape[1]))
    for _ in range(steps):
        sums = newton_sums(found, weights[None])
        weights = ridge_step(full_hessian(sums["hessian"], *weights.shape), sums["gradient"][0], weights, l2)
    return weights, newton_sums(found, weights[None], hessian=False)["gradient"][0] - l2 * weights


def test_separable_takes_have_finite_weights_where_newton_stands_still():
    drawn = rows(8)
    truth = rng(8, "truth").normal(size=(3, 2))
    odds = np.einsum("rk,kp,rp->r", drawn.z[drawn.member], truth, drawn.x[drawn.combination])
    separable = Rows(drawn.z, drawn.x, drawn.member, drawn.combination, (odds > 0).astype(float), np.zeros(len(odds)))
    weights, slope = fitted(separable, l2=0.1)
    assert np.isfinite(weights).all()
    assert np.abs(slope).max() < 1e-8
    right = (log_odds(separable, weights) > 0) == (odds > 0)
    assert right.mean() > 0.95


def test_constant_features_get_no_weight_and_leave_the_others_alone():
    drawn = rows(9)
    z, x = np.column_stack([drawn.z, np.zeros(len(drawn.z))]), np.column_stack([drawn.x, np.zeros(len(drawn.x))])
    wider = Rows(z, x, drawn.member, drawn.combination, drawn.take, drawn.offset)
    weights, _ = fitted(wider, l2=2.0)
    assert not weights[3].any()
    assert not weights[:, 2].any()
    np.testing.assert_allclose(weights[:3, :2], fitted(drawn, l2=2.0)[0], atol=1e-9)


def test_takes_of_one_kind_have_finite_weights():
    drawn = rows(10)
    for take in (0.0, 1.0):
        same = Rows(drawn.z, drawn.x, drawn.member, drawn.combination, np.full(len(drawn.take), take), drawn.offset)
        weights, slope = fitted(same, l2=2.0)
        assert np.isfinite(weights).all()
        assert np.abs(slope).max() < 1e-8


def test_a_member_with_a_million_rows_counts_like_the_rows_one_by_one():
    random = rng(11, "million")
    z, x, count = random.normal(size=(1, 2)), random.normal(size=(4, 2)), 1_000_000
    combination, take = random.integers(0, 4, count), (random.random(count) < 0.3).astype(float)
    sums = newton_sums(Rows(z, x, np.zeros(count, dtype=int), combination, take, np.zeros(count)), np.zeros((1, 2, 2)))
    seen, taken = np.bincount(combination, minlength=4), np.bincount(combination, take, 4)
    design = (z[0][None, :, None] * x[:, None, :]).reshape(4, -1)
    np.testing.assert_allclose(sums["gradient"][0].ravel(), design.T @ (taken - seen / 2), rtol=1e-9)
    np.testing.assert_allclose(full_hessian(sums["hessian"], 2, 2), design.T @ (design * seen[:, None] / 4), rtol=1e-9)


@pytest.mark.parametrize("name", ["z", "x", "offset"])
def test_rows_that_are_not_numbers_are_refused_by_name(name):
    drawn = rows(12)
    spoilt = getattr(drawn, name).copy()
    spoilt.flat[0] = np.nan
    with pytest.raises(ModelError, match="not finite"):
        newton_sums(replace(drawn, **{name: spoilt}), np.zeros((1, 3, 2)))
