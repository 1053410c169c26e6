"""What shrinkage along the tree gives away beside no pooling and full pooling of regions, in worlds of known rates.

    python bench/shrinkage.py [--seeds 200] [--first 0] [--processes 2]

Regret is the take rate lost by showing each title's best scored artwork, in points per thousand decisions: "regions"
counts every region and title alike, "decisions" as often as they are decided. The ratio is of the mean over seeds to
the better (by that mean) of no pooling and full pooling, with the standard error of the paired ratio. Each world comes
twice: features explain half of what differs, or nothing at all.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
from results import record
from threadpoolctl import threadpool_limits

from keyart.learning.rehearsal import ESTIMATORS, WORLDS, World, against_better, draw_world, regrets

WEIGHTS = ("regions", "decisions")
EXPLAINED = {"features explain half": 0.5, "features explain nothing": 0.0}


def one(world: World, seed: int) -> list[tuple[float, float]]:
    """Regrets of a draw by estimator."""
    with threadpool_limits(1):
        drawn = draw_world(world, seed)
        return [regrets(drawn, score(drawn)) for score in ESTIMATORS.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.seeds)
    found: dict[str, object] = {"seeds": [asked.first, asked.first + asked.seeds - 1]}
    with ProcessPoolExecutor(asked.processes) as pool:
        for note, share in EXPLAINED.items():
            for name, world in WORLDS.items():
                draws = pool.map(partial(one, replace(world, explained=share)), seeds, chunksize=5)
                lost = np.array(list(draws))  # (seeds, estimators, weights)
                for k, weight in enumerate(WEIGHTS):
                    by_name = {estimator: lost[:, e, k] for e, estimator in enumerate(ESTIMATORS)}
                    better, ratio, error = against_better(by_name)
                    means = {estimator: round(1000 * float(v.mean()), 3) for estimator, v in by_name.items()}
                    figures = {"better": better, "ratio": round(ratio, 3), "standard_error": round(error, 3)}
                    found[f"{note}: {name}, by {weight}"] = means | figures
    record("shrinkage", found)


if __name__ == "__main__":
    main()
