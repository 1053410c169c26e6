"""For which titles a member may have artwork of their own: all, or those they are most likely to watch."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from keyart.errors import ModelError
from keyart.policy.assignment import Overrides

__all__ = ["Scope"]


@dataclass(frozen=True)
class Scope:
    """The ``most`` titles of highest affinity of each member; 0 is all titles. Others show their level's default."""

    most: int = 0
    title_ids: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.str_))  # (T,) ascending
    titles: np.ndarray | None = None  # (T, rank) factors, not a number where taste has no word

    @classmethod
    def of(cls, most: int, title_ids: np.ndarray, known: Sequence[str], factors: np.ndarray) -> "Scope":
        """Of titles in ascending order, from the taste model's and their factors (known, rank).

        ModelError where it knows none of them.
        """
        if not most:
            return cls()
        place = {title: i for i, title in enumerate(known)}
        rows = np.array([place.get(str(title), -1) for title in title_ids])
        if (rows < 0).all():
            raise ModelError("assign.likely_titles: the taste model knows no title of the slate; run train-taste")
        taken = np.asarray(factors, np.float32)[rows]
        return cls(most, title_ids, np.where(rows[:, None] >= 0, taken, np.nan))

    @property
    def said(self) -> tuple[str, ...]:
        """For the policy's row."""
        return (f"own artwork for a member's {self.most} likeliest titles",) if self.most else ()

    def within(self, found: Overrides, members: np.ndarray, title_ids: np.ndarray) -> Overrides:
        """The overrides in scope among a slate's titles, some or all of the scope's own.

        ``members`` are vectors (n, K) that begin with ALS factors. Affinity is the product of a member's and a title's
        factors (Hu, Koren, Volinsky 2008); equals of the last one are in.
        """
        if self.titles is None or self.most >= len(title_ids) or not len(found.member):
            return found
        titles = self.titles[np.searchsorted(self.title_ids, title_ids)]
        affinity = np.nan_to_num(members[:, : titles.shape[1]].astype(np.float32) @ titles.T, nan=-np.inf)
        least = -np.partition(-affinity, self.most - 1, axis=1)[:, self.most - 1]
        own = affinity[found.member, found.title]
        kept = (own >= least[found.member]) & (own > -np.inf)
        return Overrides(
            found.member[kept], found.title[kept], found.artwork[kept], found.default[kept], found.gain[kept]
        )
