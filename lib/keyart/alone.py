"""One run of a job at a time on the tables of a folder: a second one is refused in a line.

The lock is the kernel's, on a file under the tables, so that it goes with its holder however that ends. Tables at a
URL or in a catalogue have none: there the scheduler sees to it (max_active_runs, max_concurrent_runs).
"""

import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from keyart.errors import TableError

__all__ = ["FOLDER", "alone"]

FOLDER = ".locks"
"""Under the tables; what Spark and Delta list leaves out names that begin with a dot."""


@contextmanager
def alone(job: str, root: str, wait: bool = False) -> Iterator[None]:
    """Hold the job's lock while the body runs; where another holds it, ``wait`` or raise TableError."""
    path = root.removeprefix("file://").removeprefix("file:")
    if ":" in path:
        yield
        return
    folder = Path(path) / FOLDER
    with _there(folder, job), (folder / job).open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            lock.seek(0)
            raise TableError(
                f"another {job} is at work on {root} ({lock.read().strip() or 'just begun'}): wait until it has ended; "
                "run again, this one does what is left"
            ) from error
        except OSError:  # a filesystem without locks
            yield
            return
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()} since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n")
        lock.flush()
        yield


@contextmanager
def _there(folder: Path, job: str) -> Iterator[None]:
    """Make the folder; where a new root holds nothing else in the end, both go again: its name was mistyped."""
    is_new = not folder.parent.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        if is_new and [*folder.parent.iterdir()] == [folder] and [*folder.iterdir()] == [folder / job]:
            shutil.rmtree(folder.parent, ignore_errors=True)
