"""What a scan would do, and how long that would take, without doing it."""

import math
import re

from keyart.settings import ScanSettings
from keyart.tables import Tables
from keyart.video.estimates import expected_frames, measured_speed, seconds_of
from keyart.video.spark import due_films

__all__ = ["foresee"]

FILMS = 50
"""Films named one by one; the rest is counted."""


def foresee(tables: Tables, settings: ScanSettings, master: str = "") -> list[str]:
    """Lines that say which films are due, their frames and segments, and the expected time.

    The speed is that of this machine on the first frames of some of the films. ``master`` of Spark, where it runs on
    this machine, tells the cores; elsewhere the time is that of one core.
    """
    due, unchanged, _ = due_films(tables, settings)
    speed = measured_speed([(row["uri"], row["width"], row["height"]) for row in due])
    lines, total, frames = [], 0.0, 0
    for row in due:
        count = expected_frames(row["duration_seconds"], row["frame_rate"])
        seconds = seconds_of(count, row["width"], row["height"], speed)
        why = "changed" if row["current_scan_id"] else "new"
        pieces = math.ceil((row["duration_seconds"] or 0) / settings.segment_seconds) if settings.segment_seconds else 1
        total, frames = total + seconds, frames + count
        lines.append(
            f"{row['title_id']}: {why}, {row['width']}x{row['height']}, {count} frames in about {max(1, pieces)} "
            f"segments, {_duration(seconds)} of one core"
        )
    if len(lines) > FILMS:
        lines[FILMS:] = [f"... and {len(lines) - FILMS} more"]
    cores = re.fullmatch(r"local\[(\d+)\]", master)
    time = f"{_duration(total / int(cores[1]))} on {cores[1]} cores" if cores else f"{_duration(total)} of one core"
    return [*lines, f"would scan {len(due)} films ({len(unchanged)} unchanged): {frames} frames, about {time}"]


def _duration(seconds: float) -> str:
    """A length of time in words.

    >>> _duration(59.4), _duration(3_700)
    ('59 s', '62 min')
    """
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7_200
        else f"{seconds / 3_600:.1f} h"
    )
