"""What every artwork is given whatever its score: a floor, and more of it while its title is cold.

A share of a title's decisions is drawn evenly among its artworks, on top of what the exploration does: probabilities
become (1 - share) p + share / k. Shares are of titles, lie in the policy's specification and are the same at every
level and for every member, so that whoever holds the policy and the candidate set recomputes the propensities.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from keyart.errors import ConfigError

__all__ = ["NO_FLOOR", "Floor", "mixed"]


@dataclass(frozen=True)
class Floor:
    """``least`` probability of every artwork that may be shown, and larger even shares of ``cold`` titles."""

    least: float = 0.0
    cold: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for value in (self.least, *self.cold.values()):
            if not 0 <= value <= 1:
                raise ConfigError(f"a floor or share of exploration is {value}, allowed is 0 to 1")

    def shares(self, title_ids: Sequence[str] | np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """Share of decisions drawn evenly (..., T), for titles with ``sizes`` (..., T) artworks that may be shown.

        >>> Floor(0.02, {"new": 0.3}).shares(["old", "new"], np.array([5, 5])).tolist()
        [0.1, 0.3]
        """
        cold = np.array([self.cold.get(str(title), 0.0) for title in title_ids])
        return np.where(sizes > 0, np.minimum(1.0, np.maximum(self.least * sizes, cold)), 0.0)

    def share(self, title_id: str, size: int) -> float:
        """``shares`` of one title with ``size`` artworks that may be shown, at least one."""
        return min(1.0, max(self.least * size, self.cold.get(title_id, 0.0)))

    def of_titles(
        self,
        probabilities: np.ndarray,
        allowed: np.ndarray,
        title_of: np.ndarray,
        title_ids: Sequence[str] | np.ndarray,
    ) -> np.ndarray:
        """Probabilities (C, A) of a catalogue's artworks with the floor, for titles ``title_of`` (A,) and which may be
        shown (C, A)."""
        if not self.least and not self.cold:
            return probabilities
        sizes = np.stack([np.bincount(title_of, row, len(title_ids)) for row in allowed])
        share, size = (values[:, title_of] for values in (self.shares(title_ids, sizes), np.maximum(sizes, 1)))
        return np.where(allowed, (1 - share) * probabilities + share / size, probabilities)


NO_FLOOR = Floor()
"""The exploration alone."""


def mixed(probabilities: np.ndarray, allowed: np.ndarray, share: float) -> np.ndarray:
    """Probabilities (A,) of a title of which a share of decisions is drawn evenly among those ``allowed`` (A,).

    >>> mixed(np.array([1.0, 0.0, 0.0]), np.array([True, True, False]), 0.5).tolist()
    [0.75, 0.25, 0.0]
    """
    return (1 - share) * probabilities + share * allowed / allowed.sum() if share else probabilities
