"""How long an artwork stays: draws that change at borders staggered by member, and choices kept until then.

Nothing is stored of what a member saw: the border before a day follows from the member's key alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import pyarrow as pa

from keyart import seeding
from keyart.policy.assignment import Overrides, Slate
from keyart.policy.choices import GreedyChoices, of_segments
from keyart.policy.columns import codes, owners, per_text

__all__ = ["BEFORE", "STEADY", "Before", "drawn_for", "same_period", "since", "stayed"]

STEADY = frozenset({"continue_watching"})
"""Surfaces on which a member's draw for a title never changes."""
BEFORE = ("titles_before", "artworks_before", "segment_before")
"""Columns of members with what they saw under the policy before."""


@dataclass(frozen=True)
class Before:
    """An earlier policy's choices on the codes of a slate."""

    policy_id: str
    as_of: date
    choices: GreedyChoices
    slate: Slate

    def shown(self, batch: pa.RecordBatch) -> np.ndarray:
        """(n, T) what members (region and BEFORE) saw when it did not explore; -1 where that is not in the slate."""
        titles, artworks, column, here = self._codes
        region, segment = per_text(batch.column("region")), per_text(batch.column(BEFORE[2]))
        shown, row = of_segments(self.choices, region, segment)
        found = np.where(column >= 0, here[shown][:, column], -1)[row]
        own = owners(batch.column(BEFORE[0]))
        title, artwork = (
            codes(batch.column(name).flatten(), known_as)
            for name, known_as in zip(BEFORE[:2], (titles, artworks), strict=True)
        )
        found[own[title >= 0], title[title >= 0]] = artwork[title >= 0]
        return found

    @cached_property
    def _codes(self) -> tuple[list[str], list[str], np.ndarray, np.ndarray]:
        """The slate's titles (T,) and artworks, each title's column in the earlier choices, and each earlier artwork's
        code in the slate, with one more place at the end for none: for all batches."""
        titles, artworks = self.slate.title_ids.tolist(), self.slate.artwork_ids.tolist()
        known = {title: t for t, title in enumerate(self.choices.title_ids)}
        column = np.array([known.get(title, -1) for title in titles])
        return titles, artworks, column, np.append(codes(pa.array(self.choices.artwork_ids, pa.string()), artworks), -1)


def since(salt: str, user_key: str, day: date, days: int) -> date:
    """First day of the period of ``days`` days in which a day lies for a member; the day itself where days is 1.

    >>> all(0 <= (date(2026, 1, 9) - since("salt", user, date(2026, 1, 9), 7)).days < 7 for user in "abc")
    True
    """
    return day if days == 1 else day - timedelta(days=(day.toordinal() + _offset(salt, user_key, days)) % days)


def drawn_for(salt: str, user_key: str, day: date, days: int, surface: str = "") -> object:
    """What stands for the time in the key of a member's draw: the period's first day, or on a steady surface its name.

    Propensities do not depend on it: the same distribution is drawn from, with another number or with one for long.
    """
    return surface if surface in STEADY else since(salt, user_key, day, days)


def same_period(salt: str, user_keys: Sequence[str], before: date, day: date, days: int) -> np.ndarray:
    """Which members (n,) have no border after the day ``before`` until ``day``."""
    offsets = np.array([_offset(salt, user, days) for user in user_keys], dtype=np.int64)
    return (before.toordinal() + offsets) // days == (day.toordinal() + offsets) // days


def stayed(
    found: Overrides,
    defaults: np.ndarray,
    before: np.ndarray,
    held: np.ndarray,
    taste: np.ndarray,
    cells: np.ndarray,
    level: np.ndarray,
    features: np.ndarray,
    most: float,
) -> Overrides:
    """Overrides with which members ``held`` (n,) go on seeing what they saw, unless the new choice gains over ``most``.

    ``found`` are the new policy's and ``defaults`` (n, T) what its levels show; ``before`` (n, T) is what the earlier
    policy showed, -1 where that is nothing. Scores are level (C, A) in the members' cells (n,), minus infinity for what
    may not be shown, plus taste (n, D) times features (A, D). What stays although its level's default is better now has
    gain 0.
    """
    shown, gain = defaults.copy(), np.zeros(defaults.shape, dtype=np.float32)
    shown[found.member, found.title], gain[found.member, found.title] = found.artwork, found.gain
    member, title = np.nonzero(held[:, None] & (before >= 0) & (before != shown))
    if not len(member):
        return found

    def score(artwork: np.ndarray) -> np.ndarray:
        own = np.einsum("od,od->o", taste[member], features[artwork])
        return level[cells[member], artwork] + own

    old, new, default = (values[member, title] for values in (before, shown, defaults))
    stays = score(new) - score(old) <= most
    member, title, old, default = (values[stays] for values in (member, title, old, default))
    shown[member, title] = old
    # Only what stays is scored again: the others keep the gain that they were found with.
    gain[member, title] = np.maximum(score(old) - score(default), 0.0)
    own, of = np.nonzero(shown != defaults)
    return Overrides(own, of, shown[own, of], defaults[own, of], gain[own, of])


def _offset(salt: str, user_key: str, days: int) -> int:
    return int(seeding.uniform(salt, user_key, "stay") * days) if days > 1 else 0
