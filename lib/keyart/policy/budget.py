"""How much is explored: larger even shares for cold titles, and their sum over the catalogue within two budgets.

Exploration spends decisions, which do not show the level's best, and reward, which the best was expected to bring and
what is shown instead is not. Both are linear in the even shares of titles. A artworks, T titles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from keyart.errors import ConfigError
from keyart.policy.assignment import best_of_title
from keyart.policy.exploration import Exploration
from keyart.policy.floors import Floor
from keyart.policy.placement import Shelves

__all__ = ["Spending", "cold_shares", "floor_within", "spendings", "within_budget"]

DECIMALS = 4
"""Of the shares that are stored; they are rounded down, so that the budgets hold."""
WHOLES = {"budget": "decisions beside the best", "reward_budget": "the reward that the best would bring"}
PRIOR_TAKES = 1.0
"""Takes at the catalogue's rate that every title's rate leans on."""


@dataclass(frozen=True)
class Spending:
    """What exploration takes of the whole, by title: of its own accord, and where artworks are drawn evenly."""

    weight: np.ndarray  # (T,) the title's part of the whole, sum 1
    alone: np.ndarray  # (T,) share that the exploration takes by itself
    even: np.ndarray  # (T,) share that an even draw takes

    @classmethod
    def of(cls, amount: np.ndarray, alone: np.ndarray, even: np.ndarray) -> "Spending":
        """From amounts (T,) by title."""
        positive = amount + 1e-9
        return cls(positive / positive.sum(), alone, even)

    def spent(self, share: np.ndarray) -> float:
        """Of the whole, where these shares (T,) of titles' decisions are drawn evenly."""
        return float(np.sum(self.weight * ((1 - share) * self.alone + share * self.even)))


def spendings(shelves: Shelves, world: int, exploration: Exploration) -> tuple[Spending, Spending]:
    """What the exploration spends of decisions and of expected reward at the level ``world``.

    Titles weigh by their decisions, those seen less than the average as the average: what is new will be shown. The
    reward of a decision is the title's take rate times what the model says of the artwork, beside the best's.
    """
    slate, allowed = shelves.slate, shelves.allowed[world]
    titles = len(slate.title_ids)
    drawn, means = shelves.probabilities(exploration, world), np.asarray(slate.arrays["cell_mean"])[world]
    n, takes = (np.where(allowed, np.asarray(slate.arrays[name])[world], 0) for name in ("cell_n", "cell_takes"))
    sizes, seen, shown, taken = (np.bincount(slate.title_index, v, titles) for v in (allowed, n, drawn, takes))
    best = best_of_title(means[None], slate)[0]
    weight = np.maximum(seen, seen.mean())
    aside = np.where(shown > 0, 1 - drawn[best], 0.0)
    decisions = Spending.of(weight, aside, 1 - 1 / np.maximum(sizes, 1))

    worth = np.where(allowed, np.exp(means - means[best][slate.title_index]), 0)  # beside the best's
    rate = max(taken.sum(), PRIOR_TAKES) / max(seen.sum(), 1.0)
    value = (taken + PRIOR_TAKES) / (seen + PRIOR_TAKES / rate)
    average = np.bincount(slate.title_index, worth, titles) / np.maximum(sizes, 1)
    kept = np.bincount(slate.title_index, drawn * worth, titles)
    # The rate is an average artwork's: the best's is larger by as much as it is better.
    value = np.divide(value, average, out=np.zeros_like(value), where=average > 0)
    return decisions, Spending.of(
        weight * value, np.where(shown > 0, 1 - kept, 0.0), np.where(sizes > 0, 1 - average, 0)
    )


def floor_within(
    shelves: Shelves,
    world: int,
    exploration: Exploration,
    *,
    least: float,
    cold: float,
    half: float,
    budget: float,
    reward_budget: float = 1.0,
) -> tuple[Floor, float, float]:
    """The floor of an assignment and the expected shares of decisions and of reward that exploration spends.

    ``world`` is the global cell, by whose decisions titles are cold or not; the other parameters are those of
    ``cold_shares`` and ``within_budget``.
    """
    slate, allowed = shelves.slate, shelves.allowed[world]
    n = np.where(allowed, np.asarray(slate.arrays["cell_n"])[world], np.inf)
    sizes = np.bincount(slate.title_index, allowed).astype(np.int64)
    fewest = np.minimum.reduceat(n, slate.starts)
    decisions, reward = spendings(shelves, world, exploration)
    budgets = {"budget": (decisions, budget), "reward_budget": (reward, reward_budget)}
    floor = within_budget(slate.title_ids, sizes, budgets, cold_shares(fewest, cold, half), least)
    shares = floor.shares(slate.title_ids, sizes)
    return floor, decisions.spent(shares), reward.spent(shares)


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
    budgets: Mapping[str, tuple[Spending, float]],
    cold: np.ndarray,
    least: float,
) -> Floor:
    """A floor whose spendings are within their budgets, by the settings' names under ``assign``.

    For titles (T,): artworks, and the even share that they are to have while they are cold. What is beyond the floor
    is cut by the same factor everywhere; ConfigError where the floor and the exploration alone are over a budget.
    """
    floor = Floor(least).shares(title_ids, sizes)
    more = np.where(sizes > 1, np.maximum(cold - floor, 0.0), 0.0)
    factor = 1.0
    for name, (spending, budget) in budgets.items():
        least_spent = spending.spent(floor)
        if least_spent > budget + 1e-9:
            raise ConfigError(
                f"assign.{name} is {budget:g}, and assign.explore with assign.floor {least:g} spends {least_spent:.4f} "
                f"of {WHOLES[name]}: explore less or raise the budget"
            )
        room = spending.spent(floor + more) - least_spent
        factor = min(factor, (budget - least_spent) / room) if room > 0 else factor
    share = np.floor((floor + max(factor, 0.0) * more) * 10**DECIMALS) / 10**DECIMALS
    return Floor(least, {str(t): float(s) for t, s, f in zip(title_ids, share, floor, strict=True) if s > f})
