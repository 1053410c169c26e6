"""Regret of shrinkage beside no pooling and full pooling, 200 draws a world (`make soak`); regions count alike."""

import numpy as np
import pytest

from keyart.learning.rehearsal import ESTIMATORS, WORLDS, against_better, draw_world, regrets

pytestmark = pytest.mark.soak
SEEDS = 200


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("weight", [0, 1], ids=["regions alike", "decisions alike"])
def test_regret_is_at_most_a_fiftieth_above_the_better(name, weight):
    draws = [draw_world(WORLDS[name], seed) for seed in range(SEEDS)]
    found = {e: np.array([regrets(drawn, score(drawn))[weight] for drawn in draws]) for e, score in ESTIMATORS.items()}
    better, ratio, error = against_better(found)
    print(f"\n{name}: {ratio:.3f} (standard error {error:.3f}) of {better}")
    assert ratio <= 1.02
