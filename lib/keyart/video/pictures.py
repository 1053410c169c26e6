"""Fetch single frames of a film as a viewer would see them, as JPEG.

That is: in sRGB (high dynamic range brought down), deinterlaced, with square pixels, turned, without black bars.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import groupby

import av
import cv2
import numpy as np
from av.filter import Graph
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from keyart.previews import preview
from keyart.video.decode import decode_segment, open_film
from keyart.video.exchange import Pick, Picture, Segment
from keyart.video.tone import is_wide, tone_mapped

__all__ = ["deinterlaced", "encode_frame", "fetch_pictures"]


def fetch_pictures(
    uri: str,
    picks: Sequence[Pick],
    rotation: int,
    quality: int,
    repair: bool,
    beat: Callable[[int | None], None] = lambda position: None,
) -> Iterator[Picture]:
    """JPEGs of the picks in order of time, one by one; a pick whose pts does not appear again is left out.

    ``repair`` as in ``Segment``. VideoError where the film cannot be opened.
    """
    reformatter = VideoReformatter()
    ordered = sorted(picks, key=lambda pick: pick.pts)
    with open_film(uri) as (container, stream):
        aspect = stream.sample_aspect_ratio or Fraction(1)
        for start, group in groupby(ordered, key=lambda pick: None if repair else pick.key_pts):
            wanted = {pick.pts: pick for pick in group}
            if start is None:
                container.seek(0)
            stretch = Segment(0, start, max(wanted), 0, repair)
            before: av.VideoFrame | None = None
            for frame in decode_segment(container, stream, stretch, beat=beat):
                pick = wanted.get(frame.pts)
                if pick is not None:
                    picture = deinterlaced(before, frame.picture) if frame.picture.interlaced_frame else frame.picture
                    bars = (pick.bar_top, pick.bar_left)
                    yield Picture(frame.pts, *encode_frame(picture, reformatter, aspect, rotation, bars, quality))
                before = frame.picture


def deinterlaced(before: av.VideoFrame | None, picture: av.VideoFrame) -> av.VideoFrame:
    """The moment of the picture's first field at full height; the frame before, if there is one, guides the motion."""
    graph = Graph()
    source = graph.add_buffer(
        width=picture.width, height=picture.height, format=picture.format, time_base=picture.time_base
    )
    filters = [source, graph.add("bwdif", "mode=send_frame:deint=all"), graph.add("buffersink")]
    graph.link_nodes(*filters).configure()
    same = before is not None and (before.width, before.height, before.format.name) == (
        picture.width, picture.height, picture.format.name,
    )  # fmt: skip
    pushed = [before, picture] if same else [picture]
    for frame in (*pushed, None):
        graph.push(frame)
    shown = picture
    for _ in pushed:
        shown = graph.vpull()  # the last that comes out is ours
    return shown


def encode_frame(
    picture: av.VideoFrame,
    reformatter: VideoReformatter,
    aspect: Fraction,
    rotation: int,
    bars: tuple[float, float],
    quality: int,
) -> tuple[bytes, int, int, bytes | None]:
    """JPEG bytes, width, height and preview of a decoded frame as a player shows it.

    ``aspect`` is a pixel's width over its height, ``rotation`` degrees clockwise, ``bars`` the shares of height and
    width that are black at either edge of the turned picture.
    """
    shown = _rgb(picture, reformatter, _square(picture.width, picture.height, aspect))[..., ::-1]
    if rotation % 360:
        shown = np.rot90(shown, -(rotation // 90))
    top, left = (_bar_pixels(bar, size) for bar, size in zip(bars, shown.shape[:2], strict=True))
    shown = np.ascontiguousarray(shown[top : shown.shape[0] - top, left : shown.shape[1] - left])
    content = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1])[1]
    return content.tobytes(), shown.shape[1], shown.shape[0], preview(shown)


def _square(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """The size with square pixels: no line or column is thrown away."""
    if not Fraction(1, 4) <= aspect <= 4:
        return width, height  # no film has such pixels
    return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))


def _rgb(picture: av.VideoFrame, reformatter: VideoReformatter, size: tuple[int, int]) -> np.ndarray:
    """sRGB (h, w, 3) uint8 of a frame at the given size."""
    transfer, primaries = int(picture.color_trc or 0), int(picture.color_primaries or 0)
    wide = is_wide(transfer, primaries) and not picture.format.is_rgb
    width, height = (picture.width, picture.height) if wide else size
    colours = reformatter.reformat(
        picture,
        width=width,
        height=height,
        format="rgb48le" if wide else "rgb24",
        src_colorspace=_matrix(picture),
        src_color_range=_range(picture),
        dst_color_range=ColorRange.JPEG,
        interpolation=Interpolation.BICUBIC,
        threads=1,
    ).to_ndarray()
    if not wide:
        return colours
    shown = tone_mapped(colours, transfer)
    return shown if size == (width, height) else cv2.resize(shown, size, interpolation=cv2.INTER_CUBIC)


def _matrix(picture: av.VideoFrame) -> Colorspace:
    """The film's YCbCr matrix; where it does not say, what players assume: BT.709 from 720 lines on, else BT.601."""
    said = int(picture.colorspace or 0)
    known = {int(space): space for space in Colorspace} | {6: Colorspace.ITU601, 10: Colorspace.BT2020}
    return known.get(said) or (Colorspace.ITU709 if picture.height >= 720 else Colorspace.ITU601)


def _range(picture: av.VideoFrame) -> ColorRange:
    full = picture.format.is_rgb or picture.format.name.startswith("yuvj") or int(picture.color_range or 0) == 2
    return ColorRange.JPEG if full else ColorRange.MPEG


def _bar_pixels(share: float, size: int) -> int:
    """Whole pixels of a bar and one more, since scaling blurs its edge; 0 for less than a hundredth."""
    return min(math.ceil(share * size) + 1, size // 2 - 1) if share >= 0.01 else 0
