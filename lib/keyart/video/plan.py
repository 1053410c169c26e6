"""Cut a film into segments that begin at keyframes, from one pass over its packets; nothing is decoded."""

from collections.abc import Callable
from dataclasses import dataclass

import av
import numpy as np

from keyart.errors import VideoError
from keyart.video.decode import Loss, Segment, demux, open_film

__all__ = ["Plan", "plan_film", "plan_segments"]


@dataclass(frozen=True)
class Plan:
    """A film's segments, and what its packets already tell about losses."""

    segments: tuple[Segment, ...]
    missing: int | None
    """Frames that the container's index promises beyond the packets found; None where it promises nothing."""
    reason: str
    """What is wrong with the file as a whole; empty where it is whole."""


def plan_film(uri: str, segment_seconds: float, beat: Callable[[], None] = lambda: None) -> Plan:
    """The segments of a film; VideoError where it cannot be opened or holds no picture."""
    loss = Loss()
    with open_film(uri) as (container, stream):
        pts: list[int | None] = []
        keys: list[bool] = []
        reached = 0.0
        for packet in demux(container, None, loss):
            if packet.pts is not None and packet.time_base:
                reached = max(reached, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream_index == stream.index and packet.size:
                pts.append(packet.pts)
                keys.append(packet.is_keyframe)
            beat()
        time_base = float(stream.time_base or 0)
        promised = max(0, stream.frames - len(pts)) if stream.frames else None
        length = ((container.duration or 0) + (container.start_time or 0)) / av.time_base
    if not pts:
        raise VideoError(loss.reason or "holds no picture")
    reason = loss.reason
    # An edit list may leave frames out on purpose: what counts is that the end is not reached.
    if promised and reached < length - 2 * length / (len(pts) + promised):
        reason = f"the file ends early: {len(pts)} of {len(pts) + promised} frames are there"
    elif promised is None and reached < length - max(1.0, 0.02 * length):
        reason = f"the file ends early: {reached:.0f} of {length:.0f} s are there"
    span = round(segment_seconds / time_base) if segment_seconds and time_base else 0
    return Plan(plan_segments(pts, keys, span), promised, reason)


def plan_segments(pts: list[int | None], keyframes: list[bool], span: int) -> tuple[Segment, ...]:
    """Segments of at least ``span`` pts units from the packets' pts and keyframe marks in file order; 0 is one segment.

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
