"""What a scan's processes hand to each other: plain data, free of the libraries that decode and measure.

A Python worker of Spark passes work on to its child (see ``child``) and needs no decoder, no compiler and no picture
library in its memory; so what crosses between the two is defined here.
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["PART", "SIGNALS", "THUMB", "Boundary", "Outcome", "Part", "Pick", "Picture", "Segment"]

SIGNALS = (
    "luma_mean", "luma_spread", "shadows", "highlights", "contrast", "colourfulness", "hue", "warmth", "sharpness",
    "motion_blur", "noise", "bar_top", "bar_left", "difference", "camera_motion", "subject_motion",
)  # fmt: skip
"""What is measured on every frame, in the order of the frames table."""

THUMB = (48, 27)
"""Width and height of the luma thumbnails on which shots are found."""

PART = 1024
"""Frames that leave the decoder together: memory does not grow with a segment's length."""


@dataclass(frozen=True)
class Segment:
    """A stretch of a film that one task decodes: the frames from its keyframe up to, not including, the next one's.

    The first has no beginning and the last no end, so that what a container hides before its first keyframe or behind
    its last is counted too.
    """

    index: int
    start_pts: int | None
    """pts of the keyframe decoding starts at; None for the film's beginning."""
    end_pts: int | None
    """pts of the next segment's keyframe; None for the film's end."""
    packets: int
    """Frames that the plan expects: how many are lost where none comes out; 0 where it does not know."""
    repair: bool = False
    """pts are missing or doubled: they are made to ascend, which needs the film from its beginning."""

    def owns(self, pts: int) -> bool:
        """Whether the frame's row belongs to this segment."""
        return (self.start_pts is None or pts >= self.start_pts) and (self.end_pts is None or pts < self.end_pts)


@dataclass(frozen=True)
class Part:
    """What some frames of a segment showed; arrays have one row a frame, in presentation order."""

    pts: np.ndarray
    keyframe: np.ndarray
    damaged: np.ndarray
    signals: np.ndarray
    """(n, 16) float64 in the order of ``SIGNALS``."""
    thumbs: np.ndarray
    """(n, 27, 48) uint8 luma."""


@dataclass(frozen=True)
class Outcome:
    """How the scan of a segment ended."""

    seen: int
    """Frames that should have come out."""
    lost: int
    """Frames that should have come out and did not."""
    damaged: int
    """Frames that came out with errors."""
    irregular: bool
    """The frames contradict the plan: the film has to be read whole."""
    reason: str
    """Why frames were lost or damaged; empty where none was."""


@dataclass(frozen=True, order=True)
class Boundary:
    """Where a shot begins (index of its first frame) and how: cut, dissolve or fade."""

    frame: int
    kind: str


@dataclass(frozen=True)
class Pick:
    """A frame to fetch."""

    pts: int
    key_pts: int | None
    """pts of the keyframe from which it can be decoded; None: from the film's beginning."""
    bar_top: float
    """Share of the height to cut off at top and bottom."""
    bar_left: float


@dataclass(frozen=True)
class Picture:
    """A fetched frame, encoded."""

    pts: int
    content: bytes
    width: int
    height: int
    preview: bytes | None = None
