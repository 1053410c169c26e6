"""Pictures that come from no film: an item's images, an editor's uploads."""

import hashlib
from dataclasses import dataclass

import cv2

from keyart.errors import VideoError
from keyart.previews import preview
from keyart.video.sources import open_source
from keyart.vision.picture import decode

__all__ = ["IMAGES", "IMAGE_SUFFIXES", "UPLOADS", "StoredImage", "artwork_id_of", "read_image"]

IMAGES, UPLOADS = "images", "uploads"
"""scan_id of candidates that are an item's images, or an editor's uploads: always current."""
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
KINDS = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG", "image/png"))
QUALITY = 92
LARGEST = 64 << 20
"""Bytes of a picture; more is no artwork."""


@dataclass(frozen=True)
class StoredImage:
    """A row of the ``images`` table."""

    image_hash: str
    mime: str
    width: int
    height: int
    content: bytes
    preview: bytes | None


def read_image(uri: str) -> StoredImage:
    """Read and decode a picture at a path or URL; VideoError says in one line why that cannot be.

    JPEG and PNG are kept byte for byte; what browsers may not show becomes a JPEG.
    """
    try:
        with open_source(uri) as source:
            if source.size > LARGEST:
                raise VideoError(f"is larger than {LARGEST >> 20} MB")
            content = source.read(source.size)
    except OSError as error:
        raise VideoError(f"cannot be read ({error.strerror or error})") from error
    try:
        bgr = decode(content)
    except cv2.error as error:  # more pixels than OpenCV agrees to open
        raise VideoError("is too large a picture to be decoded") from error
    if bgr is None:
        raise VideoError("is no picture that can be decoded")
    mime = next((name for start, name in KINDS if content.startswith(start)), "")
    if not mime:
        mime, content = "image/jpeg", cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
    height, width = bgr.shape[:2]
    return StoredImage(hashlib.sha256(content).hexdigest(), mime, width, height, content, preview(bgr))


def artwork_id_of(title_id: str, image_hash: str) -> str:
    """An artwork's id: of its title and picture alone, so that a re-scan keeps it."""
    return hashlib.sha256(f"{title_id}\x1f{image_hash}".encode()).hexdigest()[:32]
