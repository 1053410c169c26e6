"""What a film file says about itself, and a fingerprint that changes when the film does."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import av

from keyart.errors import VideoError
from keyart.video.decode import frame_rate, open_film, rotation_of

__all__ = ["Probe", "fingerprint", "probe_film", "probe_films"]

SAMPLE = 1 << 20
"""Bytes read at the head, the middle and the tail."""
THREADS = 8
"""Probing waits for storage, not for the processor."""


@dataclass(frozen=True)
class Probe:
    """A row of the ``videos`` table without its ids."""

    fingerprint: str
    size_bytes: int
    codec: str
    width: int
    height: int
    rotation: int
    time_base_num: int
    time_base_den: int
    duration_seconds: float | None
    frame_rate: float | None


def probe_film(uri: str) -> Probe:
    """Open a film and decode its first picture; VideoError says in one line why it cannot be used."""
    size, mark = fingerprint(uri)
    with open_film(uri) as (container, stream):
        picture = None
        try:
            picture = next(container.decode(stream), None)
        except (av.FFmpegError, ValueError) as error:
            raise VideoError(f"no picture can be decoded: {error}") from error
        if picture is None:
            raise VideoError("holds no picture")
        base = stream.time_base
        if not base:
            raise VideoError("has no time base")
        duration = container.duration / av.time_base if container.duration else None
        if stream.duration is not None:
            duration = float(stream.duration * base)
        return Probe(
            fingerprint=mark,
            size_bytes=size,
            codec=stream.codec_context.name,
            width=stream.width or picture.width,
            height=stream.height or picture.height,
            rotation=rotation_of(picture),
            time_base_num=base.numerator,
            time_base_den=base.denominator,
            duration_seconds=duration,
            frame_rate=frame_rate(stream),
        )


def probe_films(uris: Sequence[str]) -> list[Probe | str]:
    """Each film's probe, or the one-line reason why there is none, in the order given."""

    def probe(uri: str) -> Probe | str:
        try:
            return probe_film(uri)
        except VideoError as error:
            return str(error)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(probe, uris))


def fingerprint(uri: str) -> tuple[int, str]:
    """Size in bytes, and a hash of it and of samples at head, middle and tail; VideoError where unreadable."""
    path = Path(uri.removeprefix("file://").removeprefix("file:"))
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise VideoError("is not a file")
        if size == 0:
            raise VideoError("the file is empty")
        digest = hashlib.blake2b(str(size).encode(), digest_size=16)
        with path.open("rb") as file:
            for begin in sorted({0, max(0, size // 2 - SAMPLE // 2), max(0, size - SAMPLE)}):
                file.seek(begin)
                digest.update(file.read(SAMPLE))
    except OSError as error:
        raise VideoError(f"cannot be read ({error.strerror or error})") from error
    return size, digest.hexdigest()
