"""Thumbnails: encoded pictures made small enough for a page."""

import cv2
import numpy as np

__all__ = ["file_name", "jpeg_size", "thumbnail"]

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
    encoded, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1])
    return data.tobytes() if encoded else None


def jpeg_size(content: bytes) -> tuple[int, int]:
    """Width and height of a JPEG in pixels, from its frame header (ITU-T T.81, B.2.2) without decoding it."""
    at = 2
    while at + 9 < len(content):
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(content[at + 7 : at + 9], "big"), int.from_bytes(content[at + 5 : at + 7], "big")
        at += 2 + length
    raise ValueError("not a JPEG with a frame header")
