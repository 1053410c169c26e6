"""Folders for what a driver hands its workers: gone with the run, or, where that was killed, with a later one."""

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["scratch"]

PREFIX = "keyart-"
DAY_SECONDS = 86_400.0
"""What is younger stays: another machine of this name may see the same folder."""


@contextmanager
def scratch(folder: str) -> Iterator[Path]:
    """A new folder in ``folder`` ("": the temporary one) while the body runs.

    Its name says whose it is, so that what a process of this machine left there when it was killed can be removed.
    """
    place = Path(folder or tempfile.gettempdir())
    _sweep(place)
    name = f"{PREFIX}{socket.gethostname()}-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=name, dir=place) as mine:
        yield Path(mine)


def _sweep(place: Path) -> None:
    """Remove folders of this machine's processes that are no more."""
    mine = f"{PREFIX}{socket.gethostname()}-"
    with suppress(OSError):
        for path in place.glob(f"{mine}*"):
            process = path.name.removeprefix(mine).partition("-")[0]
            is_old = time.time() - path.stat().st_mtime > DAY_SECONDS
            if is_old and process.isdecimal() and not _runs(int(process)):
                shutil.rmtree(path, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True  # somebody else's
    return True
