"""Cut a film into segments that begin at keyframes: from the container's index, else by one pass over its packets.

Nothing is decoded. An index tells where keyframes lie but not when they are shown (MP4 counts decoding times), so the
keyframe at each border is read to learn its pts; what does not agree with the index falls back to the packets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from keyart.errors import VideoError
from keyart.video.decode import Loss, demux, frame_rate, open_film, seek_keyframe
from keyart.video.exchange import Segment

__all__ = ["Plan", "plan_film", "plan_segments"]

WHOLE = {"gif", "apng"}
"""Codecs that call every frame a keyframe although it builds on the one before."""


@dataclass(frozen=True)
class Plan:
    """A film's segments, and what its container already tells about losses."""

    segments: tuple[Segment, ...]
    missing: int | None
    """Frames that the container promises beyond those found; None where it promises nothing."""
    reason: str
    """What is wrong with the file as a whole; empty where it is whole."""
    source: str
    """What the borders come from: index, cues or packets."""


def plan_film(
    uri: str, segment_seconds: float, whole: bool = False, beat: Callable[[int | None], None] = lambda position: None
) -> Plan:
    """The segments of a film; VideoError where it cannot be opened or holds no picture.

    ``whole`` asks for one segment with repaired pts: for films whose frames contradicted an earlier plan.
    """
    with open_film(uri) as (container, stream):
        span = round(segment_seconds / float(stream.time_base)) if segment_seconds and stream.time_base else 0
        if stream.codec_context.name in WHOLE:
            span = 0
        family = container.format.name
        plan = None
        if "mp4" in family:
            plan = _from_samples(container, stream, span)
        elif "matroska" in family:
            plan = _from_cues(container, stream, span)
        beat(None)
    if plan is None:
        # A fresh start: seeking has left traces in the index and the stream.
        with open_film(uri) as (container, stream):
            plan = _from_packets(container, stream, span, beat)
    if whole:
        count = sum(segment.packets for segment in plan.segments)
        plan = replace(plan, segments=(Segment(0, None, None, count, repair=True),))
    return plan


def _from_samples(container: InputContainer, stream: VideoStream, span: int) -> Plan | None:
    """From an MP4's sample table; None where it is not complete or not believable."""
    entries = list(stream.index_entries or ())
    if not entries or len(entries) != stream.frames:
        return None
    times = np.array([entry.timestamp for entry in entries], np.int64)
    if (np.diff(times) <= 0).any():
        return None
    # A frame that is there in part counts as there: that it cannot be decoded is told by who tries.
    there = np.array([entry.pos for entry in entries], np.int64) < container.size
    shown = there & ~np.array([entry.is_discard for entry in entries], bool)
    entry_at = [k for k, entry in enumerate(entries) if entry.is_keyframe and shown[k]]
    if not entry_at:
        return None
    chosen = _spaced(times[entry_at], span)
    starts = [entry_at[k] for k in chosen]
    borders = []
    for start in starts:
        pts = _pts_of_keyframe(container, stream, int(times[start]), entries[start].pos)
        if pts is None:
            return None
        borders.append(pts)
    if (np.diff(borders) <= 0).any():
        return None
    counts = [int(part.sum()) for part in np.split(shown, starts)]
    missing = int(len(entries) - there.sum())
    reason = f"the file ends early: {len(entries) - missing} of {len(entries)} frames are there" if missing else ""
    return Plan(_segments(borders, counts), missing, reason, "index")


def _pts_of_keyframe(container: InputContainer, stream: VideoStream, time: int, position: int) -> int | None:
    packets = seek_keyframe(container, stream, time, lambda packet: packet.pos == position, Loss())
    return next(packets).pts if packets else None


def _from_cues(container: InputContainer, stream: VideoStream, span: int) -> Plan | None:
    """From Matroska's cues, which are read at the first seek; None where there are none or they do not hold."""
    length, tick = container.duration, float(stream.time_base or 0)
    rate = frame_rate(stream)
    if not span or not length or not tick or not rate:
        return None
    end = round(length / av.time_base / tick)
    try:
        container.seek(end, stream=stream, backward=True, any_frame=False)
    except (av.FFmpegError, OSError):
        return None
    cues = sorted({entry.timestamp for entry in stream.index_entries if entry.is_keyframe})
    reached = max(
        (float((packet.pts + (packet.duration or 0)) * packet.time_base)
         for packet in demux(container, None, Loss()) if packet.pts is not None and packet.time_base),
        default=0.0,
    )  # fmt: skip
    if len(cues) < 2 or reached < length / av.time_base - max(1.0, 2 / rate):
        return None
    borders = [cues[k] for k in _spaced(np.array(cues, np.int64), span)]
    for border in borders:
        if seek_keyframe(container, stream, border, partial(_starts_at, border), Loss()) is None:
            return None
    edges = [0.0, *(border * tick for border in borders), length / av.time_base]
    return Plan(_segments(borders, [round(seconds * rate) for seconds in np.diff(edges).tolist()]), None, "", "cues")


def _starts_at(pts: int, packet: Packet) -> bool:
    return packet.pts == pts


def _from_packets(
    container: InputContainer, stream: VideoStream, span: int, beat: Callable[[int | None], None]
) -> Plan:
    loss = Loss()
    pts: list[int | None] = []
    keys: list[bool] = []
    reached = 0.0
    for packet in demux(container, None, loss):
        if packet.pts is not None and packet.time_base:
            reached = max(reached, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if packet.stream_index == stream.index and packet.size and not packet.is_discard:
            pts.append(packet.pts)
            keys.append(packet.is_keyframe)
        beat(packet.pts)
    if not pts:
        raise VideoError(loss.reason or "holds no picture")
    promised = max(0, stream.frames - len(pts)) if stream.frames else None
    length = ((container.duration or 0) + (container.start_time or 0)) / av.time_base
    reason = loss.reason
    # An edit list may leave frames out on purpose: what counts is that the end is not reached.
    if promised and reached < length - 2 * length / (len(pts) + promised):
        reason = f"the file ends early: {len(pts)} of {len(pts) + promised} frames are there"
    elif promised is None and reached < length - max(1.0, 0.02 * length):
        reason = f"the file ends early: {reached:.0f} of {length:.0f} s are there"
    return Plan(plan_segments(pts, keys, span), promised if reason else 0, reason, "packets")


def plan_segments(pts: Sequence[int | None], keyframes: Sequence[bool], span: int) -> tuple[Segment, ...]:
    """Segments of at least ``span`` pts units from the packets' pts and keyframe marks in file order; 0 is one segment.

    Films whose pts are missing or doubled stay whole, because repaired pts depend on all frames before.
    """
    known = np.array([p for p in pts if p is not None], np.int64)
    repair = len(known) < len(pts) or len(np.unique(known)) < len(known)
    if repair or not span or not len(known):
        return (Segment(0, None, None, len(pts), repair),)
    keys = np.sort(known[np.array(keyframes, bool)])
    borders = [int(keys[k]) for k in _spaced(keys, span, int(known.min()))]
    counts = np.diff([0, *np.searchsorted(np.sort(known), borders).tolist(), len(known)])
    return _segments(borders, counts.tolist())


def _spaced(times: np.ndarray, span: int, begin: int | None = None) -> list[int]:
    """Indices of ascending times that lie at least ``span`` after the one before, and after ``begin`` or the first."""
    if not span or not len(times):
        return []
    chosen, last = [], int(times[0]) if begin is None else begin
    for index, time in enumerate(times.tolist()):
        if time - last >= span:
            chosen.append(index)
            last = time
    return chosen


def _segments(borders: Sequence[int], counts: Sequence[int]) -> tuple[Segment, ...]:
    edges = [None, *borders, None]
    return tuple(
        Segment(index, start, end, int(count))
        for index, (start, end, count) in enumerate(zip(edges, edges[1:], counts, strict=False))
    )
