"""Days from a launch to 90% of its eventual value: by the true rates of a made-up catalogue, and as the log tells it.

    python bench/launches.py [--seeds 10]

Titles of five artworks, half of whose effects follow from features; a third of the titles come on days 10 to 24 of 60.
Every morning keyart's own fit (``learning.shrinkage``) of all decisions so far gives each title a distribution
(``policy.exploration`` and the floors and cold shares of ``policy.budget``), every day draws 60 decisions a title at
takes of 6%. A line a way of assigning: median days to 90% of the eventual value and of the eventual gain over an even
draw, by the true rates and by ``evaluation.launches`` from the log's sums; the mean true value of the launches' first
ten days and of their last seven, over the best artwork's; and the reward that exploration costs, in the launches' days.
"""

import argparse
from dataclasses import dataclass

import numpy as np
from results import record
from threadpoolctl import threadpool_limits

from keyart.evaluation.launches import TAIL, Log, days_to_share, launches
from keyart.learning.coordinates import artwork_coordinates, by_title
from keyart.learning.shrinkage import rate_effects, tree_of
from keyart.policy.budget import cold_shares
from keyart.policy.exploration import EpsilonGreedy, Exploration, Thompson
from keyart.policy.floors import Floor
from keyart.seeding import rng

TITLES, ARTWORKS, FEATURES, DAYS = 60, 5, 6, 60
NEW = 20
DECISIONS, TAKE_RATE, SPREAD, EXPLAINED = 60.0, 0.06, 0.4, 0.5
EARLY = 10


@dataclass(frozen=True)
class Way:
    """How titles are assigned."""

    exploration: Exploration
    features: bool = True
    least: float = 0.01
    cold: float = 0.0


WAYS = {
    "epsilon 0.1": Way(EpsilonGreedy(0.1)),
    "epsilon 0.1, features unknown": Way(EpsilonGreedy(0.1), features=False),
    "epsilon 0.1, cold share 0.4": Way(EpsilonGreedy(0.1), cold=0.4),
    "thompson": Way(Thompson(64, "launch")),
    "thompson, features unknown": Way(Thompson(64, "launch"), features=False),
    "even": Way(EpsilonGreedy(1.0)),
}


def served_by(way: Way, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A log: distributions, decisions and takes (A, D), true rates (A,), each title's first day (T,)."""
    random, count = rng(seed, "launches"), TITLES * ARTWORKS
    title = np.repeat(np.arange(TITLES), ARTWORKS)
    coordinates = artwork_coordinates(random.normal(size=(count, FEATURES)), title, FEATURES).features
    effect = np.sqrt(EXPLAINED) * coordinates @ random.normal(size=coordinates.shape[1])
    effect += np.sqrt(1 - EXPLAINED) * random.normal(size=count)
    rate = np.minimum(TAKE_RATE * np.exp(0.3 * random.normal(size=TITLES)[title] + SPREAD * effect), 0.6)
    first = np.zeros(TITLES, dtype=np.int64)
    first[:NEW] = random.integers(10, 25, NEW)
    known = coordinates if way.features else np.zeros_like(coordinates)
    served, n, takes = (np.zeros((count, DAYS)) for _ in range(3))
    noise = way.exploration.noise([f"a{a}" for a in range(count)])
    for day in range(DAYS):
        scores, sds = _scores(n[:, :day], takes[:, :day], served[:, :day], title, known)
        shape = (TITLES, ARTWORKS)
        drawn = way.exploration.propensities(scores.reshape(shape), sds.reshape(shape), noise.reshape(*shape, -1))
        names, sizes = [str(t) for t in range(TITLES)], np.full(TITLES, ARTWORKS)
        fewest = n.sum(axis=1).reshape(shape).min(axis=1)
        cold = dict(zip(names, cold_shares(fewest, way.cold, 100.0).tolist(), strict=True))
        even = Floor(way.least, cold).shares(names, sizes)[:, None]
        served[:, day] = ((1 - even) * drawn + even / ARTWORKS).ravel() * (first <= day)[title]
        n[:, day] = random.poisson(DECISIONS * served[:, day])
        takes[:, day] = random.binomial(n[:, day].astype(np.int64), rate)
    return served, n, takes, rate, first


def _scores(
    n: np.ndarray, takes: np.ndarray, served: np.ndarray, title: np.ndarray, features: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sd (A,) of log effects from all days so far."""
    if not n.any():
        return np.zeros(len(title)), np.ones(len(title))
    weight = np.divide(1.0, served, out=np.zeros_like(served), where=served > 0)
    usual = by_title((takes * weight).sum(axis=1)[:, None], title) / np.maximum(
        by_title((n * weight).sum(axis=1)[:, None], title), 1e-9
    )
    usual = np.where(usual > 0, usual, TAKE_RATE)[title, 0]
    expected = (n.sum(axis=1) * usual)[None]
    found = rate_effects(tree_of([-1]), takes.sum(axis=1)[None], expected, features, title, rounds=2)
    return found.mean[0], found.sd[0]


def one(way: Way, seed: int) -> dict[str, list[float]]:
    """Days of each launch by truth and log, and shares of the best artwork's value."""
    served, n, takes, rate, first = served_by(way, seed)
    title = np.repeat(np.arange(TITLES), ARTWORKS)
    weight = np.divide(1.0, served, out=np.zeros_like(served), where=served > 0)
    sums = [(n * weight).sum(1), (n * weight**2).sum(1), (takes * weight).sum(1), (takes * weight**2).sum(1)]
    told = launches(Log(title, n, *sums))
    found: dict[str, list[float]] = {
        name: [] for name in ("days", "gain days", "log days", "log gain days", "early", "late")
    }
    found["log days"] = [launch.days for launch in told]
    found["log gain days"] = [launch.gain_days for launch in told]
    for t in range(NEW):
        rows, days = title == t, slice(first[t], DAYS)
        value = rate[rows] @ served[rows, days]
        found["days"].append(days_to_share(value, np.ones(len(value))))
        found["gain days"].append(days_to_share(value, np.ones(len(value)), base=rate[rows].mean()))
        found["early"].append(value[:EARLY].mean() / rate[rows].max())
        found["late"].append(value[-TAIL:].mean() / rate[rows].max())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    asked = parser.parse_args()
    figures: dict[str, object] = {"seeds": asked.seeds}
    with threadpool_limits(1):
        for name, way in WAYS.items():
            each = [one(way, seed) for seed in range(asked.seeds)]
            pooled = {key: np.concatenate([found[key] for found in each]) for key in each[0]}
            said = {key: round(float(np.nanmedian(pooled[key])), 2) for key in pooled if "days" in key}
            said |= {key: round(float(np.mean(pooled[key])), 4) for key in ("early", "late")}
            figures[name] = said | {"launches": len(pooled["days"]), "launches told": len(pooled["log days"])}
            print(name, figures[name], flush=True)
    record("launches", figures)


if __name__ == "__main__":
    main()
