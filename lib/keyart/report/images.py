"""Thumbnails: encoded pictures made small enough for a page."""

import os
import re
from pathlib import Path

import cv2
import numpy as np

from keyart.previews import small_jpeg
from keyart.report.facts import Picture

__all__ = ["file_name", "jpeg_size", "known_picture", "thumbnail", "write_thumbnail"]

REDUCED = {4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
NAME = re.compile(r"([0-9A-Za-z_-]{1,24})-(\d+)-(\d+)x(\d+)\.jpg")


def file_name(image_hash: str, most: int, width: int, height: int) -> str:
    """Name of a thumbnail: whose it is, how wide it might be and what it measures, so that its name says all."""
    return f"{image_hash[:24]}-{most}-{width}x{height}.jpg"


def known_picture(name: str) -> tuple[tuple[str, int], tuple[str, int, int]] | None:
    """What a thumbnail's name says, (start of the hash, most pixels across), (file, width, height); None for others."""
    said = NAME.fullmatch(name)
    return None if said is None else ((said[1], int(said[2])), (name, int(said[3]), int(said[4])))


def thumbnail(content: bytes, width: int) -> bytes | None:
    """The picture as a JPEG at most ``width`` pixels wide, never enlarged; None where it cannot be decoded."""
    if not content:
        return None
    data = np.frombuffer(content, np.uint8)
    # A JPEG decodes at a part of its size for a part of the time; EXIF's orientation is applied, as browsers do.
    across = _jpeg_across(content)
    how = next((flag for factor, flag in REDUCED.items() if across >= factor * width), cv2.IMREAD_COLOR)
    try:
        picture = cv2.imdecode(data, how)
    except cv2.error:  # more pixels than OpenCV agrees to open
        return None
    if picture is None:
        return None
    return small_jpeg(picture, width)


def _jpeg_across(content: bytes) -> int:
    """A JPEG's width in pixels, of one that EXIF may turn its shorter side; 0 for another format."""
    if content[:2] != b"\xff\xd8":
        return 0
    try:
        width, height = jpeg_size(content)
    except ValueError:
        return 0
    return min(width, height) if b"Exif" in content[:4096] else width


def write_thumbnail(content: bytes, image_hash: str, width: int, folder: Path, trusted: bool = False) -> Picture | None:
    """Write the thumbnail in one step, so that a killed run leaves no half picture; None where it cannot be decoded.

    A ``trusted`` JPEG, one of our previews, is written as it is where it is no wider than ``width``.
    """
    ready = trusted and _jpeg_across(content) <= width
    small = content if ready else thumbnail(content, width)
    if small is None:
        return None
    across, down = jpeg_size(small)
    target = folder / file_name(image_hash, width, across, down)
    part = target.with_name(f"{target.stem}.{os.getpid()}.part")
    part.write_bytes(small)
    part.replace(target)
    return Picture(target.name, across, down)


def jpeg_size(content: bytes) -> tuple[int, int]:
    """Width and height of a JPEG in pixels, from its frame header (ITU-T T.81, B.2.2) without decoding it."""
    at = 2
    while at + 9 < len(content):
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(content[at + 7 : at + 9], "big"), int.from_bytes(content[at + 5 : at + 7], "big")
        at += 2 + length
    raise ValueError("not a JPEG with a frame header")
