"""Simulated experiments keep their promises; few runs here, 4,000 of them in tests/soak."""

import numpy as np
import pytest

from keyart.evaluation.experiments.power import member_plan
from keyart.evaluation.experiments.simulation import LINES, audience, baseline, peeked_p, population, runs
from keyart.seeding import rng

RUNS = 400
ERROR = 4 * (0.05 * 0.95 / RUNS) ** 0.5
"""Four Monte Carlo standard errors of a share of 5%."""


def test_the_audience_is_what_the_truth_says():
    rows = audience(rng(0, "truth"), 400_000, 0.2)
    for name, scale in (("reward", 1.2), ("take fraction", 1.2)):
        (top, bottom), _ = LINES[name]
        assert (rows @ top).sum() / (rows @ bottom).sum() == pytest.approx(scale * population(name), rel=0.01)


@pytest.mark.parametrize("metric", LINES)
def test_alike_variants_are_told_apart_once_in_twenty(metric):
    found = runs(metric, RUNS, 800, 500)
    assert abs(found.rejected - 0.05) < ERROR
    assert abs(found.covered - 0.95) < ERROR


def test_a_planned_effect_is_found_as_often_as_planned():
    plan = member_plan([baseline("reward, CUPED")], (0.6, 0.4), 0.2, 0.05, 0.8)
    found = runs("reward, CUPED", RUNS, *plan.members, effect=0.2)
    assert abs(found.rejected - 0.8) < 4 * (0.8 * 0.2 / RUNS) ** 0.5
    assert abs(found.covered - 0.95) < ERROR


@pytest.mark.parametrize("days", [1, 5])
def test_whoever_looks_all_the_time_is_misled_no_more_often(days):
    smallest = peeked_p(200, 1200, 24, days=days)
    assert (smallest <= 0.05).mean() <= 0.05 + 4 * (0.05 * 0.95 / 200) ** 0.5
    assert np.median(smallest) > 0.3


def test_looking_finds_the_planned_effect_as_often_as_planned():
    plan = member_plan([baseline("reward")], (0.5, 0.5), 0.25, 0.05, 0.8, looks="continuous")
    smallest = peeked_p(250, plan.members[0], 14, effect=0.25, planned=0.25)
    assert abs((smallest <= 0.05).mean() - 0.8) < 4 * (0.8 * 0.2 / 250) ** 0.5
