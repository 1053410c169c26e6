"""The test of servings against logged propensities."""

import numpy as np
import pytest

from keyart.errors import ConfigError
from keyart.feedback.quality import beyond, limit_of, misfit, proven_drift, served_p_value
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


def test_drift_is_what_the_counts_prove():
    assert proven_drift(300, 10_000, 600, 20_000) == 0.0
    assert proven_drift(10, 1_000, 20, 1_000) == 0.0  # half as many, of too few
    halved = proven_drift(10_000, 1_000_000, 20_000, 1_000_000)
    assert halved == pytest.approx(np.log(2) - 3 * np.sqrt(1 / 10_000 + 1 / 20_000))
    assert proven_drift(20_000, 1_000_000, 10_000, 1_000_000) == pytest.approx(halved)
    assert proven_drift(0, 100, 5, 100) == 0.0


def test_equal_rates_seldom_drift():
    generator = rng(4, "drift")
    takes = generator.binomial(5_000, 0.03, (1_000, 2))
    assert np.mean([proven_drift(a, 5_000, b, 5_000) > 0 for a, b in takes]) < 0.01


def test_limits_hold_for_a_measure_or_for_all_of_its_kind():
    limits = {"missing": "0.3", "missing: region": "0.9", "served misfit": "9"}
    measures = {"missing: region": 0.5, "missing: device": 0.5, "served misfit: p": misfit(1e-12), "rows": 7.0}
    assert beyond(measures, limits) == [
        "missing: device is 0.5, allowed is 0.3",
        "served misfit: p is 12, allowed is 9",
    ]
    with pytest.raises(ConfigError, match="'rows' is 'few'"):
        limit_of("rows", {"rows": "few"})
