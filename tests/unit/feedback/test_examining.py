"""Examination probabilities against a simulation whose truth is known."""

import numpy as np
import pytest

from keyart.feedback.examining import examined
from keyart.seeding import rng

TRUTH = np.array([1.0, 0.7, 0.5, 0.3])


def cells(groups: int, decisions: int, seed: int = 1):
    """Groups shown at all places, better ones more often at the first."""
    random = rng(seed, "examining")
    wanted = random.uniform(0.02, 0.2, groups)
    group, place = (index.ravel() for index in np.indices((groups, len(TRUTH))))
    share = np.where(wanted[group] > 0.1, 2.0**-place, 2.0 ** (place - 3.0))
    n = random.poisson(decisions * share)
    return group, place, n, random.binomial(n, TRUTH[place] * wanted[group])


def test_known_probabilities_come_back_though_better_titles_stand_first():
    group, place, n, takes = cells(200, 2000)
    found = examined(group, place, n, takes, len(TRUTH))
    assert found.probability[0] == 1.0
    assert found.probability == pytest.approx(TRUTH, rel=0.06)
    rate = np.bincount(place, takes) / np.bincount(place, n)
    assert abs(rate[3] / rate[0] - TRUTH[3]) > 0.1  # what a plain ratio would have said


def test_standard_errors_are_those_of_many_logs():
    drawn = [examined(*cells(30, 400, seed), len(TRUTH)) for seed in range(60)]
    logs = np.log([one.probability / TRUTH for one in drawn])
    assert np.std(logs[:, 1:], axis=0) == pytest.approx(np.mean([one.log_sd[1:] for one in drawn], axis=0), rel=0.35)


def test_two_places_and_one_group_is_the_ratio_of_rates():
    found = examined(np.array([0, 0]), np.array([0, 1]), np.array([100, 200]), np.array([40, 20]), 2)
    assert found.probability == pytest.approx([1.0, 0.25])
    assert found.log_sd == pytest.approx([0.0, np.sqrt(1 / 40 + 1 / 20)])


@pytest.mark.parametrize(
    ("group", "place", "known"),
    [
        ([0, 1, 2], [0, 1, 2], []),  # places never vary
        ([0, 0, 1, 1], [0, 1, 2, 3], [0, 1]),  # no chain from the first places to the last
        ([0, 0, 1, 1], [0, 1, 1, 2], [0, 1, 2]),
    ],
)
def test_what_nothing_links_is_not_identified(group, place, known):
    n = np.full(len(group), 1000)
    found = examined(np.array(group), np.array(place), n, n // 10, 4)
    assert np.flatnonzero(np.isfinite(found.probability)).tolist() == known


def test_too_few_takes_are_not_identified():
    found = examined(np.array([0, 0]), np.array([0, 1]), np.array([30, 30]), np.array([3, 2]), 2)
    assert np.isnan(found.probability[1])
