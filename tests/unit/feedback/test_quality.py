"""The test of servings against logged propensities."""

import numpy as np
import pytest

from keyart.feedback.quality import served_p_value
from keyart.seeding import rng


def pearson(observed: np.ndarray, expected: np.ndarray) -> float:
    return float(((observed - expected) ** 2 / expected).sum())


def test_a_known_value():
    # 95th percentile of chi-square with 2 degrees: -2 log 0.05
    assert served_p_value(-2 * np.log(0.05), 2) == pytest.approx(0.05)
    assert served_p_value(0.0, 0) is None


def test_true_propensities_are_rarely_doubted_and_false_ones_are():
    generator, p = rng(3, "served"), np.array([0.7, 0.1, 0.1, 0.1])
    served = generator.multinomial(5_000, p, size=400)
    doubted = np.mean([served_p_value(pearson(row, 5_000 * p), 3) < 0.05 for row in served])
    assert 0.02 < doubted < 0.09
    wrong = np.array([0.64, 0.12, 0.12, 0.12])
    assert all(served_p_value(pearson(row, 5_000 * wrong), 3) < 1e-3 for row in served)
