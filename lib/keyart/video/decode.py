"""Decode a film, or one segment of it, into planes as a player would turn them; no Spark, no RGB.

PyAV is used one packet at a time, so that one bad packet costs its frames and not the rest of the film.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from keyart.errors import VideoError

__all__ = ["Frame", "Loss", "Segment", "decode_segment", "demux", "frame_rate", "open_film", "planes", "rotation_of"]

PLANAR = re.compile(r"yuvj?4(20|22|44|40|11)p(?P<bits>10|12)?(le)?")
"""Pixel formats whose planes are read as they lie; anything else is converted to yuv420p first."""


@dataclass(frozen=True)
class Segment:
    """A stretch of a film that one task decodes.

    It decodes from its keyframe to the next segment's and owns the frames after the first up to and including the
    second: the decoder has both in hand, so the difference across the border costs no frame twice. The first segment
    owns its own keyframe too; the last runs to the end.
    """

    index: int
    start_pts: int | None
    """pts of the keyframe decoding starts at; None for the film's beginning."""
    end_pts: int | None
    """pts of the next segment's keyframe; None for the film's end."""
    packets: int
    """Packets of the frames owned: how many are lost where none comes out."""
    repair: bool = False
    """pts are missing or doubled: they are made to ascend, which needs the film from its beginning."""

    def owns(self, pts: int) -> bool:
        """Whether the frame's row belongs to this segment."""
        return (self.start_pts is None or pts > self.start_pts) and (self.end_pts is None or pts <= self.end_pts)


@dataclass
class Loss:
    """What a decoding had to leave out."""

    packets: int = 0
    reason: str = ""

    def add(self, reason: str) -> None:
        """Count one more bad packet; the first reason is kept."""
        self.packets += 1
        self.reason = self.reason or reason


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded picture with its presentation time, made to ascend where the film's own does not."""

    pts: int
    keyframe: bool
    picture: av.VideoFrame = field(repr=False)


@contextmanager
def open_film(uri: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its first video stream, decoding in one thread; VideoError says in one line what is wrong."""
    try:
        container = av.open(uri, mode="r", metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"cannot be opened as a film: {_words(error)}") from error
    with container:
        if not container.streams.video:
            raise VideoError("holds no video stream")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise VideoError("its video codec is unknown here")
        stream.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        yield container, stream


def decode_segment(
    container: InputContainer, stream: VideoStream, segment: Segment, loss: Loss | None = None
) -> Iterator[Frame]:
    """Frames in presentation order from the segment's keyframe to the next one's, both included.

    Packets that cannot be decoded are counted in ``loss``. VideoError where the segment's keyframe cannot be found.
    """
    loss = Loss() if loss is None else loss
    step = _step(stream)
    last: int | None = None
    for packet in _packets_from(container, stream, segment, loss):
        try:
            decoded = packet.decode()
        except (av.FFmpegError, ValueError) as error:
            loss.add(_words(error))
            continue
        for picture in decoded:
            pts = picture.pts if picture.pts is not None else picture.dts
            if last is not None and (pts is None or pts <= last):
                pts = last + (step if pts is None else 1)
            last = pts = 0 if pts is None else pts
            if segment.start_pts is not None and pts < segment.start_pts:
                continue  # leading pictures of an open GOP refer to frames before it; the segment before shows them
            yield Frame(pts, bool(picture.key_frame), picture)
            if segment.end_pts is not None and pts >= segment.end_pts:
                return


def _packets_from(
    container: InputContainer, stream: VideoStream, segment: Segment, loss: Loss
) -> Iterator[av.packet.Packet]:
    if segment.start_pts is None:
        yield from demux(container, stream, loss)
        return
    # Indices count dts in some containers and pts in others: aim at the pts, and further back where that overshoots.
    second = max(1, int(1 / stream.time_base)) if stream.time_base else 1
    for target in (segment.start_pts, segment.start_pts - second, segment.start_pts - 10 * second, None):
        if target is None:
            container.seek(0)
        else:
            container.seek(target, stream=stream, backward=True, any_frame=False)
        packets = demux(container, stream, loss)
        for packet in packets:
            if packet.pts == segment.start_pts and packet.is_keyframe:
                yield packet
                yield from packets
                return
            if packet.is_keyframe and packet.pts is not None and packet.pts > segment.start_pts:
                break
    raise VideoError(f"the keyframe at pts {segment.start_pts} cannot be found again")


def demux(container: InputContainer, stream: VideoStream | None, loss: Loss) -> Iterator[av.packet.Packet]:
    """Packets of one stream, or of all; a reading error ends them and is counted."""
    try:
        yield from container.demux(stream) if stream else container.demux()
    except (av.FFmpegError, OSError) as error:
        loss.add(f"reading stops: {_words(error)}")


def planes(picture: av.VideoFrame, reformatter: VideoReformatter, turn: int = 0) -> tuple[np.ndarray, ...]:
    """Luma, Cb and Cr as uint8 arrays (h, w), (h', w'), (h', w'), turned by ``turn`` degrees clockwise.

    More than 8 bits are reduced to 8; formats that are not planar YUV become yuv420p (limited range, BT.601). The
    arrays may be views of the decoder's memory: use them before the next frame is asked for, or copy.
    """
    layout = PLANAR.fullmatch(picture.format.name)
    if layout is None:
        picture = reformatter.reformat(picture, format="yuv420p", dst_color_range="MPEG", threads=1)
    bits = int(layout["bits"] or 8) if layout else 8
    read = [_plane(plane, bits) for plane in picture.planes[:3]]
    if turn % 360:
        read = [np.ascontiguousarray(np.rot90(plane, -(turn // 90))) for plane in read]
    return tuple(read)


def _plane(plane: av.video.plane.VideoPlane, bits: int) -> np.ndarray:
    kind = np.dtype(np.uint8 if bits == 8 else np.uint16)
    lines = np.frombuffer(memoryview(plane), kind).reshape(plane.height, -1)[:, : plane.width]  # type: ignore[arg-type]
    return lines if bits == 8 else cv2.convertScaleAbs(lines, alpha=0.5 ** (bits - 8))


def rotation_of(picture: av.VideoFrame) -> int:
    """Degrees clockwise by which a player turns the picture: 0, 90, 180 or 270."""
    return round(-picture.rotation / 90) * 90 % 360


def frame_rate(stream: VideoStream) -> float | None:
    """Average frames per second as the container says, None where it does not."""
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate else None


def _step(stream: VideoStream) -> int:
    """pts units of one frame, at least 1."""
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    return max(1, round(1 / (rate * (stream.time_base or Fraction(1, 1000)))))


def _words(error: Exception) -> str:
    """A one-line reason without the path, which the row names already."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(said).split())[:200]
