"""Everything an assignment is computed from, as arrays: what workers get by closure, without Spark."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from keyart.learning.calibration import Calibration
from keyart.policy.assignment import Slate
from keyart.policy.contexts import ANYWHERE, PolicyContexts
from keyart.policy.levels import Levels
from keyart.policy.limiting import Limits
from keyart.policy.placement import Shelves
from keyart.policy.scope import Scope
from keyart.policy.segments import NOBODY, Segments, segment_defaults
from keyart.policy.specification import Policy
from keyart.policy.staying import Before

__all__ = ["Assignment"]


@dataclass(frozen=True)
class Assignment:
    """Catalogue-sized: made on the driver, handed to workers by closure."""

    policy: Policy
    slate: Slate
    levels: Levels
    shelves: Shelves
    written: np.ndarray  # (C, A) whether the artwork has a row in the cell
    learned: int  # cells of the model; those after it are regions that a placement names
    feature_names: tuple[str, ...]
    member_names: tuple[str, ...]
    models: str  # JSON for the policies table
    limits: Limits
    scope: Scope
    free: Slate  # with the artworks that limits withhold, to say what these cost
    stay_gain: float = 0.0
    before: Before | None = None  # whose choices members keep until their border
    calibration: Calibration | None = None  # of the response model, where it kept it
    explored: Mapping[str, float] = field(default_factory=dict)  # EXPLORED
    segments: Segments = NOBODY
    contexts: PolicyContexts = ANYWHERE

    @property
    def ways(self) -> int:
        """In which members may be narrowed: those of no segment or of one, in no context or in one."""
        return (1 + len(self.segments)) * (1 + len(self.contexts))

    def defaults(self, slate: Slate) -> np.ndarray:
        """(C x (1 + K), T) what each cell shows of a slate, to members of no segment and to those of each."""
        found = segment_defaults(slate, self.segments, self.policy.minimum_gain)
        return found.reshape(-1, found.shape[2])
