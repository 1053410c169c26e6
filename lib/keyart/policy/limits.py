"""What may not happen, whatever was learned; applied before the draw, so that propensities are of what was served."""

from collections.abc import Iterable, Sequence
from datetime import date

import numpy as np
from scipy.stats import norm

__all__ = ["Window", "is_available", "is_personalised", "kept_by_look", "look_of", "masked", "misleading"]

Window = tuple[str, date | None, date | None]
"""A rights window: region, first day, day after the last; None is open."""


def is_available(regions: Sequence[str], rights: Iterable[Window], region: str, day: date | None = None) -> bool:
    """Whether a title may be shown in a region (on a day, where one is given).

    No regions means everywhere. Where the region has rights windows the day must lie in one of them; a title whose
    windows all belong to other regions is judged by ``regions`` alone.

    >>> is_available(["SE", "NO"], [], "JP")
    False
    >>> is_available([], [("SE", date(2026, 2, 1), None)], "SE", date(2026, 1, 31))
    False
    """
    if regions and region not in regions:
        return False
    windows = [(first, end) for where, first, end in rights if where == region]
    if day is None or not windows:
        return True
    return any((first is None or first <= day) and (end is None or day < end) for first, end in windows)


def is_personalised(kids: bool | None) -> bool:
    """Whether a member's own overrides may be used: never on a kids' profile; an unknown profile is a grown-up's."""
    return not kids


def masked(scores: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Scores with minus infinity where an artwork may not be shown (inactive, withdrawn); shapes broadcast."""
    return np.where(allowed, scores, -np.inf)


def look_of(moods: Sequence[str], shot_type: str) -> str:
    """What an artwork looks like in a word: its strongest mood, else how near it is.

    >>> look_of(["tense", "epic"], "wide"), look_of([], "close-up")
    ('tense', 'close-up')
    """
    return moods[0] if moods else shot_type


def misleading(
    takes: np.ndarray, abandoned: np.ndarray, title: np.ndarray, most: float, level: float = 0.99
) -> np.ndarray:
    """Which artworks (A,) are abandoned more than ``most`` times as often as their title's other artworks.

    From takes (A,), those abandoned (A,) and the title of each artwork (A,). One-sided score test at ``level`` of the
    share against ``most`` times the others' share: its variance is that of the largest share allowed, so that a bad
    start among few takes proves nothing.
    """
    others, theirs = (np.bincount(title, values)[title] - values for values in (takes, abandoned))
    n, m = np.maximum(takes, 1), np.maximum(others, 1)
    q = (theirs + 1) / (m + 2)
    allowed = np.minimum(most * q, 1.0)
    variance = allowed * (1 - allowed) / n + most**2 * q * (1 - q) / m
    return (takes > 0) & (others > 0) & (abandoned / n - allowed > norm.ppf(level) * np.sqrt(variance))


def kept_by_look(
    member: np.ndarray, gain: np.ndarray, look: np.ndarray, instead: np.ndarray, counts: np.ndarray, most: float
) -> np.ndarray:
    """Which overrides (o,) stay where a member may see at most a share ``most`` of their titles in one look.

    Overrides of rows ``member`` are given by gain, the look they show (o,) and the look of the default they replace
    (o,); ``counts`` (members, looks) is how many titles each member sees in each look by default. Overrides are let in
    by gain, the largest first, while their look has room; one that shows the default's own look always may.
    """
    counts = counts.copy()
    room = most * counts.sum(axis=1)
    order = np.lexsort((-gain, member))
    _, first = np.unique(member[order], return_index=True)
    nth = np.arange(len(order)) - np.repeat(first, np.diff(np.append(first, len(order))))
    kept = np.zeros(len(order), dtype=bool)
    for step in range(int(nth.max(initial=-1)) + 1):  # one override of every member at a time
        rows = order[nth == step]
        who, new, old = member[rows], look[rows], instead[rows]
        fits = (new == old) | (counts[who, new] + 1 <= room[who])
        kept[rows] = fits
        np.add.at(counts, (who[fits], new[fits]), 1)
        np.add.at(counts, (who[fits], old[fits]), -1)
    return kept
