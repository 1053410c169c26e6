"""How long a scan will take: a cost per frame and pixel, from a trial where one is wanted."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from keyart.errors import VideoError
from keyart.video.exchange import Segment
from keyart.video.segments import scan_parts

__all__ = ["Speed", "expected_frames", "measured_speed", "seconds_of"]

TRIAL_FRAMES = 240
TRIAL_FILMS = 3


@dataclass(frozen=True)
class Speed:
    """Seconds of one core that a frame costs, and a pixel of it."""

    frame: float = 0.15e-3
    pixel: float = 2.2e-9


def seconds_of(frames: float, width: int, height: int, speed: Speed | None = None) -> float:
    """Expected seconds of one core for so many frames of a size.

    >>> round(seconds_of(86_400, 1920, 1080))
    407
    """
    speed = speed or Speed()
    return frames * (speed.frame + speed.pixel * width * height)


def expected_frames(duration: float | None, rate: float | None) -> int:
    """Frames of a film as its container tells; 0 where it does not."""
    return round((duration or 0) * (rate or 25.0))


def measured_speed(films: Sequence[tuple[str, int, int]]) -> Speed:
    """Speed on this machine from the first frames of some (uri, width, height); the usual one where none can be read.

    The share of a frame and of a pixel is kept as usual, and the whole scaled to what was measured.
    """
    spent = usual = 0.0
    for uri, width, height in films[:: max(1, len(films) // TRIAL_FILMS)][:TRIAL_FILMS]:
        try:
            begin, count = time.perf_counter(), _trial(uri)
        except VideoError:
            continue
        spent += time.perf_counter() - begin
        usual += seconds_of(count, width, height)
    factor = spent / usual if usual else 1.0
    return Speed(Speed.frame * factor, Speed.pixel * factor)


def _trial(uri: str) -> int:
    """Scan a film's beginning; how many frames that was."""
    seen = 0

    def enough(position: int | None) -> None:
        nonlocal seen
        seen += 1
        if seen > TRIAL_FRAMES:
            raise _Enough

    try:
        for _ in scan_parts(uri, Segment(0, None, None, 0), 0, beat=enough):
            pass
    except _Enough:
        pass
    return seen


class _Enough(Exception):
    """The trial has seen enough frames."""
