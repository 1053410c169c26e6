"""How much is explored: larger even shares for cold titles, and their sum over the catalogue within a budget."""

from collections.abc import Sequence

import numpy as np

from keyart.errors import ConfigError
from keyart.policy.assignment import best_of_title
from keyart.policy.exploration import Exploration
from keyart.policy.floors import Floor
from keyart.policy.placement import Shelves

__all__ = ["cold_shares", "floor_within", "within_budget"]

DECIMALS = 4
"""Of the shares that are stored; they are rounded down, so that the budget holds."""


def floor_within(
    shelves: Shelves,
    world: int,
    exploration: Exploration,
    *,
    least: float,
    cold: float,
    half: float,
    budget: float,
) -> tuple[Floor, float]:
    """The floor of an assignment and the expected share of decisions that do not show the best of the level.

    ``world`` is the global cell, by whose decisions titles are cold or not; the other parameters are those of
    ``cold_shares`` and ``within_budget``.
    """
    slate, allowed = shelves.slate, shelves.allowed[world]
    drawn = shelves.probabilities(exploration, world)
    n = np.where(allowed, np.asarray(slate.arrays["cell_n"])[world], 0)
    sizes, seen, shown = (np.bincount(slate.title_index, values) for values in (allowed, n, drawn))
    best = best_of_title(np.asarray(slate.arrays["cell_mean"])[world : world + 1], slate)[0]
    fewest = np.minimum.reduceat(np.where(allowed, n, np.inf), slate.starts)
    return within_budget(
        slate.title_ids,
        sizes.astype(np.int64),
        np.where(shown > 0, 1 - drawn[best], 0.0),
        seen,
        cold_shares(fewest, cold, half),
        least,
        budget,
    )


def cold_shares(least_seen: np.ndarray, most: float, half: float) -> np.ndarray:
    """Even share (T,) of titles whose least seen artwork had ``least_seen`` (T,) decisions: ``most`` while there are
    none, half of it after ``half``.

    >>> cold_shares(np.array([0, 1000, 9000]), 0.4, 1000).tolist()
    [0.4, 0.2, 0.04]
    """
    return most * half / (half + least_seen)


def within_budget(
    title_ids: Sequence[str] | np.ndarray,
    sizes: np.ndarray,
    explored: np.ndarray,
    seen: np.ndarray,
    cold: np.ndarray,
    least: float,
    budget: float,
) -> tuple[Floor, float]:
    """A floor whose expected share of decisions that do not show the best is at most ``budget``, and that share.

    For titles (T,): artworks, the exploration's own share of decisions beside the best, decisions seen, and the even
    share that they are to have while they are cold. Titles weigh by decisions, those seen less than the average as the
    average: what is new will be shown. What is beyond the floor is cut by the same factor everywhere; ConfigError
    where the floor and the exploration alone are over the budget.
    """
    weight = np.maximum(seen, seen.mean()) + 1e-9
    weight = weight / weight.sum()
    floor = Floor(least).shares(title_ids, sizes)
    more = np.where(sizes > 1, np.maximum(cold - floor, 0.0), 0.0)
    aside = 1 - 1 / np.maximum(sizes, 1)  # of an even draw

    def spent(share: np.ndarray) -> float:
        return float(np.sum(weight * ((1 - share) * explored + share * aside)))

    least_spent = spent(floor)
    if least_spent > budget + 1e-9:
        raise ConfigError(
            f"assign.budget is {budget:g}, and assign.explore with assign.floor {least:g} spends {least_spent:.4f} of "
            "decisions beside the best: explore less or raise the budget"
        )
    room = spent(floor + more) - least_spent
    factor = min(1.0, (budget - least_spent) / room) if room > 0 else 0.0
    share = np.floor((floor + max(factor, 0.0) * more) * 10**DECIMALS) / 10**DECIMALS
    found = Floor(least, {str(t): float(s) for t, s, f in zip(title_ids, share, floor, strict=True) if s > f})
    return found, spent(found.shares(title_ids, sizes))
