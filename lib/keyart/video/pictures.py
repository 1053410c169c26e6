"""Fetch single frames of a film as a viewer would see them: turned, with square pixels, without black bars, as JPEG."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

import av
import cv2
import numpy as np
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from keyart.video.decode import Segment, decode_segment, open_film

__all__ = ["Pick", "Picture", "encode_frame", "fetch_pictures"]


@dataclass(frozen=True)
class Pick:
    """A frame to fetch."""

    pts: int
    key_pts: int | None
    """pts of the keyframe from which it can be decoded; None: from the film's beginning."""
    bar_top: float
    """Share of the height to cut off at top and bottom."""
    bar_left: float


@dataclass(frozen=True)
class Picture:
    """A fetched frame, encoded."""

    pts: int
    content: bytes
    width: int
    height: int


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
            for frame in decode_segment(container, stream, stretch, beat=beat):
                pick = wanted.get(frame.pts)
                if pick is not None:
                    bars = (pick.bar_top, pick.bar_left)
                    yield Picture(frame.pts, *encode_frame(frame.picture, reformatter, aspect, rotation, bars, quality))


def encode_frame(
    picture: av.VideoFrame,
    reformatter: VideoReformatter,
    aspect: Fraction,
    rotation: int,
    bars: tuple[float, float],
    quality: int,
) -> tuple[bytes, int, int]:
    """JPEG bytes, width and height of a decoded frame as a player shows it.

    ``aspect`` is a pixel's width over its height, ``rotation`` degrees clockwise, ``bars`` the shares of height and
    width that are black at either edge of the turned picture.
    """
    believable = Fraction(1, 4) <= aspect <= 4
    width = max(1, round(picture.width * aspect)) if believable else picture.width
    shown: np.ndarray = reformatter.reformat(
        picture,
        width=width,
        height=picture.height,
        format="bgr24",
        src_colorspace=_matrix(picture),
        interpolation=Interpolation.BICUBIC,
        threads=1,
    ).to_ndarray()
    if rotation % 360:
        shown = np.rot90(shown, -(rotation // 90))
    top, left = (_bar_pixels(bar, size) for bar, size in zip(bars, shown.shape[:2], strict=True))
    shown = np.ascontiguousarray(shown[top : shown.shape[0] - top, left : shown.shape[1] - left])
    content = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1])[1]
    return content.tobytes(), shown.shape[1], shown.shape[0]


def _matrix(picture: av.VideoFrame) -> Colorspace:
    """The film's YCbCr matrix; where it does not say, what players assume: BT.709 from 720 lines on, else BT.601."""
    said = int(picture.colorspace or 0)
    known = {int(space): space for space in Colorspace} | {6: Colorspace.ITU601, 10: Colorspace.BT2020}
    return known.get(said) or (Colorspace.ITU709 if picture.height >= 720 else Colorspace.ITU601)


def _bar_pixels(share: float, size: int) -> int:
    """Whole pixels of a bar and one more, since scaling blurs its edge; 0 for less than a hundredth."""
    return min(math.ceil(share * size) + 1, size // 2 - 1) if share >= 0.01 else 0
