"""Log files of JSON lines that grow hidden and appear whole, as jobs that read a folder of them expect."""

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from keyart.errors import InputError

__all__ = ["ExposureLog"]

OPEN, CLOSED = ".open", ".jsonl"
AGES = 3
"""A file that nobody closed for so many times its age was left by a process that died."""


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
            for left in folder.glob(f".exposures-*{OPEN}"):
                if now() - left.stat().st_mtime > AGES * age:
                    left.rename(folder / left.name.removeprefix(".").replace(OPEN, CLOSED))
        except OSError as error:
            raise InputError(f"{folder} cannot be written ({error.strerror}); name another serve.log_folder") from error

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows, all or (where the disk is full) an OSError."""
        text = "".join(f"{json.dumps(row, ensure_ascii=False, separators=(',', ':'))}\n" for row in rows).encode()
        with self._lock:
            if self._path is None:
                self._begin()
            left = memoryview(text)
            while left:
                left = left[os.write(self._file, left) :]
            self._written += len(text)
            if self._written >= self._size:
                self._close()

    def rotate(self) -> None:
        """Close the file if it is old enough; to be called every now and then."""
        with self._lock:
            if self._path is not None and self._now() - self._since >= self._age:
                self._close()

    def close(self) -> None:
        """Close the file; the next row opens another."""
        with self._lock:
            self._close()

    def _begin(self) -> None:
        stamp = datetime.fromtimestamp(self._now(), UTC).strftime("%Y%m%dT%H%M%S")
        self._path = self._folder / f".exposures-{stamp}-{uuid.uuid4().hex[:8]}{OPEN}"
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._written, self._since = 0, self._now()

    def _close(self) -> None:
        if self._path is not None:
            os.close(self._file)
            self._path.rename(self._folder / self._path.name.removeprefix(".").replace(OPEN, CLOSED))
            self._path, self._file = None, -1
