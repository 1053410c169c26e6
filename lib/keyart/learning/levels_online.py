"""Levels that go on learning between trainings: a response model's effects by cell, given the rewards of later days.

Variances and weights of features stay as they were trained, so artworks no longer speak for each other: what moves is
each artwork's own effect along the tree of cells, u ~ N(mean, V) with V what training left uncertain. It is recomputed
from all rewards since training, never incremented: the same sums give the same levels. C cells, A artworks, R regions.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from keyart.learning.blocks import Arrays
from keyart.learning.coordinates import by_title
from keyart.learning.offset import smoothed_rates
from keyart.learning.shrinkage import Tree, own_covariance, tree_of

__all__ = ["KEPT", "SUMS", "moved_effects", "moved_levels", "reward_counts"]

KEPT = ("own_variances", "own_precision")
"""Arrays of a response model without which its levels can only be trained again."""
SUMS = ("n", "takes", "w", "w2", "wr", "w2r2")
"""Of artwork_stats, by region and artwork, in this order."""
ROUNDS = 4
ARTWORKS = 2_000
"""Artworks worked on at a time: each takes several (C, C) matrices."""


def reward_counts(sums: np.ndarray, title_index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What was seen and what was to be expected of an average artwork, (R, A) each, as counts of Poisson's variance.

    ``sums`` (6, R, A) are SUMS. As in training, decisions weigh 1 / propensity, so that the rate of a title in a region
    is its average artwork's, and leans on the title's; a weighted sum is divided by its variance over its mean.
    """
    n, _, w, w2, wr, w2r2 = sums
    decisions, weight, worth = (by_title(values.T, title_index) for values in (n, w, wr))  # (T, R)
    average = np.divide(worth, weight, out=np.zeros_like(worth), where=weight > 0)
    rates = smoothed_rates(decisions, decisions * average)[0][title_index].T
    usual = np.sum(w2 * rates)
    spread = w2r2.sum() / usual if w2r2.sum() > 0 else 1.0  # a reward's second moment over its mean
    inflation = np.divide(spread * w2, w, out=np.ones_like(w), where=w > 0)
    return wr / inflation, w * rates / inflation


def moved_effects(
    tree: Tree, variances: np.ndarray, precision: np.ndarray, mean: np.ndarray, seen: np.ndarray, expected: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Means (C, A) given counts seen ~ Poisson(expected exp(effect)), (C, A), and what this took off the variances.

    An effect is a sum of parts (take, quality), of which training left ``precision`` (parts, C, A) of observations
    under prior ``variances`` (parts, 3 levels). Laplace's approximation, as in ``shrinkage.rate_effects``.
    """
    moved, less = mean.copy(), np.zeros_like(mean)
    news = np.flatnonzero(expected.any(axis=0))
    for start in range(0, len(news), ARTWORKS):
        some = news[start : start + ARTWORKS]
        parts = zip(variances, precision, strict=True)
        left = np.sum([own_covariance(tree, of_part, observed[:, some]) for of_part, observed in parts], axis=0)
        moved[:, some], less[:, some] = _conditioned(left, mean[:, some], seen[:, some], expected[:, some])
    return moved, less


def _conditioned(
    covariance: np.ndarray, mean: np.ndarray, seen: np.ndarray, expected: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    here = np.flatnonzero(expected.any(axis=1))
    between, inside = covariance[:, :, here], covariance[:, here][:, :, here]
    moved = mean
    for _ in range(ROUNDS):
        fitted = (expected * np.exp(moved))[here].T  # (A, S)
        change = np.divide(seen[here].T - fitted, fitted, out=np.zeros_like(fitted), where=fitted > 0)
        away = (moved - mean)[here].T + change
        # (inside + 1 / fitted)^-1 written so that precision 0 divides by nothing
        inner = np.eye(len(here)) + fitted[:, :, None] * inside
        answer = np.linalg.solve(inner, (fitted * away)[:, :, None])
        moved = mean + (between @ answer)[:, :, 0].T
    gain = np.linalg.solve(inner, fitted[:, :, None] * between.transpose(0, 2, 1))
    return moved, np.einsum("acs,asc->ca", between, gain)


def moved_levels(
    arrays: Mapping[str, np.ndarray], cells: Sequence[Mapping[str, str | None]], sums: Mapping[str, np.ndarray]
) -> Arrays:
    """The model's arrays with ``cell_mean``, ``cell_sd``, ``cell_n`` and ``cell_takes`` given later rewards.

    ``sums`` are SUMS (6, A) by region; regions that are no cell of the model have no say.
    """
    named = {(str(cell["level"]), str(cell["cell"])): c for c, cell in enumerate(cells)}
    known = sorted(region for region in sums if ("region", region) in named)
    taken = {name: np.array(values) for name, values in arrays.items()}
    if not known:
        return taken
    place, title_index = [named["region", region] for region in known], taken["title_index"]
    stacked = np.stack([sums[region] for region in known], axis=1)
    tree = tree_of(_parents(cells, named))
    grid = np.zeros((4, *taken["cell_mean"].shape))
    grid[0, place], grid[1, place] = reward_counts(stacked, title_index)
    grid[2:, place] = stacked[:2]
    mean, less = moved_effects(
        tree, taken["own_variances"], taken["own_precision"].astype(float), taken["cell_mean"], *grid[:2]
    )
    news = np.bincount(title_index, grid[1].any(axis=0)) > 0
    average = by_title(mean.T, title_index) / np.maximum(np.bincount(title_index), 1)[:, None]
    before = by_title(taken["cell_mean"].T, title_index) / np.maximum(np.bincount(title_index), 1)[:, None]
    # Scores stay against the title's average artwork, which differences within the title do not notice.
    shift = np.where(news[:, None], average - before, 0)[title_index].T
    return taken | {
        "cell_mean": mean - shift,
        "cell_sd": np.sqrt(np.maximum(taken["cell_sd"] ** 2 - less, 1e-12)),
        "cell_n": taken["cell_n"] + tree.paths.T @ grid[2],
        "cell_takes": taken["cell_takes"] + tree.paths.T @ grid[3],
    }


def _parents(cells: Sequence[Mapping[str, str | None]], named: Mapping[tuple[str, str], int]) -> list[int]:
    return [
        -1 if cell["level"] == "global" else named["global", "*"] if cell["level"] == "parent" else
        named["parent", str(cell["parent"])]
        for cell in cells
    ]  # fmt: skip
