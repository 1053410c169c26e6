"""Pictures that come from no film: an item's images, an editor's uploads."""

import hashlib
import io
import warnings
from dataclasses import dataclass

import cv2
import PIL.Image

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
MOST_PIXELS, MOST_ACROSS = 64_000_000, 30_000
"""What a picture may unpack to, and its longer side: some 200 MB in memory, and what a JPEG can hold."""
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "MPO")
"""What IMAGE_SUFFIXES stand for, whatever a file is called: no other decoder is asked. MPO is a camera's JPEG."""


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
    _check_size(content)
    try:
        bgr = decode(content)
    except cv2.error as error:
        raise VideoError("is no picture that can be decoded") from error
    if bgr is None:
        raise VideoError("is no picture that can be decoded")
    mime = next((name for start, name in KINDS if content.startswith(start)), "")
    if not mime:
        mime, content = "image/jpeg", cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
    height, width = bgr.shape[:2]
    return StoredImage(hashlib.sha256(content).hexdigest(), mime, width, height, content, preview(bgr))


def _check_size(content: bytes) -> None:
    """VideoError where the header tells of another format, or of more pixels than may be unpacked."""
    try:
        with warnings.catch_warnings(), PIL.Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            warnings.simplefilter("ignore")
            width, height = picture.size
    except PIL.Image.DecompressionBombError as error:
        raise VideoError(f"has more than {MOST_PIXELS // 1_000_000} million pixels") from error
    except Exception as error:  # its readers raise whatever a damaged header leads to
        raise VideoError("is no picture that can be decoded (JPEG, PNG, WebP, BMP or TIFF)") from error
    if width * height > MOST_PIXELS or max(width, height) > MOST_ACROSS:
        raise VideoError(
            f"is {width} x {height}: pictures have at most {MOST_PIXELS // 1_000_000} million pixels, "
            f"{MOST_ACROSS} a side"
        )


def artwork_id_of(title_id: str, image_hash: str) -> str:
    """An artwork's id: of its title and picture alone, so that a re-scan keeps it."""
    return hashlib.sha256(f"{title_id}\x1f{image_hash}".encode()).hexdigest()[:32]
