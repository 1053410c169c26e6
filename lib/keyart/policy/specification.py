"""A policy as it is stored: an immutable value that says everything a draw needs besides the assignments."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from keyart.errors import ConfigError, TableError
from keyart.policy.exploration import Exploration, from_spec, to_spec
from keyart.policy.floors import NO_FLOOR, Floor

__all__ = ["Policy", "content_hash", "derived_id"]

ALWAYS = ("inactive artworks are not shown", "kids' profiles are not personalised", "rights by region")
"""Limits that no setting turns off."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Policy:
    """Exploration, levels and what the assignments were learned from."""

    policy_id: str
    exploration: Exploration
    salt: str
    minimum_gain: float
    taste_version: str
    taste_as_of: date
    parents: Mapping[str, str] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    floor: Floor = NO_FLOOR
    stay_days: int = 1
    """For so many days a member's draw for a title is the same."""
    segments: Mapping[str, str] = field(default_factory=dict)
    """Name and description of each segment of members; none: the region is the narrowest level."""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.policy_id):
            raise ConfigError(f"policy_id {self.policy_id!r}: use letters, digits, dot, dash and underscore")
        if not isinstance(self.parents, Mapping) or not all(
            isinstance(name, str) for pair in self.parents.items() for name in pair
        ):
            raise ConfigError(f"policy {self.policy_id}: parents name a parent for each region")
        if not isinstance(self.segments, Mapping) or not all(
            isinstance(name, str) for pair in self.segments.items() for name in pair
        ):
            raise ConfigError(f"policy {self.policy_id}: segments have a description each")
        if self.stay_days < 1 or not np.isfinite(self.minimum_gain):
            raise ConfigError(f"policy {self.policy_id}: stay_days and minimum_gain are no numbers to go by")

    def spec(self) -> str:
        """JSON for the policies table."""
        order = ["user", *(["segment"] if self.segments else []), "region", "parent", "global"]
        return json.dumps(
            {
                "exploration": to_spec(self.exploration),
                "floor": {"least": self.floor.least, "cold": dict(self.floor.cold)},
                "levels": {"order": order, "parents": dict(self.parents)},
                "limits": [*ALWAYS, *self.limits],
                "minimum_gain": self.minimum_gain,
                "stay_days": self.stay_days,
                "taste": {"version": self.taste_version, "as_of": self.taste_as_of.isoformat()},
                **({"taste_segments": dict(self.segments)} if self.segments else {}),
            },
            sort_keys=True,
        )

    @classmethod
    def parse(cls, policy_id: str, spec: str, salt: str) -> "Policy":
        """From a row of the policies table; TableError where the spec is not one that a version of keyart wrote.

        Older specs say nothing of floors, stays and segments: they have none.
        """
        try:
            said = json.loads(spec)
            return cls(
                policy_id,
                from_spec(said["exploration"]),
                salt,
                float(said["minimum_gain"]),
                said["taste"]["version"],
                date.fromisoformat(said["taste"]["as_of"]),
                said["levels"]["parents"],
                tuple(limit for limit in said.get("limits", ()) if limit not in ALWAYS),
                Floor(**said.get("floor", {})),
                int(said.get("stay_days", 1)),
                said.get("taste_segments", {}),
            )
        except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
            raise TableError(
                f"policy {policy_id} has a spec that cannot be read ({error}); run assign-artwork"
            ) from error


def content_hash(arrays: Mapping[str, np.ndarray], about: Mapping[str, object]) -> str:
    """A hash of what a model says: the same after a retraining that learned the same, whatever its run is called.

    Numbers are rounded to 6 decimals: sums that Spark adds in another order differ in their last bits.
    """
    digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode())
    for name in sorted(arrays):
        values = np.round(np.asarray(arrays[name], dtype=np.float64), 6) + 0.0  # no negative zeros
        digest.update(f"{name}{values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def derived_id(parts: Iterable[object]) -> str:
    """The name of a policy that has none: the same for the same models, settings and inputs."""
    text = json.dumps([str(part) for part in parts])
    return f"artwork-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
