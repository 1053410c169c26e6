"""Likely variances: points and weights against densities integrated on a grid, and what averaging over them changes."""

import numpy as np
import pytest
from scipy.stats import norm

from keyart.learning.shrinkage import _evidence, averaged, fit_variances, posterior, tree_of
from keyart.learning.variances import (
    LARGEST,
    POINTS,
    SMALLEST,
    Variances,
    differing,
    likely_points,
    log_prior,
)
from keyart.seeding import rng

TREE = tree_of([-1, 0, 0, 1, 1, 2])
REGIONS = [3, 4, 5]
FREE = np.ones(60)
"""Degrees of freedom of observations that are relative to nothing."""


def test_points_stand_for_a_density_that_is_known():
    """Sds of one, of two and of three observations, the first two maybe nothing: moments by a grid."""
    data = {1: np.array([0.4]), 2: np.array([0.05, -0.1]), 3: np.array([0.3, -0.5, 0.2])}

    def likelihood(log_sds, values):
        scale = np.sqrt(np.exp(2 * log_sds)[..., None] + 0.1**2)
        return norm.logpdf(values, scale=scale).sum(axis=-1)

    def evidence(log_sds):
        # The first sd has no say here.
        return float(sum(likelihood(log_sds[k], values) for k, values in data.items()))

    grid = np.linspace(0.5 * np.log(SMALLEST), 0.5 * np.log(LARGEST), 20_001)
    mode, truth = [np.log(0.2)], {}
    for k, values in data.items():
        logs = likelihood(grid, values) + log_prior(grid)
        density = np.exp(logs - logs.max())
        mode.append(grid[np.argmax(density)])
        some, none = np.trapezoid(np.exp(logs), grid), np.exp(likelihood(np.array(-np.inf), values))
        nothing = none / (none + some) if k < 3 else 0.0
        density *= (1 - nothing) / np.trapezoid(density, grid)
        truth[k] = nothing, *(np.trapezoid(density * f, grid) for f in (np.exp(grid), np.exp(2 * grid)))
    points, weights = likely_points(evidence, np.array(mode), 1024)
    assert weights.sum() == pytest.approx(1) and 1 / np.sum(weights**2) > 256, "few points would carry all weight"
    for k, (nothing, mean, square) in truth.items():
        sds = np.exp(points[:, k])
        assert weights @ np.isneginf(points[:, k]) == pytest.approx(nothing, abs=0.03)
        assert weights @ sds == pytest.approx(mean, rel=0.05)
        assert weights @ sds**2 == pytest.approx(square, rel=0.1)
    assert weights @ np.isneginf(points[:, 0]) == pytest.approx(0.5, abs=0.03), "even odds, as before any observation"


def test_errors_go_by_points_that_tell_regions_apart():
    log_sds = np.log([[0.1, 0.2, 0.1], [0.1, 1e-300, 0.2], [0.1, 0.4, 0.3]])
    log_sds[1, 1] = -np.inf
    found = differing(log_sds, np.array([0.2, 0.5, 0.3]))
    assert found[1] == 0 and found.sum() == pytest.approx(1)
    assert found[2] / found[0] == pytest.approx(1.5)
    alike = np.full((2, 3), -np.inf)
    assert differing(alike, np.array([0.5, 0.5])).tolist() == [0.5, 0.5]


def test_chances_of_nothing_follow_bayes():
    values = np.array([0.02, -0.05, 0.01, 0.04])

    def evidence(log_sds):
        return float(norm.logpdf(values, scale=np.sqrt(np.exp(2 * log_sds[0]) + 0.05**2)).sum())

    grid = np.linspace(0.5 * np.log(SMALLEST), 0.5 * np.log(LARGEST), 20_001)
    some = np.trapezoid(np.exp([evidence([g]) + log_prior(g) for g in grid]), grid)
    none = np.exp(evidence([-np.inf]))
    points, weights = likely_points(evidence, np.array([np.log(0.03)]), 512)
    assert weights @ np.isneginf(points[:, 0]) == pytest.approx(none / (none + some), abs=0.02)


def observations(seed, feature=0.0, own=0.2, artworks=60):
    """Regions of TREE that are all alike, with effects of features (their sd) and the artworks' own."""
    random = rng(seed, "variances")
    x = random.normal(size=(artworks, 4)) / 2
    effect = x @ (feature * random.normal(size=4)) + own * random.normal(size=artworks)
    precision = np.zeros((6, artworks))
    precision[REGIONS] = random.gamma(2.0, 20.0, size=(3, artworks))
    noise = random.normal(size=(6, artworks)) / np.sqrt(np.maximum(precision, 1e-9))
    return np.where(precision > 0, effect + noise, 0), precision, x, effect


@pytest.mark.parametrize("seed", range(3))
def test_slopes_of_the_evidence_are_its_differences(seed):
    observed, precision, x, _ = observations(seed, 0.3)
    random = rng(seed, "slopes")
    at, free = random.uniform(np.log(0.02), np.log(0.5), 6), random.uniform(0.5, 1, observed.shape[1])
    _, slopes = _evidence(TREE, observed, precision, x, Variances.of(at), free)
    for k, step in enumerate(1e-5 * np.eye(6)):
        ends = [_evidence(TREE, observed, precision, x, Variances.of(at + s * step), free)[0] for s in (1, -1)]
        assert slopes[k] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5, abs=1e-6)


def test_one_artwork_averages_over_its_variance():
    """One cell, no features: the posterior is an integral over one sd."""
    observed, precision = np.array([[0.5, -0.2, 0.1]]), np.array([[40.0, 10.0, 90.0]])
    tree, x = tree_of([-1]), np.zeros((3, 1))
    grid = np.linspace(0.5 * np.log(SMALLEST), 0.5 * np.log(LARGEST), 20_001)[:, None]
    total = np.exp(2 * grid) + 1 / precision
    logs = norm.logpdf(observed, scale=np.sqrt(total)).sum(axis=1) + log_prior(grid[:, 0])
    density = np.exp(logs - logs.max())
    density /= density.sum()
    means = observed * np.exp(2 * grid) / total
    variances = 1 / (precision + np.exp(-2 * grid))
    mean = density @ means
    sd = np.sqrt(density @ variances + density @ (means - mean) ** 2)
    fitted = fit_variances(tree, observed, precision, x, FREE[: len(x)])
    for points, off in ((512, 0.02), (POINTS, 0.06)):
        found = averaged(tree, observed, precision, x, FREE[: len(x)], fitted, points)
        np.testing.assert_allclose(found.mean[0], mean, rtol=off)
        np.testing.assert_allclose(found.sd[0], sd, rtol=0.2)  # three artworks leave the sd wide open
        assert (found.sd[0] > 0.98 * sd).all(), "rather too wide than too narrow"


def test_features_that_explain_nothing_are_left_alone_and_real_ones_are_kept():
    weights = {0.0: [], 0.4: []}
    for feature, kept in weights.items():
        for seed in range(20):
            observed, precision, x, _ = observations(seed, feature)
            fitted = fit_variances(TREE, observed, precision, x, FREE[: len(x)])
            alone = posterior(TREE, observed, precision, x, fitted)
            found = averaged(TREE, observed, precision, x, FREE[: len(x)], fitted)
            kept.append([np.linalg.norm(found.weights[0]), np.linalg.norm(alone.weights[0])])
            assert (found.variances.feature > 0).all()
    chance, real = (np.array(found).mean(axis=0) for found in weights.values())
    assert chance[0] < 0.8 * chance[1], "less of what is chance than the most likely variances give"
    assert real[0] > 0.97 * real[1]


def test_errors_of_weights_average_over_the_variances():
    """Few artworks in one cell: moments of the weights by brute force over both sds."""
    random = rng(8, "weights")
    x, precision = random.normal(size=(12, 2)), np.full((1, 12), 30.0)
    observed = (x @ [0.3, -0.1])[None] + random.normal(size=(1, 12)) / 30**0.5
    tree, grid = tree_of([-1]), np.linspace(np.log(0.003), np.log(2.0), 45)
    moments, total = [np.zeros(2), np.zeros((2, 2))], 0.0
    top = max(posterior(tree, observed, precision, x, _root(f, a)).evidence for f in grid for a in grid)
    for feature in (None, *grid):
        for artwork in grid:
            found = posterior(tree, observed, precision, x, _root(feature, artwork))
            prior = log_prior(artwork) + (np.log(0.5) if feature is None else np.log(0.5) + log_prior(feature))
            mass = np.exp(found.evidence - top + prior) * (1 if feature is None else grid[1] - grid[0])
            total += mass
            moments[0] += mass * found.weights[0]
            moments[1] += mass * (found.weights_covariance[0] + np.outer(found.weights[0], found.weights[0]))
    mean = moments[0] / total
    sd = np.sqrt(np.diag(moments[1] / total) - mean**2)
    fitted = fit_variances(tree, observed, precision, x, FREE[: len(x)])
    for points, off in ((512, 0.02), (POINTS, 0.06)):
        found = averaged(tree, observed, precision, x, FREE[: len(x)], fitted, points)
        np.testing.assert_allclose(found.weights[0], mean, rtol=off, atol=off * sd.max())
        np.testing.assert_allclose(found.weights_sd(np.eye(2))[0], sd, rtol=2 * off)


def _root(feature, artwork):
    """Variances at the root of a tree of one cell; None: features explain nothing."""
    own = 0.0 if feature is None else np.exp(2 * feature)
    return Variances(np.array([own, 0, 0]), np.array([np.exp(2 * artwork), 0, 0]))


def test_the_same_observations_give_the_same_posterior():
    observed, precision, x, _ = observations(1, 0.2)
    fitted = fit_variances(TREE, observed, precision, x, FREE[: len(x)])
    one, two = (averaged(TREE, observed, precision, x, FREE[: len(x)], fitted) for _ in range(2))
    assert (one.mean == two.mean).all() and (one.sd == two.sd).all()
    alone = posterior(TREE, observed, precision, x, one.variances)
    assert (one.sd >= alone.sd - 1e-12).all(), "what the variances leave open widens every interval"
