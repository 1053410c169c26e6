"""One reader for films, wherever they lie: a local path, or any URL that fsspec knows (s3, abfss, gs, http, ...).

A film is read where the demuxer wants it, never fetched whole. Remote bytes come in blocks, the next one fetched while
this one is used; a few blocks are kept, because a container's sound and picture may lie apart.
"""

import io
import os
from pathlib import Path
from typing import IO, Any

from keyart.errors import VideoError
from keyart.paths import bare_path, is_remote

__all__ = ["Source", "list_files", "local_path", "open_source"]

BLOCK = 1 << 20
"""Bytes of a block, and of a local read."""
BLOCKS = 12
"""Blocks kept of a remote film."""
WAIT_SECONDS = 60
"""After so long without an answer a server counts as gone."""


class Source:
    """A film's bytes as a file: what a demuxer and a fingerprint need, with every failure an OSError of one line."""

    def __init__(self, name: str, size: int, file: IO[bytes], store: object = None) -> None:
        self.name = name
        self.size = size
        self._file = file
        self._store = store  # an archive closes its files when it is forgotten

    def read(self, count: int = -1) -> bytes:
        """Up to ``count`` bytes from here on; empty at the end."""
        try:
            return self._file.read(count)
        except OSError:
            raise
        except Exception as error:  # every store has exceptions of its own
            raise OSError(one_line(error)) from error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to an offset and return the position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The position."""
        return self._file.tell()

    def close(self) -> None:
        """Let go of the file or connection."""
        self._file.close()

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_source(uri: str) -> Source:
    """Open a film's bytes; VideoError says in one line why that is not possible."""
    if is_remote(uri):
        return _remote(uri)
    path = local_path(uri)
    try:
        if path.exists() and not path.is_file():
            raise VideoError("is not a file")
        file = io.FileIO(path)
        return Source(str(path), os.fstat(file.fileno()).st_size, file)
    except OSError as error:
        raise VideoError(f"cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # a zero byte, half of a surrogate pair
        raise VideoError(f"cannot be read ({one_line(error)})") from error


def list_files(folder: str) -> list[str]:
    """Addresses of the files directly in a remote folder, in order; VideoError where it cannot be listed."""
    try:
        import fsspec

        system, path = fsspec.url_to_fs(folder, **_options(folder))
        entries = system.ls(path, detail=True)
    except ImportError as error:
        raise VideoError(f"needs a package that is not installed: {one_line(error)}") from error
    except Exception as error:  # every store has exceptions of its own
        raise VideoError(f"cannot be listed ({_kind(error)})") from error
    return sorted(system.unstrip_protocol(entry["name"]) for entry in entries if entry["type"] == "file")


def local_path(uri: str) -> Path:
    """The path of a local address."""
    return Path(bare_path(uri))


def one_line(error: Exception) -> str:
    """A one-line reason."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(said).split())[:200]


def _remote(uri: str) -> Source:
    try:
        import fsspec

        system, path = fsspec.url_to_fs(uri, **_options(uri))
        size = system.info(path).get("size")
        if not size:
            raise VideoError("the file is empty" if size == 0 else "the server does not say how long the file is")
        caching: dict[str, Any] = {"cache_type": "background", "cache_options": {"maxblocks": BLOCKS}}
        file = system.open(path, "rb", block_size=BLOCK, size=size, **caching)
        if not file.seekable():
            raise VideoError("the server does not answer requests for byte ranges")
        return Source(uri, int(size), file, system)
    except VideoError:
        raise
    except ImportError as error:
        raise VideoError(f"needs a package that is not installed: {one_line(error)}") from error
    except Exception as error:  # every store has exceptions of its own
        raise VideoError(f"cannot be read ({_kind(error)})") from error


def _kind(error: Exception) -> str:
    return "it is not there" if isinstance(error, FileNotFoundError) else one_line(error)


def _options(uri: str) -> dict[str, Any]:
    """What the file system is opened with; of chained URLs the last is the store's, and its options go by its name."""
    *chain, last = uri.split("::")
    store = last.partition("://")[0].lower()
    if store not in ("http", "https"):
        return {}
    import aiohttp

    wait = aiohttp.ClientTimeout(total=None, sock_connect=WAIT_SECONDS, sock_read=WAIT_SECONDS)
    # A film is bytes: a compressed answer would have other ranges.
    options = {"client_kwargs": {"timeout": wait, "headers": {"Accept-Encoding": "identity"}, "trust_env": True}}
    return {store: options} if chain else options
