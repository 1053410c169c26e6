"""What may not happen, whatever was learned; applied before the draw, so that propensities are of what was served."""

from collections.abc import Iterable, Sequence
from datetime import date

import numpy as np

__all__ = ["Window", "is_available", "is_personalised", "masked"]

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
