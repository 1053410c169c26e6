"""Scan one segment of a film: every frame's signals and thumbnail, in one pass of decoding, part by part."""

from collections.abc import Callable, Collection, Generator
from dataclasses import fields

import numpy as np
from av.video.reformatter import VideoReformatter

from keyart.errors import VideoError
from keyart.video.decode import Frame, Loss, decode_segment, open_film, planes
from keyart.video.exchange import PART, THUMB, Outcome, Part, Segment
from keyart.video.signals import MOTION, RAW, SignalReader, finish

__all__ = ["scan_parts", "scan_segment"]


def scan_parts(
    uri: str,
    segment: Segment,
    rotation: int,
    after: int | None = None,
    avoid: Collection[int] = (),
    stop: int | None = None,
    size: int = PART,
    beat: Callable[[int | None], None] = lambda position: None,
) -> Generator[Part, None, Outcome]:
    """Decode and measure a segment part by part; VideoError where it cannot be opened or found.

    A packet that cannot be decoded costs its frames; the rest is kept and the loss told. ``after`` leaves out frames up
    to that pts, which an earlier attempt delivered; ``avoid`` and ``stop`` as in ``decode_segment``. ``size``
    is the frames of a part: what is in a part that has left survives a crash.
    """
    reformatter, loss, parts = VideoReformatter(), Loss(), _Parts()
    given = 0
    with open_film(uri) as (container, stream):
        sideways = rotation % 180 != 0
        width, height = (stream.height, stream.width) if sideways else (stream.width, stream.height)
        reader = SignalReader(width, height)
        for frame in decode_segment(container, stream, segment, loss, avoid, stop, beat):
            luma, cb, cr = planes(frame.picture, reformatter, rotation)
            row, thumb = reader.read(luma, cb, cr, full_range=_is_full_range(frame.picture))
            parts.follow(row)
            if segment.owns(frame.pts):
                given += 1
                if after is None or frame.pts > after:
                    if len(parts) >= size:
                        yield parts.taken()
                    parts.add(frame, row, thumb)
    if len(parts):
        yield parts.taken()
    troubled = loss.packets or loss.damaged or loss.stopped or avoid
    seen = max(loss.seen, segment.packets) if loss.stopped else loss.seen
    lost = max(0, seen - given) if troubled else 0
    reason = loss.reason
    if loss.damaged:
        reason = f"{loss.damaged} frames are damaged: {reason or 'errors in the stream'}"
    return Outcome(seen, lost, loss.damaged, loss.irregular and not segment.repair, reason)


def scan_segment(uri: str, segment: Segment, rotation: int) -> Part:
    """All of a segment at once, for those that have room for it; VideoError where no frame of it can be shown."""
    parts = list(scan_parts(uri, segment, rotation))
    if not parts:
        raise VideoError("no frame can be decoded")
    return Part(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(Part)))


class _Parts:
    """Rows that wait for the frame after them, whose displacement tells their motion."""

    def __init__(self) -> None:
        self._clear()

    def __len__(self) -> int:
        return len(self._frames)

    def follow(self, row: np.ndarray) -> None:
        """The next frame is here: its difference to the one before belongs to that one."""
        if self._rows:
            self._rows[-1][MOTION : MOTION + 3] = row[MOTION : MOTION + 3]

    def add(self, frame: Frame, row: np.ndarray, thumb: np.ndarray) -> None:
        own = row.copy()
        own[MOTION : MOTION + 3] = 0  # until the next frame comes; a film's last has none
        self._frames.append((frame.pts, frame.keyframe, frame.damaged))
        self._rows.append(own)
        self._thumbs.append(thumb)

    def taken(self) -> Part:
        pts, keyframe, damaged = zip(*self._frames, strict=True)
        part = Part(
            np.array(pts, np.int64),
            np.array(keyframe, bool),
            np.array(damaged, bool),
            finish(np.array(self._rows).reshape(-1, RAW)),
            np.array(self._thumbs, np.uint8).reshape(-1, THUMB[1], THUMB[0]),
        )
        self._clear()
        return part

    def _clear(self) -> None:
        self._frames: list[tuple[int, bool, bool]] = []
        self._rows: list[np.ndarray] = []
        self._thumbs: list[np.ndarray] = []


def _is_full_range(picture) -> bool:
    return picture.format.name.startswith("yuvj") or int(picture.color_range or 0) == 2
