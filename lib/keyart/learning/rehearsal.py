"""Rehearsals of the region level: simulated regions of known rates, and what each way of pooling them gives away.

A region's effects are what all regions share, plus its parent's, plus its own; each is partly a liking of features and
partly the artworks' own. Decisions are very unequal: from a region that barely exists to one that needs nobody.
R regions, A artworks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from keyart.learning.coordinates import Coordinates, artwork_coordinates, by_title
from keyart.learning.fit import Cells, cells_of
from keyart.learning.offset import smoothed_rates
from keyart.learning.shrinkage import Posterior, rate_effects
from keyart.seeding import rng

__all__ = ["ESTIMATORS", "WORLDS", "Drawn", "World", "against_better", "draw_world", "regrets", "shrunk"]

REGIONS = ("AT", "CH", "DE", "DK", "NO", "SE", "JP", "BR")
PARENTS = {"AT": "dach", "CH": "dach", "DE": "dach", "DK": "nordics", "NO": "nordics", "SE": "nordics"}
FEWEST, MOST = 30, 100_000
"""Decisions of the smallest and the largest region; the others lie between them in equal ratios."""
TITLES, ARTWORKS, FEATURES = 24, 5, 6
TAKE_RATE = 0.06
LARGEST_RATE = 0.6


@dataclass(frozen=True)
class World:
    """How much regions differ: standard deviations of log take rates."""

    everywhere: float
    parent: float = 0.0
    region: float = 0.0
    outlier: float = 0.0
    """Of the effects of one region, drawn anew each time, that shares nothing with the others; 0: none does."""
    explained: float = 0.5
    """Share of all variances that follows from features."""


WORLDS: dict[str, World] = {
    "equal": World(0.3),
    "mild": World(0.3, 0.07, 0.1),
    "strong": World(0.2, 0.2, 0.4),
    "outlier": World(0.3, outlier=0.5),
}


@dataclass(frozen=True)
class Drawn:
    """A world drawn once: what a log of it shows, and the truth."""

    cells: Cells
    coordinates: Coordinates
    title_index: np.ndarray  # (A,)
    n: np.ndarray  # (R, A) decisions
    takes: np.ndarray  # (R, A)
    rate: np.ndarray  # (R, A) true take rates
    liking: np.ndarray  # (R, P) true weights of the coordinates


def draw_world(world: World, seed: int) -> Drawn:
    """One draw; the same seed has the same catalogue and traffic in every world."""
    catalogue, random = rng(seed, "rehearsal", "catalogue"), rng(seed, "rehearsal", "effects")
    count, title_index = TITLES * ARTWORKS, np.repeat(np.arange(TITLES), ARTWORKS)
    coordinates = artwork_coordinates(catalogue.normal(size=(count, FEATURES)), title_index, FEATURES)
    sizes = catalogue.permutation(np.geomspace(FEWEST, MOST, len(REGIONS)).round().astype(np.int64))
    popularity = catalogue.dirichlet(np.full(TITLES, 3.0))
    n = np.array([catalogue.multinomial(size, popularity[title_index] / ARTWORKS) for size in sizes])
    level = np.log(TAKE_RATE) + 0.4 * catalogue.normal(size=TITLES) + 0.2 * catalogue.normal(size=(len(REGIONS), 1))

    def effects(sd: float) -> np.ndarray:
        """(A + P,): of the artworks, and behind them the weights that explain a part of each."""
        liking = sd * np.sqrt(world.explained) * random.normal(size=coordinates.features.shape[1])
        own = sd * np.sqrt(1 - world.explained) * random.normal(size=count)
        return np.append(coordinates.features @ liking + own, liking)

    cells = cells_of(REGIONS, PARENTS)
    everywhere = effects(world.everywhere)
    groups = {about["cell"]: effects(world.parent) for about in cells.about if about["level"] == "parent"}
    above = [cells.about[cell]["parent"] for cell in cells.observed]
    effect = np.array([everywhere + groups[group] + effects(world.region) for group in above])
    apart = effects(world.outlier)
    if world.outlier:
        effect[random.integers(len(REGIONS))] = apart
    effect, liking = effect[:, :count], effect[:, count:]
    rate = np.minimum(np.exp(level[:, title_index] + effect), LARGEST_RATE)
    return Drawn(cells, coordinates, title_index, n, random.binomial(n, rate), rate, liking)


def shrunk(drawn: Drawn) -> Posterior:
    """The posterior as the response model finds it, where decisions have no covariates and equal propensities."""
    rates, _ = smoothed_rates(by_title(drawn.n.T, drawn.title_index), by_title(drawn.takes.T, drawn.title_index))
    shape = (len(drawn.cells.about), drawn.n.shape[1])
    seen, expected = np.zeros(shape), np.zeros(shape)
    seen[drawn.cells.observed] = drawn.takes
    expected[drawn.cells.observed] = drawn.n * rates[drawn.title_index].T
    return rate_effects(drawn.cells.tree, seen, expected, drawn.coordinates.features, drawn.title_index)


def _own_rates(n: np.ndarray, takes: np.ndarray, title_index: np.ndarray) -> np.ndarray:
    """Logs of rates (R, A) of counts (R, A), each with one take more at its title's rate in the region."""
    title_n, title_takes = by_title(n.T, title_index), by_title(takes.T, title_index)
    usual = ((title_takes + 1) / (title_n + 1 / TAKE_RATE))[title_index].T
    return np.log((takes + 1) / (n + 1 / usual))


def _pooled(drawn: Drawn) -> np.ndarray:
    together = [counts.sum(axis=0, keepdims=True) for counts in (drawn.n, drawn.takes)]
    return np.broadcast_to(_own_rates(together[0], together[1], drawn.title_index), drawn.n.shape)


ESTIMATORS: dict[str, Callable[[Drawn], np.ndarray]] = {
    "shrunk": lambda drawn: shrunk(drawn).mean[drawn.cells.observed],
    "no pooling": lambda drawn: _own_rates(drawn.n, drawn.takes, drawn.title_index),
    "full pooling": _pooled,
}
"""Scores (R, A) by which a region ranks a title's artworks."""


def regrets(drawn: Drawn, scores: np.ndarray) -> tuple[float, float]:
    """Take rate lost by showing each title's best scored artwork: every region alike, and every decision alike."""
    shape = (len(drawn.n), TITLES, ARTWORKS)
    rate, chosen = drawn.rate.reshape(shape), scores.reshape(shape).argmax(axis=2)
    best = rate.max(axis=2)
    lost = best - np.take_along_axis(rate, chosen[:, :, None], axis=2)[:, :, 0]
    return float(lost.mean()), float(np.average(lost, weights=by_title(drawn.n.T, drawn.title_index).T))


def against_better(found: Mapping[str, np.ndarray], ours: str = "shrunk") -> tuple[str, float, float]:
    """The better of the others by mean regret over seeds, our mean over its mean, and the ratio's standard error.

    ``found`` are regrets (seeds,) by estimator on the same draws; the error is the delta method's for paired means.
    """
    better = min((name for name in found if name != ours), key=lambda name: found[name].mean())
    base = found[better].mean()
    ratio = found[ours].mean() / base
    error = (found[ours] - ratio * found[better]).std(ddof=1) / np.sqrt(len(found[ours])) / base
    return better, float(ratio), float(error)
