"""Pooling rehearsed on few draws; 200 a world are a soak."""

from dataclasses import replace

import numpy as np
import pytest

from keyart.learning.rehearsal import ESTIMATORS, WORLDS, World, against_better, draw_world, regrets, shrunk

SEEDS = range(5000, 5006)


@pytest.mark.parametrize("name", WORLDS)
def test_shrinkage_keeps_up_with_the_better_way_of_pooling(name):
    draws = [draw_world(WORLDS[name], seed) for seed in SEEDS]
    found = {e: np.array([regrets(drawn, score(drawn))[0] for drawn in draws]) for e, score in ESTIMATORS.items()}
    _, ratio, error = against_better(found)
    assert ratio <= 1.02 + 2 * error
    assert found["shrunk"].mean() < 0.8 * max(found["no pooling"].mean(), found["full pooling"].mean())


def test_regret_of_the_truth_is_nothing_and_of_the_worst_is_the_spread():
    drawn = draw_world(WORLDS["strong"], 1)
    assert regrets(drawn, drawn.rate) == (0, 0)
    by_title = drawn.rate.reshape(len(drawn.rate), -1, 5)
    assert regrets(drawn, -drawn.rate)[0] == pytest.approx(np.ptp(by_title, axis=2).mean())


@pytest.mark.parametrize("name", ["mild", "strong"])
def test_intervals_of_region_weights_hold_the_truth_as_often_as_they_say(name):
    z = []
    for seed in range(5000, 5024):
        drawn = draw_world(WORLDS[name], seed)
        found, loadings, regions = shrunk(drawn), drawn.coordinates.loadings, drawn.cells.observed
        error = (found.weights[regions] - drawn.liking) @ loadings.T
        z.append(error / found.weights_sd(loadings)[regions])
    z = np.stack(z)  # (seeds, R, F)
    held = (np.abs(z) < 1.96).mean(axis=(1, 2))
    error = held.std(ddof=1) / np.sqrt(len(held))
    assert abs(held.mean() - 0.95) < 0.02 + 2 * error
    assert 0.85 < np.sqrt(np.mean(z**2)) < 1.18


def test_equal_regions_without_features_are_pooled():
    """Plugging in the most likely variances gave 4% away here, in 200 draws."""
    world = replace(WORLDS["equal"], explained=0.0)
    draws = [draw_world(world, seed) for seed in range(5000, 5024)]
    names = ("shrunk", "full pooling")
    found = {e: np.array([regrets(drawn, ESTIMATORS[e](drawn))[0] for drawn in draws]) for e in names}
    _, ratio, error = against_better(found)
    assert ratio <= 1.02 + 2 * error


def test_without_effects_few_region_weights_look_sure():
    """Titles and regions differ in what is taken, artworks do not: no more than chance's 5% may be 1.96 away from 0."""
    sure = []
    for seed in SEEDS:
        drawn = draw_world(World(0.0), seed)
        found, loadings = shrunk(drawn), drawn.coordinates.loadings
        sure.append(np.mean(np.abs(found.weights @ loadings.T) > 1.96 * found.weights_sd(loadings)))
    assert np.mean(sure) < 0.05 + 2 * np.std(sure, ddof=1) / np.sqrt(len(sure))
    assert np.mean(sure) < 0.15


def test_worlds_differ_as_they_say():
    def spread(world):
        logs = np.log(draw_world(world, 2).rate).reshape(8, -1, 5)
        return (logs - logs.mean(axis=2, keepdims=True)).std(axis=0).mean()

    equal, mild, strong = (spread(replace(WORLDS[name], explained=0.0)) for name in ("equal", "mild", "strong"))
    assert equal < 1e-9 < mild < strong


def test_ratio_and_its_error_by_hand():
    found = {"shrunk": np.array([1.0, 3.0]), "no pooling": np.array([2.0, 2.0]), "full pooling": np.array([9.0, 9.0])}
    better, ratio, error = against_better(found)
    assert (better, ratio, error) == ("no pooling", 1.0, pytest.approx(2**0.5 / 2**0.5 / 2))
