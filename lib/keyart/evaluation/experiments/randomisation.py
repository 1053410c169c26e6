"""Who is in which variant: a keyed hash of the member decides, so that it can be recomputed anywhere without state.

A layer is a way of cutting all members into slices. Experiments of one layer take disjoint stretches of it and so never
share a member; experiments of different layers hash independently and may share all of them. Within its stretch an
experiment splits members by a hash of its own, so that what an earlier experiment of the layer did to them is spread
evenly. A holdout that keeps frozen artwork stands before all layers: its members are in no experiment.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from keyart.errors import ConfigError

__all__ = ["HOLDOUT", "OUTSIDE", "Split", "hashed", "sample_ratio_p"]

OUTSIDE = -1
"""Arm of members whom the experiment does not touch."""
HOLDOUT = -2
"""Arm of members who keep frozen artwork."""


def hashed(salt: str, name: str, user_keys: Iterable[str]) -> np.ndarray:
    """One number in [0, 1) a member, equal to ``seeding.uniform(salt, name, user_key)``.

    >>> from keyart.seeding import uniform
    >>> bool(hashed("s", "layer", ["ab"])[0] == uniform("s", "layer", "ab"))
    True
    """
    keyed = hmac.new(salt.encode(), f"{name}\x1f".encode(), hashlib.sha256)

    def one(key: str) -> float:
        copy = keyed.copy()  # the salt and the name are digested once, not once a member
        copy.update(key.encode())
        return (int.from_bytes(copy.digest()[:8], "big") >> 11) * 2.0**-53

    return np.fromiter(map(one, user_keys), dtype=np.float64)


@dataclass(frozen=True)
class Split:
    """How an experiment's members are found: ``shares`` of variants (the first is control) sum to 1.

    ``traffic`` is the stretch [from, to) of the layer; ``holdout`` the share of all members who keep frozen artwork,
    the same members for as long as ``salt`` stays.
    """

    experiment_id: str
    layer: str
    salt: str
    shares: tuple[float, ...]
    traffic: tuple[float, float] = (0.0, 1.0)
    holdout: float = 0.0

    def __post_init__(self) -> None:
        if len(self.shares) < 2 or min(self.shares) <= 0 or abs(sum(self.shares) - 1) > 1e-9:
            raise ConfigError(f"experiment {self.experiment_id}: two shares or more, each above 0, must sum to 1")
        if not 0 <= self.traffic[0] < self.traffic[1] <= 1:
            raise ConfigError(f"experiment {self.experiment_id}: traffic {self.traffic} must be a stretch of [0, 1]")
        if not 0 <= self.holdout < 1:
            raise ConfigError(f"experiment {self.experiment_id}: a holdout of {self.holdout} leaves nobody")

    def arms(self, user_keys: Sequence[str]) -> np.ndarray:
        """Each member's arm (n,): the variant's place, HOLDOUT or OUTSIDE."""
        place = hashed(self.salt, f"layer {self.layer}", user_keys)
        variant = hashed(self.salt, f"experiment {self.experiment_id}", user_keys)
        edges = np.cumsum(self.shares)[:-1]
        arm = np.searchsorted(edges, variant, side="right")
        arm = np.where((place >= self.traffic[0]) & (place < self.traffic[1]), arm, OUTSIDE)
        if self.holdout > 0:
            arm = np.where(hashed(self.salt, "holdout", user_keys) < self.holdout, HOLDOUT, arm)
        return arm.astype(np.int64)


def sample_ratio_p(members: Sequence[int], shares: Sequence[float]) -> float:
    """Pearson's chi-square test of seen against planned shares: a small p-value says that the split is broken.

    Fabijan et al. 2019: below 0.001 nothing else of the experiment may be believed. 1.0 without members.

    >>> round(sample_ratio_p([5000, 5300], [0.5, 0.5]), 4)
    0.0031
    """
    seen = np.asarray(members, dtype=np.float64)
    if not seen.sum():
        return 1.0
    wanted = seen.sum() * np.asarray(shares, dtype=np.float64) / np.sum(shares)
    return float(chi2.sf(((seen - wanted) ** 2 / wanted).sum(), len(seen) - 1))
