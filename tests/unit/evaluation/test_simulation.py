"""Bias and coverage over many simulated logs whose truths and biases are known in closed form.

Each test runs twice: over some hundred logs with the other tests, over 4,000 with ``make soak``.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pytest

from keyart import seeding
from keyart.evaluation.bootstrap import boot_interval, counts, replicates
from keyart.evaluation.estimators import ESTIMATORS, Layout, Moments, interval
from keyart.evaluation.findings import thin_overlap
from keyart.evaluation.sums import Frame, add_up
from keyart.settings import EvaluateSettings

LAYOUT = Layout(("new",), ("take",))
FRAME = Frame.of([LAYOUT])
LOGGED = np.array([0.65, 0.2, 0.1, 0.05])  # the target's artwork is as often a rare one as the logger's best
ARTWORKS, EACH, CLIP = len(LOGGED), 6, 8.0
SETTINGS = EvaluateSettings()
BOTH = [pytest.param(250, id="short"), pytest.param(4000, id="soak", marks=pytest.mark.soak)]


@dataclass(frozen=True)
class World:
    """Members who like one artwork twice as much as the others, each with an appetite of their own."""

    members: int
    rate: float  # takes a decision of an artwork that is not liked
    greedy: float  # probability with which the target shows what the member likes; the rest evenly
    model: tuple[float, ...] = (0.05, 0.3, 0.1, 0.2)  # what the reward model says of the artworks: wrong
    logged: tuple[float, ...] = tuple(LOGGED)
    alike: tuple[float, ...] = ()  # the target's probabilities where they are the same for everyone

    @property
    def target(self) -> np.ndarray:
        """(liked, artworks) probabilities."""
        if self.alike:
            return np.tile(self.alike, (ARTWORKS, 1))
        return (1 - self.greedy) / ARTWORKS + self.greedy * np.eye(ARTWORKS)

    @property
    def log_rate(self) -> float:
        """Expected takes a decision of the log."""
        return float((np.array(self.logged) * self.worth).sum(axis=1).mean())

    @property
    def worth(self) -> np.ndarray:
        """(liked, artworks) expected outcome."""
        return self.rate * (1 + np.eye(ARTWORKS))

    def truth(self) -> float:
        """Of the target; every artwork is liked by a quarter of the members."""
        return float((self.target * self.worth).sum(axis=1).mean())

    def bias(self, name: str) -> float:
        """Of an estimator, in closed form."""
        weight = self.target / LOGGED
        wrong = np.array(self.model) - self.worth
        return {
            "dm": float((self.target * wrong).sum(axis=1).mean()),
            "clipped": -float((LOGGED * np.maximum(weight - CLIP, 0) * self.worth).sum(axis=1).mean()),
            "switch": float((self.target * (weight > CLIP) * wrong).sum(axis=1).mean()),
        }.get(name, 0.0)

    def sums(self, run: int) -> tuple[np.ndarray, float]:
        """One log's sums by member, and its largest weight."""
        rng = seeding.rng(20, self.members, self.rate, self.greedy, run)
        logged = np.array(self.logged)
        n = self.members * EACH
        member = np.repeat(np.arange(self.members), EACH)
        liked = rng.integers(0, ARTWORKS, self.members)[member]
        appetite = 2 * rng.beta(2, 2, self.members)[member]  # 1 on average
        slot = np.searchsorted(np.cumsum(logged), rng.random(n)).clip(0, ARTWORKS - 1)
        take = (rng.random(n) < appetite * self.worth[liked, slot]).astype(float)
        out, largest = np.zeros((self.members, len(LAYOUT.names))), np.zeros((self.members, 1))
        add_up(
            member, np.arange(n + 1) * ARTWORKS, slot, logged[slot], take[:, None],
            np.tile(self.model, n)[:, None], self.target[liked].reshape(-1, 1), np.ones((n, 1), dtype=bool),
            FRAME.group, FRAME.starts, FRAME.columns, CLIP, CLIP, out, FRAME.common(0), largest,
        )  # fmt: skip
        return out, float(largest.max())


WIDE = World(members=500, rate=0.1, greedy=0.9)


@lru_cache(maxsize=8)
def simulated(world: World, runs: int) -> list[tuple[Moments, float]]:
    """Moments and largest weight of each log."""
    found = (world.sums(run) for run in range(runs))
    return [(Moments.of(sums), largest) for sums, largest in found]


def values(world: World, runs: int, name: str) -> np.ndarray:
    """The estimates of each log."""
    return np.array([ESTIMATORS[name](m, LAYOUT, "new", "take").value for m, _ in simulated(world, runs)])


@pytest.mark.parametrize("runs", BOTH)
@pytest.mark.parametrize("name", ["ips", "dr"])
def test_unbiased_though_the_model_is_wrong(name, runs):
    found = values(WIDE, runs, name)
    assert abs(found.mean() - WIDE.truth()) < 3 * found.std(ddof=1) / np.sqrt(runs)


@pytest.mark.parametrize("runs", BOTH)
@pytest.mark.parametrize("name", ["snips", "sndr"])
def test_bias_of_self_normalising_is_small(name, runs):
    found = values(WIDE, runs, name)
    spread = found.std(ddof=1)
    # A tenth of the standard deviation, and what the simulation itself does not know.
    assert abs(found.mean() - WIDE.truth()) < 0.1 * spread + (0 if runs >= 4000 else 2 * spread / np.sqrt(runs))


@pytest.mark.parametrize("runs", BOTH)
@pytest.mark.parametrize("name", ["dm", "clipped", "switch"])
def test_bias_is_the_closed_form(name, runs):
    found = values(WIDE, runs, name)
    bias = WIDE.bias(name)
    error = 3 * found.std(ddof=1) / np.sqrt(runs)
    assert abs(found.mean() - WIDE.truth() - bias) < error + 1e-12
    assert abs(bias) > 2 * error  # the test can tell this bias from none


def allowed(world: World, runs: int) -> list[bool]:
    """Which logs are not refused, the rate of takes being known from earlier days."""
    return [
        thin_overlap(m, LAYOUT, "new", largest, SETTINGS, world.log_rate) is None
        for m, largest in simulated(world, runs)
    ]


def coverage(world: World, runs: int, name: str) -> tuple[float, float]:
    """Share of intervals that hold the truth among the logs that are not refused, and the share of those."""
    kept = [m for (m, _), good in zip(simulated(world, runs), allowed(world, runs), strict=True) if good]
    spans = [interval(ESTIMATORS[name](m, LAYOUT, "new", "take"), m) for m in kept]
    return float(np.mean([low <= world.truth() <= high for low, high in spans])), len(kept) / runs


UNEVEN = {"greedy": 0.0, "logged": (0.6, 0.3, 0.098, 0.002), "alike": (0.5, 0.3, 0.1, 0.1)}
RARE = World(members=7000, rate=0.1, **UNEVEN)
"""A take of the artwork that the log hardly shows has a weight of 50; a log has about ten of them."""
UNSEEN = World(members=1000, rate=0.021, **UNEVEN)
"""Most logs have none: their intervals would hold the truth in 77 of 100, though the effective sample is 1,000 and
one more such take would be a quarter of all."""
NEAR = World(members=930, rate=0.05, greedy=0.9)
"""Some logs are refused, most are not."""


WORLDS = [
    pytest.param(WIDE, id="exploring target"),
    pytest.param(World(members=600, rate=0.1, greedy=1.0), id="greedy target"),
    pytest.param(World(members=2000, rate=0.03, greedy=0.9), id="rare takes"),
    pytest.param(World(members=300, rate=0.2, greedy=0.5), id="near the log"),
    pytest.param(World(members=300, rate=0.2, greedy=0.9), id="at the limit of the effective sample"),
    pytest.param(NEAR, id="at the limit of takes"),
    pytest.param(World(members=4700, rate=0.01, greedy=0.9), id="at the limit, very rare takes"),
    pytest.param(RARE, id="at the limit, one weight far above the others"),
]


@pytest.mark.parametrize("runs", BOTH)
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("name", ["ips", "snips", "dr", "sndr"])
def test_intervals_cover(world, name, runs):
    covered, kept = coverage(world, runs, name)
    assert kept > 0.7
    slack = 0.0 if runs >= 4000 else 3 * np.sqrt(0.95 * 0.05 / runs)
    assert 0.93 - slack <= covered <= 0.97 + slack


@pytest.mark.parametrize("runs", BOTH)
@pytest.mark.parametrize("name", ["ips", "snips", "dr", "sndr"])
def test_refusals_do_not_keep_the_lucky_logs(runs, name):
    """Estimates of the logs that pass the limits are those of all logs: the limits look at weights, not at outcomes."""
    found, kept = values(NEAR, runs, name), np.array(allowed(NEAR, runs))
    assert 0.5 * runs < kept.sum() < 0.98 * runs
    spread = found.std(ddof=1)
    # Self-normalised estimators have a bias of their own. Plain IPS follows the weights that a log happened to draw, by
    # which logs are refused: where a quarter is, those left are an eighth of a standard deviation too high.
    own = {"dr": 0.0, "snips": 0.1, "sndr": 0.1, "ips": 0.15}[name] * spread
    assert abs(found[kept].mean() - NEAR.truth()) < 3 * spread / np.sqrt(kept.sum()) + own


@pytest.mark.soak
def test_a_limit_on_the_takes_that_came_would_keep_them():
    """What the limits did before they knew an earlier rate, and do where none is known."""
    kept = [thin_overlap(m, LAYOUT, "new", w, SETTINGS) is None for m, w in simulated(NEAR, 4000)]
    found = values(NEAR, 4000, "ips")
    chosen = found[kept]
    assert 0.2 < (chosen.mean() - NEAR.truth()) / found.std(ddof=1) < 0.4


@pytest.mark.parametrize("runs", BOTH)
@pytest.mark.parametrize("world", [World(60, 0.1, 0.9), World(100, 0.03, 1.0), UNSEEN])
def test_too_little_is_refused(world, runs):
    assert not any(allowed(world, runs))


@pytest.mark.parametrize("runs", [pytest.param(60, id="short"), pytest.param(1000, id="soak", marks=pytest.mark.soak)])
def test_bootstrap_covers(runs):
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 2**63, WIDE.members).astype(np.uint64)
    covered = []
    for run in range(runs):
        sums, _ = WIDE.sums(run)
        moments = Moments.of(sums)
        drawn = replicates(counts(codes + np.uint64(run), 100), sums)
        estimates = [
            ESTIMATORS["dr"](Moments(moments.members, row, moments.products), LAYOUT, "new", "take").value
            for row in drawn
        ]
        low, high = boot_interval(estimates)
        covered.append(low <= WIDE.truth() <= high)
    assert 0.93 - 3 * np.sqrt(0.95 * 0.05 / runs) <= np.mean(covered) <= 0.97 + 3 * np.sqrt(0.95 * 0.05 / runs)
