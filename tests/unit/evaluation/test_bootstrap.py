"""Poisson weights: what they are, that they hang on the member alone, and that they tell the delta method's error."""

import numpy as np
import pytest
from scipy import stats

from keyart.evaluation.bootstrap import boot_interval, counts, replicates
from keyart.evaluation.precision import exploration_needed


def codes(n: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**63, n).astype(np.uint64)


def test_counts_are_poisson_and_independent():
    drawn = counts(codes(20_000), 11)
    seen = np.bincount(drawn.astype(int).ravel(), minlength=6)[:6]
    expected = stats.poisson(1).pmf(np.arange(6)) * drawn.size
    assert stats.chisquare(seen, expected * seen.sum() / expected.sum()).pvalue > 1e-3
    between = np.corrcoef(drawn, rowvar=False) - np.eye(11)
    assert np.abs(between).max() < 4.5 / np.sqrt(20_000)


def test_counts_hang_on_the_members_code_alone():
    every = codes(50)
    whole = counts(every, 21)
    order = np.random.default_rng(2).permutation(50)
    np.testing.assert_array_equal(counts(every[order], 21), whole[order])
    np.testing.assert_array_equal(counts(every, 7), whole[:, :7])
    consecutive = counts(np.arange(1000, dtype=np.uint64), 20)  # neighbouring codes are no alike
    assert abs(np.corrcoef(consecutive[:-1].ravel(), consecutive[1:].ravel())[0, 1]) < 0.03


def test_spread_of_a_ratio_is_the_delta_methods():
    rng = np.random.default_rng(3)
    top, bottom = rng.gamma(2.0, size=2000), 1 + rng.random(2000)
    rows = np.stack([top, bottom], axis=1)
    drawn = replicates(counts(codes(2000), 2000), rows)
    values = drawn[:, 0] / drawn[:, 1]
    ratio = top.sum() / bottom.sum()
    error = np.std(top - ratio * bottom) / bottom.mean() / np.sqrt(2000)
    assert values.std() == pytest.approx(error, rel=0.06)
    low, high = boot_interval(values)
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.1)


def test_few_replicates_give_no_interval():
    assert np.isnan(boot_interval([0.1] * 19)).all()
    assert np.isnan(boot_interval([np.nan] * 100)).all()


@pytest.mark.parametrize(("agree", "differ", "allowed"), [(0.1, 0.02, 0.5), (0.0, 0.3, 0.9), (0.2, 0.2, 0.79)])
def test_the_exploration_needed_gives_what_is_allowed(agree, differ, allowed):
    rate = exploration_needed(agree, differ, allowed, 4)
    assert 0 < rate <= 1
    assert agree / (1 - 0.75 * rate) + differ / rate == pytest.approx(allowed)
    less = rate * 0.99
    assert agree / (1 - 0.75 * less) + differ / less > allowed  # the smallest rate


def test_no_exploration_is_enough_or_none_is_needed():
    assert exploration_needed(0.1, 0.2, 0.1, 4) is None
    assert exploration_needed(0.1, 0.0, 0.2, 4) == 0
