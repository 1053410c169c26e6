"""Shrinkage along the tree against the same Gaussian model written out densely."""

import numpy as np
import pytest

from keyart.learning.shrinkage import Variances, fit_variances, posterior, rate_effects, tree_of
from keyart.seeding import rng

TREE = tree_of([-1, 0, 0, 1, 1, 2])  # two parents; two regions under the first, one under the second
REGIONS = [3, 4, 5]
VARIANCES = Variances(np.array([0.5, 0.1, 0.05]), np.array([0.3, 0.08, 0.04]))


def dense(observed, precision, x, variances):
    """Mean and covariance of all cells x artworks by conditioning one big Gaussian; and the log evidence."""
    cells, artworks = observed.shape
    prior = np.zeros((cells * artworks,) * 2)
    for c in range(cells):
        shared_feature = TREE.paths * variances.feature[TREE.level] @ TREE.paths[c]
        shared_artwork = TREE.paths * variances.artwork[TREE.level] @ TREE.paths[c]
        for d in range(cells):
            block = shared_feature[d] * (x @ x.T) + shared_artwork[d] * np.eye(artworks)
            prior[c * artworks : (c + 1) * artworks, d * artworks : (d + 1) * artworks] = block
    seen = np.flatnonzero(precision.ravel())
    noise = np.diag(1 / precision.ravel()[seen])
    gain = np.linalg.solve(prior[np.ix_(seen, seen)] + noise, prior[seen]).T
    y = observed.ravel()[seen]
    covariance = prior - gain @ prior[seen]
    total = prior[np.ix_(seen, seen)] + noise
    evidence = -0.5 * (y @ np.linalg.solve(total, y) + np.linalg.slogdet(total)[1])
    shape = observed.shape
    constant = 0.5 * np.sum(np.log(precision.ravel()[seen]))
    return (gain @ y).reshape(shape), np.sqrt(np.diag(covariance)).reshape(shape), evidence - constant


def observations(seed: int, artworks: int = 7):
    random = rng(seed, "shrinkage")
    precision = np.zeros((6, artworks))
    precision[REGIONS] = random.gamma(2.0, 10.0, size=(3, artworks))
    precision[3, 0] = 0  # nobody saw this artwork there
    return random.normal(size=(6, artworks)), precision, random.normal(size=(artworks, 2))


@pytest.mark.parametrize("seed", range(4))
def test_posterior_is_the_dense_gaussian(seed):
    observed, precision, x = observations(seed)
    found = posterior(TREE, observed, precision, x, VARIANCES)
    mean, sd, _ = dense(observed, precision, x, VARIANCES)
    np.testing.assert_allclose(found.mean, mean, atol=1e-9)
    np.testing.assert_allclose(found.sd, sd, atol=1e-9)


def test_errors_of_weights_are_the_dense_gaussians():
    """An artwork that nobody saw and that has no effects of its own shows what is known of a mix of weights."""
    observed, precision, x = observations(5)
    x[0], precision[:, 0] = 0, 0
    alone = Variances(VARIANCES.feature, np.full(3, 1e-12))
    for probe in np.array([[1.0, 0.0], [0.0, 1.0], [0.6, -0.8]]):
        x[0] = probe
        found = posterior(TREE, observed, precision, x, alone)
        np.testing.assert_allclose(found.weights @ probe, found.mean[:, 0], atol=1e-9)
        _, sd, _ = dense(observed, precision, x, alone)
        np.testing.assert_allclose(found.weights_sd(probe[None])[:, 0], sd[:, 0], atol=1e-5)


def test_evidence_differs_between_variances_as_the_dense_one_does():
    observed, precision, x = observations(9)
    other = Variances(VARIANCES.feature * 3, VARIANCES.artwork / 2)
    ours = [posterior(TREE, observed, precision, x, v).evidence for v in (VARIANCES, other)]
    theirs = [dense(observed, precision, x, v)[2] for v in (VARIANCES, other)]
    assert ours[0] - ours[1] == pytest.approx(theirs[0] - theirs[1], abs=1e-9)


def test_one_cell_without_features_is_the_textbook_formula():
    tree, tau = tree_of([-1]), Variances(np.full(3, 1e-12), np.array([0.25, 1.0, 1.0]))
    found = posterior(tree, np.array([[0.8]]), np.array([[12.0]]), np.zeros((1, 1)), tau)
    assert found.mean[0, 0] == pytest.approx(0.8 * 0.25 / (0.25 + 1 / 12))
    assert found.sd[0, 0] == pytest.approx((1 / (1 / 0.25 + 12)) ** 0.5)


def test_an_artwork_nobody_saw_leans_on_its_features():
    random = rng(3, "features")
    x = random.normal(size=(40, 2))
    truth = x @ [0.5, -0.3]
    observed, precision = np.zeros((6, 40)), np.zeros((6, 40))
    observed[REGIONS], precision[REGIONS] = truth, 400.0
    precision[:, 0] = 0
    variances = fit_variances(TREE, observed, precision, x, np.ones(len(x)))
    found = posterior(TREE, observed, precision, x, variances)
    np.testing.assert_allclose(found.mean[:, 0], truth[0], atol=0.05)
    assert (found.sd[:, 0] > 0).all()
    assert variances.feature[0] > 100 * variances.artwork[2]


@pytest.mark.parametrize("varied", ["feature", "artwork"])
def test_variances_are_recovered(varied):
    random = rng(11, varied)
    x = random.normal(size=(150, 3)) / 3**0.5
    tree = tree_of([-1, *[0] * 4, *[1 + i // 2 for i in range(8)]])
    regions, truth = slice(5, 13), np.zeros((13, 150))
    sds = np.array([0.4, 0.2, 0.1])
    for cell in range(13):
        own = random.normal(size=150) if varied == "artwork" else x @ random.normal(size=3)
        truth[cell] = own * sds[tree.level[cell]] + (truth[tree.parent[cell]] if cell else 0)
    precision = np.zeros((13, 150))
    precision[regions] = 200.0
    observed = truth + random.normal(size=truth.shape) / 200**0.5
    found = fit_variances(tree, observed, precision, x, np.ones(len(x)))
    strong, weak = (found.feature, found.artwork) if varied == "feature" else (found.artwork, found.feature)
    np.testing.assert_allclose(np.sqrt(strong), sds, rtol=0.7 if varied == "feature" else 0.2)
    assert np.sqrt(weak[2]) < 0.03


def test_rates_without_effects_shrink_to_nothing_and_real_ones_are_found():
    random = rng(5, "rates")
    x = random.normal(size=(96, 4)) / 2
    expected = np.zeros((6, 96))
    expected[REGIONS] = 70.0
    null = rate_effects(TREE, random.poisson(expected), expected, x)
    assert np.abs(null.mean).max() < 0.1
    truth = 0.3 * random.normal(size=96)
    found = rate_effects(TREE, random.poisson(expected * np.exp(truth)), expected, x)
    error = found.mean[0] - truth
    assert np.sqrt(np.mean(error**2)) < 0.1
    assert 0.6 < np.sqrt(np.mean((error / found.sd[0]) ** 2)) < 1.4  # the sd tells how wrong the mean is


def leaning(observed, precision):
    """Posterior of one artwork without features in a region of TREE, whose parent is known to have effect 0."""
    at = np.zeros((6, 1))
    amount = at.copy()
    at[3], amount[3], amount[1] = observed, precision, 1e9
    return posterior(TREE, at, amount, np.zeros((1, 1)), VARIANCES)


def test_a_small_region_leans_on_its_parent_and_a_large_one_stands_alone():
    take_rate, effect, own = 0.06, 0.4, VARIANCES.artwork[2]
    found = {n: leaning(effect, n * take_rate) for n in (30, 3_000_000)}
    for n, region in found.items():
        taken = n * take_rate
        assert region.mean[3, 0] == pytest.approx(effect * own / (own + 1 / taken), rel=1e-4)
        assert region.sd[3, 0] == pytest.approx((1 / own + taken) ** -0.5, rel=1e-4)
    assert found[30].mean[3, 0] < 0.1 * effect and found[30].sd[3, 0] > 0.9 * own**0.5
    assert found[3_000_000].mean[3, 0] > 0.999 * effect and found[3_000_000].sd[3, 0] < 0.003


def counts(seed=6, artworks=24):
    random = rng(seed, "odd counts")
    expected = np.zeros((6, artworks))
    expected[REGIONS] = 20.0
    return random.poisson(expected).astype(float), expected, random.normal(size=(artworks, 2)) / 2**0.5


def test_all_takes_of_one_artwork():
    seen, expected, x = counts()
    seen[3] = 0
    seen[3, 5] = 480
    found = rate_effects(TREE, seen, expected, x)
    assert np.isfinite(found.mean).all() and (found.sd > 0).all()
    assert found.mean[3].argmax() == 5


def test_a_region_without_takes_stays_finite_below_the_others():
    seen, expected, x = counts()
    seen[3] = 0
    found = rate_effects(TREE, seen, expected, x)
    assert np.isfinite(found.mean).all() and (found.sd > 0).all()
    assert found.mean[3].mean() < found.mean[[4, 5]].mean()


def test_an_artwork_never_shown_is_less_known_than_any_other():
    seen, expected, x = counts()
    seen[:, 2] = expected[:, 2] = 0
    seen[REGIONS, 0] = 60.0
    found = rate_effects(TREE, seen, expected, np.zeros_like(x))
    assert (found.mean[:, 2] == 0).all()  # no features: nothing is known
    assert (found.sd[0, 2] > np.delete(found.sd[0], 2)).all()


def test_artworks_without_features_and_identical_titles():
    seen, expected, x = counts()
    seen[REGIONS, 0] = 60.0
    found = rate_effects(TREE, seen, expected, np.zeros_like(x))
    assert np.isfinite(found.mean).all() and (found.weights == 0).all()
    twice = rate_effects(TREE, *(np.tile(v, 2) for v in (seen, expected)), np.tile(x, (2, 1)))
    np.testing.assert_allclose(twice.mean[:, :24], twice.mean[:, 24:], atol=1e-9)


@pytest.mark.parametrize(("name", "value"), [("seen", np.nan), ("expected", -1.0), ("coordinates", np.inf)])
def test_what_is_no_number_is_refused(name, value):
    given = dict(zip(("seen", "expected", "coordinates"), counts(), strict=True))
    given[name][3, 1] = value
    with pytest.raises(ValueError, match=f"{name} must be finite"):
        rate_effects(TREE, **given)
