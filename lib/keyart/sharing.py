"""The catalogue's arrays on every worker, once a machine: written to a file beside which only a small handle travels.

A value with large arrays in it (a dataclass of tables, a model) is pickled with its buffers apart (PEP 574). Where all
machines see one folder the buffers go into a file there and workers map it into memory; where none is named they travel
in the handle, that is in the closure of the task.
"""

import hashlib
import mmap
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from keyart.errors import SetupError
from keyart.scratch import scratch

__all__ = ["Shared", "shared"]

T = TypeVar("T")
ALIGN = 64
_LOADED: dict[str, Any] = {}
"""What this process loaded last: tasks of one pass come one after the other."""


@dataclass(frozen=True)
class Shared(Generic[T]):
    """A handle on a value; pickles to a few kilobytes where the buffers lie in a file."""

    digest: str
    head: bytes
    path: str | None
    spans: tuple[tuple[int, int], ...]  # where each buffer starts in the file, and its length
    buffers: tuple[bytes, ...] = ()  # of a value without a file

    def value(self) -> T:
        """The value, loaded once a process; its arrays may be written to, which changes this process's copy alone.

        SetupError where the file is not to be seen from here.
        """
        if self.digest not in _LOADED:
            _LOADED.clear()
            _LOADED[self.digest] = pickle.loads(self.head, buffers=self._mapped())  # noqa: S301 - the driver's own
        return _LOADED[self.digest]

    def _mapped(self) -> list[Any]:
        if self.path is None:
            return [bytearray(buffer) for buffer in self.buffers]
        try:
            with open(self.path, "rb") as file:
                # Private to write, shared to read: one copy of what nobody changes.
                whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
        except OSError as error:
            raise SetupError(
                f"a worker cannot read {self.path}: let session.shared_folder name a folder that all machines see, or "
                f"leave it empty on clusters ({error})"
            ) from error
        return [whole[start : start + length] for start, length in self.spans]


@contextmanager
def shared(value: T, folder: str | None) -> Iterator[Shared[T]]:
    """A handle on ``value`` that workers can load while the context lasts; ``folder`` None: it travels whole."""
    found: list[pickle.PickleBuffer] = []
    head = pickle.dumps(value, protocol=5, buffer_callback=found.append)
    raw = [buffer.raw() for buffer in found]
    digest = hashlib.sha256(head)
    for buffer in raw:
        digest.update(buffer)
    name = digest.hexdigest()
    if folder is None:
        yield Shared(name, head, None, (), tuple(bytes(buffer) for buffer in raw))
        return
    with scratch(folder) as place:
        path, spans = place / f"{name}.bin", []
        with path.open("wb") as file:
            for buffer in raw:
                file.write(b"\0" * (-file.tell() % ALIGN))
                spans.append((file.tell(), len(buffer)))
                file.write(buffer)
            file.write(b"\0")  # an empty file cannot be mapped
        yield Shared(name, head, str(path), tuple(spans))
