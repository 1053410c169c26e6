"""Levels that move between trainings, against the same Gaussian model conditioned densely."""

import numpy as np
import pytest

from keyart.learning.levels_online import SUMS, moved_effects, moved_levels, reward_counts
from keyart.learning.shrinkage import tree_of
from keyart.seeding import rng

PARENTS = [-1, 0, 0, 1, 1, 2]
TREE, REGIONS = tree_of(PARENTS), [3, 4, 5]
CELLS = [
    {"level": "global", "cell": "*", "parent": None},
    *({"level": "parent", "cell": name, "parent": "*"} for name in "PQ"),
    *({"level": "region", "cell": f"r{i}", "parent": "PPQ"[i]} for i in range(3)),
]
VARIANCES = np.array([[0.3, 0.08, 0.04], [0.1, 0.02, 0.01]])
ARTWORKS, TITLES = 9, np.repeat(np.arange(3), 3)


def trained(seed):
    random = rng(seed, "levels")
    precision = np.zeros((2, len(CELLS), ARTWORKS))
    precision[:, REGIONS] = random.gamma(2.0, 10.0, (2, 3, ARTWORKS))
    precision[:, 3, 0] = 0
    return random, precision, random.normal(0, 0.2, (len(CELLS), ARTWORKS))


def left_by(precision, artwork):
    """What training left uncertain of an artwork, by conditioning each part's Gaussian."""
    total = np.zeros((len(CELLS),) * 2)
    for variances, observed in zip(VARIANCES, precision[:, :, artwork], strict=True):
        prior = (TREE.paths * variances[TREE.level]) @ TREE.paths.T
        seen = np.flatnonzero(observed)
        noise = np.diag(1 / observed[seen])
        total += prior - prior[:, seen] @ np.linalg.solve(prior[np.ix_(seen, seen)] + noise, prior[seen])
    return total


@pytest.mark.parametrize("seed", range(4))
def test_effects_are_the_mode_of_the_dense_posterior(seed):
    """At the mode the gradient of log Poisson + log Gaussian is 0, and the variances are those of its curvature."""
    random, precision, mean = trained(seed)
    expected = np.zeros_like(mean)
    expected[REGIONS] = random.gamma(2.0, 40.0, (3, ARTWORKS))
    expected[:, 1], expected[4, 2] = 0, 0
    seen = random.poisson(expected * np.exp(0.3)).astype(float)
    moved, less = moved_effects(TREE, VARIANCES, precision, mean, seen, expected)
    for a in range(ARTWORKS):
        before = left_by(precision, a)
        fitted = expected[:, a] * np.exp(moved[:, a])
        np.testing.assert_allclose(moved[:, a] - mean[:, a], before @ (seen[:, a] - fitted), atol=1e-4)
        after = before - before @ np.linalg.solve(before + np.diag(1 / np.maximum(fitted, 1e-12)), before)
        np.testing.assert_allclose(less[:, a], np.diag(before - after), atol=1e-4)
    assert np.array_equal(moved[:, 1], mean[:, 1]) and not less[:, 1].any()


def sums_of(random, effects, n=4000, rate=0.05):
    """SUMS of n decisions a region and artwork shown at p = 1/3, rewards of 0 or 1."""
    chance = rate * np.exp(effects)
    takes = random.binomial(n, chance).astype(float)
    full = np.full_like(takes, n)
    return np.stack([full, takes, 3 * full, 9 * full, 3 * takes, 9 * takes])


def test_counts_have_poissons_variance_and_the_average_artworks_rate():
    random = rng(3, "counts")
    seen, expected = reward_counts(sums_of(random, np.zeros((3, ARTWORKS)), 40_000), TITLES)
    np.testing.assert_allclose(seen.sum(), expected.sum(), rtol=0.01)
    # With equal propensities the weights fall out: what is seen is the takes themselves.
    np.testing.assert_allclose(expected, 40_000 * 0.05, rtol=0.05)
    draws = [reward_counts(sums_of(random, np.zeros((1, 3))), np.zeros(3, int))[0][0, 0] for _ in range(300)]
    assert np.var(draws) == pytest.approx(np.mean(draws), rel=0.25)


def model(seed):
    _, precision, mean = trained(seed)
    return {
        "cell_mean": mean, "cell_sd": np.full_like(mean, 0.5), "cell_n": np.ones_like(mean),
        "cell_takes": np.ones_like(mean), "title_index": TITLES, "own_variances": VARIANCES,
        "own_precision": precision.astype(np.float32),
    }  # fmt: skip


def test_levels_without_news_stay_to_the_last_bit():
    arrays = model(1)
    for sums in ({}, {"nowhere": np.ones((len(SUMS), ARTWORKS))}, {"r1": np.zeros((len(SUMS), ARTWORKS))}):
        moved = moved_levels(arrays, CELLS, sums)
        for name, values in arrays.items():
            np.testing.assert_allclose(moved[name], values, atol=1e-12)


def test_levels_go_where_much_is_seen_and_stay_elsewhere():
    """One title is seen everywhere, often: its levels are what was true there; the others keep theirs."""
    random, arrays = rng(5, "truth"), model(2)
    truth = random.normal(0, 0.3, (3, 3))
    truth -= truth.mean(axis=1, keepdims=True)
    found = np.zeros((3, len(SUMS), ARTWORKS))
    for r in range(3):
        found[r, :, 3:6] = sums_of(random, truth[r], 200_000, 0.1)
    moved = moved_levels(arrays, CELLS, {f"r{r}": found[r] for r in range(3)})
    centred = moved["cell_mean"][REGIONS, 3:6]
    centred = centred - centred.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(centred, truth, atol=0.06)
    others = [0, 1, 2, 6, 7, 8]
    np.testing.assert_array_equal(moved["cell_mean"][:, others], arrays["cell_mean"][:, others])
    assert (moved["cell_sd"][REGIONS, 3:6] < arrays["cell_sd"][REGIONS, 3:6]).all()
    assert moved["cell_n"][0, 3] == 1 + 3 * 200_000
    # Shown from one region only, the parent moves too, the other parent's region less.
    one = moved_levels(arrays, CELLS, {"r0": found[0]})
    near, far = (np.abs(one["cell_mean"] - arrays["cell_mean"])[c, 3:6].max() for c in (4, 5))
    assert near > far > 0
