"""Pictures small enough for a page, made where the picture lies decoded anyway: decoding is what takes the time."""

import cv2
import numpy as np

__all__ = ["PREVIEW_WIDTH", "preview", "small_jpeg"]

PREVIEW_WIDTH = 640
"""Most pixels across of the previews that are stored beside images."""
QUALITY = 84


def small_jpeg(picture: np.ndarray, width: int) -> bytes:
    """A BGR (h, w, 3) uint8 picture as a JPEG at most ``width`` pixels wide, never enlarged."""
    height, across = picture.shape[:2]
    if across > width:
        shape = (width, max(1, round(height * width / across)))
        picture = cv2.resize(picture, shape, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def preview(picture: np.ndarray) -> bytes | None:
    """What is stored beside a picture; None where the picture itself is no wider."""
    return small_jpeg(picture, PREVIEW_WIDTH) if picture.shape[1] > PREVIEW_WIDTH else None
