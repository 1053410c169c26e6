"""Regret of shrinkage beside no pooling and full pooling, 200 draws a world (`make soak`).

Features explain half of what differs. Where they explain nothing and regions are equal, shrinkage gave away some 4%
more than full pooling did on the same draws (bench/shrinkage.py shows both).
"""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from keyart.learning.rehearsal import ESTIMATORS, WORLDS, against_better, draw_world, regrets

pytestmark = pytest.mark.soak
SEEDS = 200


@pytest.mark.parametrize("name", WORLDS)
def test_regret_is_at_most_a_fiftieth_above_the_better(name):
    with threadpool_limits(1):  # hundreds of small factorisations: BLAS threads would wait for each other
        draws = [draw_world(WORLDS[name], seed) for seed in range(SEEDS)]
        lost = {e: np.array([regrets(drawn, score(drawn)) for drawn in draws]) for e, score in ESTIMATORS.items()}
    for k, alike in enumerate(("regions", "decisions")):
        better, ratio, error = against_better({e: values[:, k] for e, values in lost.items()})
        print(f"\n{name}, {alike} alike: {ratio:.3f} (standard error {error:.3f}) of {better}")
        assert ratio <= 1.02
