"""Decode a film, or one segment of it, frame by frame as a player would; no Spark, no RGB.

PyAV is used one packet at a time, so that one bad packet costs its frames and not the rest of the film.
"""

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache

import av
import av.logging
import cv2
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from keyart.errors import VideoError
from keyart.video.exchange import Segment
from keyart.video.sources import BLOCK, one_line, open_source

__all__ = [
    "Frame", "Loss", "decode_segment", "demux", "frame_rate", "open_film", "planes", "rotation_of",
    "seek_keyframe",
]  # fmt: skip

PLANAR = re.compile(r"yuvj?4(20|22|44|40|11)p(?P<bits>10|12)?(le)?")
"""Pixel formats whose planes are read as they lie; anything else is converted to yuv420p first."""

MOST_PIXELS, MOST_ACROSS = 40_000_000, 20_000
"""Of a frame, and of its longer side: 8K and panoramas fit. A decoder keeps up to some twenty frames."""
MOST_STREAMS = 200
MOST_SECONDS = 7 * 86_400
BOUNDS = {"max_pixels": str(MOST_PIXELS)}
"""For the decoders themselves: a stream may grow after its header."""

av.logging.set_level(av.logging.ERROR)  # the decoder's own words are the reason of a loss; see _complaint


@dataclass
class Loss:
    """What a decoding had to leave out, and what it noticed on the way."""

    seen: int = 0
    """Packets of owned frames that were there."""
    packets: int = 0
    """Packets that could not be decoded."""
    damaged: int = 0
    """Frames that were shown although they, or frames they build on, hold errors."""
    stopped: bool = False
    """Reading ended before the file did: what the plan expects and is not among ``seen`` is lost, too."""
    irregular: bool = False
    """The frames contradict the plan (pts that do not ascend, a keyframe that needs frames before it)."""
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
    damaged: bool
    """It, or a frame since the last keyframe, was decoded with errors."""
    picture: av.VideoFrame = field(repr=False)


@contextmanager
def open_film(uri: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its first video stream, decoding in one thread; VideoError says in one line what is wrong."""
    with open_source(uri) as source:
        if source.size == 0:
            raise VideoError("the file is empty")
        try:
            container = av.open(
                source,
                mode="r",
                options=BOUNDS | {"max_streams": str(5 * MOST_STREAMS)},
                metadata_errors="replace",
                buffer_size=min(BLOCK, 1 << 18),
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise VideoError(f"cannot be opened as a film: {one_line(error)}") from error
        with container:
            pictures = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
            if not pictures:
                raise VideoError("holds no video stream")
            stream = pictures[0]
            if stream.codec_context is None:
                raise VideoError("its video codec is unknown here")
            _check_claims(container, stream)
            stream.codec_context.options = BOUNDS
            stream.thread_type = "NONE"
            stream.codec_context.thread_count = 1
            yield container, stream


def _check_claims(container: InputContainer, stream: VideoStream) -> None:
    """VideoError where the header claims what no film is, before anything is made room for."""
    if len(container.streams) > MOST_STREAMS:
        raise VideoError(f"has {len(container.streams)} streams: films have at most {MOST_STREAMS}")
    width, height = stream.width, stream.height
    if width * height > MOST_PIXELS or max(width, height) > MOST_ACROSS:
        raise VideoError(
            f"claims frames of {width} x {height}: films have at most {MOST_PIXELS // 1_000_000} million pixels, "
            f"{MOST_ACROSS} a side"
        )
    lengths = [(container.duration or 0) / av.time_base, float((stream.duration or 0) * (stream.time_base or 0))]
    if max(lengths) > MOST_SECONDS:
        raise VideoError(f"claims to last {max(lengths) / 3600:.0f} hours: films last at most {MOST_SECONDS // 3600}")


def decode_segment(
    container: InputContainer,
    stream: VideoStream,
    segment: Segment,
    loss: Loss | None = None,
    avoid: Collection[int] = (),
    stop: int | None = None,
    beat: Callable[[int | None], None] = lambda position: None,
) -> Iterator[Frame]:
    """Frames in presentation order from the segment's keyframe to the next one's, both included.

    The frame past the end is for differences. Packets that cannot be decoded are counted in ``loss``; from a packet
    whose pts is in ``avoid`` on nothing is decoded until the next keyframe, from ``stop`` on nothing at all. ``beat``
    is told each packet's pts before it is decoded. VideoError where the segment's keyframe cannot be found.
    """
    loss = Loss() if loss is None else loss
    step = _step(stream)
    last: int | None = None
    tainted = avoiding = False
    for packet in _packets_from(container, stream, segment, loss):
        if packet.size:
            loss.seen += not packet.is_discard and (packet.pts is None or segment.owns(packet.pts))
            avoiding = packet.pts in avoid or (avoiding and not packet.is_keyframe)
            if avoiding:
                continue
        ends = stop is not None and packet.pts == stop
        loss.stopped |= ends
        if not ends:
            beat(packet.pts)
        try:
            decoded = stream.decode(None) if ends else packet.decode()
        except (av.FFmpegError, ValueError) as error:
            loss.add(_complaint() or one_line(error))
            tainted = True
            continue
        for picture in decoded:
            pts = picture.pts if picture.pts is not None else picture.dts
            if last is not None and (pts is None or pts <= last):
                loss.irregular = True
                pts = last + (step if pts is None else 1)
            last_before, last = last, (0 if pts is None else pts)
            if segment.start_pts is not None and last < segment.start_pts:
                last = last_before
                continue  # leading pictures of an open GOP refer to frames before it; the segment before shows them
            loss.irregular |= last_before is None and segment.start_pts not in (None, last) and not loss.packets
            tainted = bool(picture.is_corrupt) or (tainted and not picture.key_frame)
            yield Frame(last, bool(picture.key_frame), tainted, picture)
            if segment.end_pts is not None and last >= segment.end_pts:
                return
            if tainted:
                loss.damaged += 1
                loss.reason = loss.reason or _complaint()
        if ends:
            return


def _packets_from(container: InputContainer, stream: VideoStream, segment: Segment, loss: Loss) -> Iterator[Packet]:
    if segment.start_pts is None:
        yield from demux(container, stream, loss)
        return
    packets = seek_keyframe(container, stream, segment.start_pts, lambda p: p.pts == segment.start_pts, loss)
    if packets is None:
        raise VideoError(f"the keyframe at pts {segment.start_pts} cannot be found again")
    yield from packets


def seek_keyframe(
    container: InputContainer, stream: VideoStream, time: int, wanted: Callable[[Packet], bool], loss: Loss
) -> Iterator[Packet] | None:
    """The stream's packets from the wanted keyframe on, which lies at about ``time``; None where it is not found."""
    # Indices count dts in some containers and pts in others: aim at the pts, and further back where that overshoots.
    second = max(1, int(1 / stream.time_base)) if stream.time_base else 1
    for target in (time, time - second, time - 10 * second, None):
        try:
            if target is None:
                container.seek(0)
            else:
                container.seek(target, stream=stream, backward=True, any_frame=False)
        except (av.FFmpegError, OSError):
            continue  # the next attempt aims elsewhere; the last fails for good
        packets = demux(container, stream, loss)
        for packet in packets:
            if packet.is_keyframe and packet.size and wanted(packet):
                return _with_first(packet, packets)
            if packet.is_keyframe and packet.pts is not None and packet.pts > time:
                break
    return None


def _with_first(packet: Packet, rest: Iterator[Packet]) -> Iterator[Packet]:
    yield packet
    yield from rest


def demux(container: InputContainer, stream: VideoStream | None, loss: Loss) -> Iterator[Packet]:
    """Packets of one stream, or of all; a reading error ends them and is counted."""
    if stream is not None:
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all  # some demuxers then skip the bytes, too
    try:
        yield from container.demux(stream) if stream else container.demux()
    except (av.FFmpegError, OSError) as error:
        loss.stopped = True
        loss.add(f"reading stops: {one_line(error)}")


def planes(picture: av.VideoFrame, reformatter: VideoReformatter, turn: int = 0) -> tuple[np.ndarray, ...]:
    """Luma, Cb and Cr as uint8 arrays (h, w), (h', w'), (h', w'), turned by ``turn`` degrees clockwise.

    Of an interlaced picture one field, since both together show two moments as a comb. More than 8 bits are reduced to
    8; formats that are not planar YUV become yuv420p (limited range, BT.601). The arrays may be views of the decoder's
    memory: use them before the next frame is asked for, or copy.
    """
    bits = _planar_bits(picture.format.name)
    interlaced = picture.interlaced_frame
    if bits is None:
        picture, bits = reformatter.reformat(picture, format="yuv420p", dst_color_range="MPEG", threads=1), 8
    read = [_plane(plane, bits) for plane in picture.planes[:3]]
    if interlaced:
        read = [plane[::2] for plane in read]
    if turn % 360:
        read = [np.ascontiguousarray(np.rot90(plane, -(turn // 90))) for plane in read]
    return tuple(read)


@cache
def _planar_bits(name: str) -> int | None:
    """Bits of a planar YUV format's samples; None for other formats."""
    layout = PLANAR.fullmatch(name)
    return int(layout["bits"] or 8) if layout else None


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


def _complaint() -> str:
    """The decoder's last error message, in one line; empty where it said none."""
    _, last = av.logging.get_last_error()
    return " ".join(last[2].split())[:200] if last else ""
