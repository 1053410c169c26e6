"""What a film file says about itself, and a fingerprint that changes when the film does.

A film is opened in a supervised child, as when it is scanned: one that crashes its decoder is named, and the ingest of
the others goes on.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue

import av

from keyart.errors import VideoError
from keyart.video.child import Child
from keyart.video.decode import frame_rate, open_film, rotation_of
from keyart.video.sources import open_source

__all__ = ["Probe", "fingerprint", "probe_film", "probe_films"]

SAMPLE = 1 << 20
"""Bytes read at the head, the middle and the tail."""
CHILDREN = 8
"""Most films probed at a time: probing waits for storage, not for the processor."""
FILMS_A_CHILD = 8
"""Starting a child takes as long as probing many films."""
SILENT_SECONDS = 120.0
PROBE = "keyart.catalog.probing:probe_film"


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


def probe_film(uri: str, beat: Callable[[int | None], None] = lambda position: None) -> Probe:
    """Open a film and decode its first picture; VideoError says in one line why it cannot be used."""
    size, mark = fingerprint(uri, beat)
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
    with _children(min(CHILDREN, -(-len(uris) // FILMS_A_CHILD))) as free:

        def probe(uri: str) -> Probe | str:
            child = free.get()
            try:
                return child.call(PROBE, uri, timeout=SILENT_SECONDS)
            except VideoError as error:
                return str(error)
            finally:
                free.put(child)

        with ThreadPoolExecutor(CHILDREN) as pool:
            return list(pool.map(probe, uris))


@contextmanager
def _children(count: int) -> Iterator[SimpleQueue[Child]]:
    children = [Child(warm=False) for _ in range(count)]
    free: SimpleQueue[Child] = SimpleQueue()
    for child in children:
        free.put(child)
    try:
        yield free
    finally:
        for child in children:
            child.stop()


def fingerprint(uri: str, beat: Callable[[int | None], None] = lambda position: None) -> tuple[int, str]:
    """Size in bytes, and a hash of it and of samples at head, middle and tail; VideoError where unreadable."""
    with open_source(uri) as source:
        size = source.size
        if size == 0:
            raise VideoError("the file is empty")
        digest = hashlib.blake2b(str(size).encode(), digest_size=16)
        try:
            for begin in sorted({0, max(0, size // 2 - SAMPLE // 2), max(0, size - SAMPLE)}):
                source.seek(begin)
                digest.update(source.read(SAMPLE))
                beat(None)
        except OSError as error:
            raise VideoError(f"cannot be read ({error.strerror or error})") from error
    return size, digest.hexdigest()
