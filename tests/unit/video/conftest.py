"""Small films made on the spot: moving patterns with known cuts, in the shapes that films come in."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest


def scene(seed: int, width: int, height: int) -> np.ndarray:
    """A picture with structure at every scale, larger than the frame so that a camera can move over it."""
    rng = np.random.default_rng(seed)
    canvas = np.zeros((height * 2, width * 2, 3), np.float32)
    for cells in (3, 9, 27):
        noise = rng.uniform(0, 255, (cells, cells, 3)).astype(np.float32)
        canvas += cv2.resize(noise, (width * 2, height * 2), interpolation=cv2.INTER_CUBIC) / 3
    return np.clip(canvas, 0, 255).astype(np.uint8)


def moving(seed: int, frames: int, width: int = 96, height: int = 64, speed: int = 1) -> list[np.ndarray]:
    """Frames of a camera that moves ``speed`` pixels a frame to the right over one scene."""
    picture = scene(seed, width, height)
    return [picture[8 : 8 + height, 4 + k * speed : 4 + k * speed + width] for k in range(frames)]


def write_film(
    path: Path,
    frames: list[np.ndarray],
    codec: str = "libx264",
    pixels: str = "yuv420p",
    pts: list[int] | None = None,
    options: dict[str, str] | None = None,
    rotation: int = 0,
    aspect: Fraction | None = None,
    container: dict[str, str] | None = None,
) -> Path:
    """Encode RGB frames at 24 a second (or at ``pts`` in units of 1/24 s)."""
    with av.open(str(path), "w", options=container or {}) as out:
        stream = out.add_stream(codec, rate=24)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        stream.options = {"g": "12", **(options or {})}
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(-rotation)
        for k, rgb in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            picture.pts, picture.time_base = (pts[k] if pts else k), Fraction(1, 24)
            for packet in stream.encode(picture):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    return path


@pytest.fixture
def film(tmp_path):
    """A maker: film("name.mp4", frames, ...) writes a film and returns its path."""

    def make(name: str, frames: list[np.ndarray], **how) -> str:
        return str(write_film(tmp_path / name, frames, **how))

    return make


@pytest.fixture
def take():
    """A maker of frames: take(seed, frames, width, height, speed)."""
    return moving
