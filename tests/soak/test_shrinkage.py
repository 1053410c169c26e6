"""Regret of shrinkage beside no pooling and full pooling, 200 draws a world (`make soak`).

Features explain half of what differs, or nothing at all.
"""

from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from keyart.learning.rehearsal import ESTIMATORS, WORLDS, against_better, draw_world, regrets

pytestmark = pytest.mark.soak
SEEDS = 200


@pytest.mark.parametrize("explained", [0.5, 0.0])
@pytest.mark.parametrize("name", WORLDS)
def test_regret_is_at_most_a_fiftieth_above_the_better(name, explained):
    world = replace(WORLDS[name], explained=explained)
    with threadpool_limits(1):  # hundreds of small factorisations: BLAS threads would wait for each other
        draws = [draw_world(world, seed) for seed in range(SEEDS)]
        lost = {e: np.array([regrets(drawn, score(drawn)) for drawn in draws]) for e, score in ESTIMATORS.items()}
    for k, alike in enumerate(("regions", "decisions")):
        better, ratio, error = against_better({e: values[:, k] for e, values in lost.items()})
        told = f"{ratio:.3f} (standard error {error:.3f}) of {better}"
        print(f"\n{name}, features explain {explained:.0%}, {alike} alike: {told}")
        assert ratio <= 1.02
