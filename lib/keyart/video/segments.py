"""Scan one segment of a film: every frame's signals and thumbnail, in one pass of decoding."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from av.video.reformatter import VideoReformatter

from keyart.errors import VideoError
from keyart.video.decode import Loss, Segment, decode_segment, open_film, planes
from keyart.video.signals import RAW, THUMB, SignalReader, finish

__all__ = ["SegmentScan", "scan_segment"]


def _silent() -> None:
    """Nobody watches."""


@dataclass(frozen=True)
class SegmentScan:
    """What a segment's frames showed; arrays have one row a frame, in presentation order."""

    pts: np.ndarray
    keyframe: np.ndarray
    signals: np.ndarray
    """(n, 16) float64 in the order of ``signals.SIGNALS``."""
    thumbs: np.ndarray
    """(n, 27, 48) uint8 luma."""
    lost: int
    """Frames that should have been there and were not."""
    reason: str
    """Why frames were lost; empty where none was."""


def scan_segment(uri: str, segment: Segment, rotation: int, beat: Callable[[], None] = _silent) -> SegmentScan:
    """Decode and measure a segment; VideoError where no frame of it can be shown.

    A packet that cannot be decoded costs its frames; the rest is kept and the loss told.
    """
    reformatter, loss = VideoReformatter(), Loss()
    pts: list[int] = []
    keyframes: list[bool] = []
    rows: list[np.ndarray] = []
    thumbs: list[np.ndarray] = []
    with open_film(uri) as (container, stream):
        sideways = rotation % 180 != 0
        width, height = (stream.height, stream.width) if sideways else (stream.width, stream.height)
        reader = SignalReader(width, height)
        for frame in decode_segment(container, stream, segment, loss):
            luma, cb, cr = planes(frame.picture, reformatter, rotation)
            row, thumb = reader.read(luma, cb, cr, full_range=_is_full_range(frame.picture))
            if segment.owns(frame.pts):
                pts.append(frame.pts)
                keyframes.append(frame.keyframe)
                rows.append(row)
                thumbs.append(thumb)
            beat()
    if not pts and segment.packets:
        raise VideoError(loss.reason or "no frame can be decoded")
    lost = max(0, segment.packets - len(pts)) if loss.packets else 0
    return SegmentScan(
        np.array(pts, np.int64),
        np.array(keyframes, bool),
        finish(np.array(rows).reshape(-1, RAW)),
        np.array(thumbs, np.uint8).reshape(-1, THUMB[1], THUMB[0]),
        lost,
        loss.reason,
    )


def _is_full_range(picture) -> bool:
    return picture.format.name.startswith("yuvj") or int(picture.color_range or 0) == 2
