"""Thumbnails: encoded pictures made small enough for a page."""

import cv2
import numpy as np

__all__ = ["file_name", "thumbnail"]

QUALITY = 86


def file_name(image_hash: str, width: int) -> str:
    """Name of a thumbnail; it depends on the picture and the width alone, so that it never has to be made twice."""
    return f"{image_hash[:24]}-{width}.jpg"


def thumbnail(content: bytes, width: int) -> bytes | None:
    """The picture as a JPEG at most ``width`` pixels wide, never enlarged; None where it cannot be decoded."""
    if not content:
        return None
    # IMREAD_COLOR applies the EXIF orientation, as browsers do.
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # more pixels than OpenCV agrees to open
        return None
    if picture is None:
        return None
    height, across = picture.shape[:2]
    if across > width:
        shape = (width, max(1, round(height * width / across)))
        picture = cv2.resize(picture, shape, interpolation=cv2.INTER_AREA)
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1, cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    encoded, data = cv2.imencode(".jpg", picture, options)
    return data.tobytes() if encoded else None
