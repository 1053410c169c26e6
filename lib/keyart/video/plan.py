"""Cut a film into segments that begin at keyframes, from one pass over its packets; nothing is decoded."""

from dataclasses import dataclass

import numpy as np

from keyart.video.decode import Loss, Segment, demux, open_film

__all__ = ["Plan", "plan_film", "plan_segments"]


@dataclass(frozen=True)
class Plan:
    """A film's segments, and what its packets already tell about losses."""

    segments: tuple[Segment, ...]
    packets: int
    """Video packets found."""
    missing: int
    """Frames the container's index promises beyond those packets; 0 where it promises nothing."""


def plan_film(uri: str, segment_seconds: float) -> Plan:
    """The segments of a film; VideoError where it cannot be opened or holds no picture."""
    with open_film(uri) as (container, stream):
        pts: list[int | None] = []
        keys: list[bool] = []
        for packet in demux(container, stream, Loss()):
            if packet.size:
                pts.append(packet.pts)
                keys.append(packet.is_keyframe)
        time_base = float(stream.time_base or 0)
        promised = stream.frames
    span = round(segment_seconds / time_base) if segment_seconds and time_base else 0
    return Plan(plan_segments(pts, keys, span), len(pts), max(0, promised - len(pts)))


def plan_segments(pts: list[int | None], keyframes: list[bool], span: int) -> tuple[Segment, ...]:
    """Segments of at least ``span`` pts units, given the packets' pts and keyframe marks in file order; 0 is one segment.

    Films whose pts are missing or doubled stay whole, because repaired pts depend on all frames before.
    """
    known = np.array([p for p in pts if p is not None], np.int64)
    repair = len(known) < len(pts) or len(np.unique(known)) < len(known)
    if repair or not span or not len(known):
        return (Segment(0, None, None, len(pts), repair),)
    entries = np.sort(known[np.array(keyframes, bool)])
    first, last = int(known.min()), int(known.max())
    borders, begin = [], first
    for entry in entries.tolist():
        if entry - begin >= span and entry < last:
            borders.append(begin := entry)
    edges = [None, *borders, None]
    shown = np.sort(known)
    counts = np.diff([0, *np.searchsorted(shown, borders, side="right").tolist(), len(shown)])
    return tuple(
        Segment(index, start, end, int(count))
        for index, (start, end, count) in enumerate(zip(edges, edges[1:], counts, strict=False))
    )
