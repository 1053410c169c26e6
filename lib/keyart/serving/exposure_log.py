"""Log files of JSON lines that grow hidden and appear whole, as jobs that read a folder of them expect."""

import fcntl
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from keyart.errors import InputError

__all__ = ["ExposureLog"]

OPEN, CLOSED = ".open", ".jsonl"
AGES = 3
"""A file that no process holds and nobody wrote to for so many times its age was left by a process that died.

The age is asked for too: machines that share a folder may not see each other's locks."""


class ExposureLog:
    """Appends rows to a hidden file, which is closed and gets its name at a size (bytes) or an age (seconds).

    A batch of rows is handed to the operating system before ``write`` returns: a killed process loses none that it
    answered for. Safe to use from several threads; several processes may share a folder.
    """

    def __init__(self, folder: Path, size: int, age: float, now: Callable[[], float] = time.time) -> None:
        self._folder, self._size, self._age, self._now = folder, size, age, now
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._file: int = -1
        self._written, self._since = 0, 0.0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._adopt()
        except OSError as error:
            raise InputError(f"{folder} cannot be written ({error.strerror}); name another serve.log_folder") from error

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows, all or (where the disk is full) an OSError."""
        text = "".join(f"{json.dumps(row, ensure_ascii=False, separators=(',', ':'))}\n" for row in rows).encode()
        with self._lock:
            if self._path is None:
                self._begin()
            left = memoryview(text)
            try:
                while left:
                    left = left[os.write(self._file, left) :]
            except OSError:
                os.ftruncate(self._file, self._written)  # else the next row would go on where half of this one ends
                raise
            self._written += len(text)
            if self._written >= self._size:
                self._close()

    def rotate(self) -> None:
        """Close the file if it is old enough, and those of processes that died; to be called every now and then."""
        with self._lock:
            if self._path is not None and self._now() - self._since >= self._age:
                self._close()
        self._adopt()  # without the lock: a folder may take long to list, and answers go on

    def close(self) -> None:
        """Close the file; the next row opens another."""
        with self._lock:
            self._close()

    def _begin(self) -> None:
        stamp = datetime.fromtimestamp(self._now(), UTC).strftime("%Y%m%dT%H%M%S")
        path = self._folder / f".exposures-{stamp}-{uuid.uuid4().hex[:8]}{OPEN}"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._path, self._written, self._since = path, 0, self._now()
        with suppress(OSError):  # where a file system has no locks, the age alone tells who lives
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _close(self) -> None:
        if self._path is not None:
            path, file = self._path, self._file
            # Whatever fails below: the number of a closed file is soon a client's connection, to which no row may go.
            self._path, self._file = None, -1
            os.close(file)
            self._name(path)

    def _adopt(self) -> None:
        own = self._path
        for path in self._folder.glob(f".exposures-*{OPEN}"):
            with suppress(FileNotFoundError):  # closed, or adopted by another process, meanwhile
                if path != own and self._now() - path.stat().st_mtime > AGES * self._age and not _is_held(path):
                    self._name(path)

    def _name(self, path: Path) -> None:
        path.rename(self._folder / path.name.removeprefix(".").replace(OPEN, CLOSED))


def _is_held(path: Path) -> bool:
    """Whether a process that lives, on this machine or wherever its locks are seen, has the file open."""
    file = os.open(path, os.O_WRONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(file)
    return False
