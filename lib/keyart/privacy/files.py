"""The files under a root, on a disk or behind a URL, and one of them to read."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from keyart.errors import InputError
from keyart.paths import bare_path, is_remote

__all__ = ["files_under", "open_file"]


def files_under(root: str) -> Iterator[tuple[str, int]]:
    """Address and bytes of every file, hidden ones too, without following links; a root that is a file is the one.

    InputError where the root cannot be listed: what was not looked at is not proven. A local root that is not there
    has no files.
    """
    if is_remote(root):
        yield from _remote(root)
        return
    path = Path(bare_path(root))
    if path.is_file():
        yield str(path), path.stat().st_size
        return

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename} cannot be listed ({error.strerror}), so that nothing is proven of it")

    for folder, _, names in os.walk(path, onerror=refuse if path.exists() else None):
        for name in sorted(names):
            found = Path(folder) / name
            about = found.lstat()
            if stat.S_ISREG(about.st_mode):
                yield str(found), about.st_size


def open_file(address: str) -> IO[bytes]:
    """The file, to be read and sought in."""
    if is_remote(address):
        import fsspec

        opened: Any = fsspec.open(address, "rb").open()
        return opened
    return Path(bare_path(address)).open("rb")


def _remote(root: str) -> Iterator[tuple[str, int]]:
    try:
        import fsspec

        system, path = fsspec.url_to_fs(root)
        found = system.find(path, detail=True)
    except Exception as error:  # every store has exceptions of its own
        raise InputError(f"{root} cannot be listed ({error}), so that nothing is proven of it") from error
    for name, about in sorted(found.items()):
        yield system.unstrip_protocol(name), int(about.get("size") or 0)
