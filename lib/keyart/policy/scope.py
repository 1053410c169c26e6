"""For which titles a member may have artwork of their own: all, or those they are most likely to watch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keyart.errors import ModelError
from keyart.policy.assignment import Overrides

__all__ = ["Scope"]


@dataclass(frozen=True)
class Scope:
    """The ``most`` titles of highest affinity of each member; 0 is all titles. Others show their level's default."""

    most: int = 0
    titles: np.ndarray | None = None  # (T, rank) factors in the slate's order, not a number where taste has no word

    @classmethod
    def of(cls, most: int, title_ids: Sequence[str] | np.ndarray, known: Sequence[str], factors: np.ndarray) -> "Scope":
        """From the taste model's titles and their factors (known, rank). ModelError where it knows none of them."""
        if not most:
            return cls()
        place = {title: i for i, title in enumerate(known)}
        rows = np.array([place.get(str(title), -1) for title in title_ids])
        if (rows < 0).all():
            raise ModelError("assign.likely_titles: the taste model knows no title of the slate; run train-taste")
        taken = np.asarray(factors, np.float32)[rows]
        return cls(most, np.where(rows[:, None] >= 0, taken, np.nan))

    @property
    def said(self) -> tuple[str, ...]:
        """For the policy's row."""
        return (f"own artwork for a member's {self.most} likeliest titles",) if self.most else ()

    def within(self, found: Overrides, members: np.ndarray) -> Overrides:
        """The overrides of titles in scope, given members' vectors (n, K) that begin with their ALS factors.

        Affinity is the product of a member's and a title's factors (Hu, Koren, Volinsky 2008); equals of the last one
        are in.
        """
        if self.titles is None or self.most >= len(self.titles) or not len(found.member):
            return found
        factors = members[:, : self.titles.shape[1]].astype(np.float32)
        affinity = np.nan_to_num(factors @ self.titles.T, nan=-np.inf)
        least = -np.partition(-affinity, self.most - 1, axis=1)[:, self.most - 1]
        own = affinity[found.member, found.title]
        kept = (own >= least[found.member]) & (own > -np.inf)
        return Overrides(
            found.member[kept], found.title[kept], found.artwork[kept], found.default[kept], found.gain[kept]
        )
