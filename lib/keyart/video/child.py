"""Run decoding in a supervised child process: a crash or hang of native code costs some frames, not the executor.

One child serves many calls, because starting it takes about a second. It is a process of its own rather than a fork, so
no lock of the parent's libraries is inherited.
"""

import importlib
import inspect
import mmap
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from typing import Any

from keyart.errors import VideoError

__all__ = ["Child", "ChildDied", "own_child", "serve"]

SERVE = (
    "import sys; sys.path[:] = sys.argv[4:]; "
    "from keyart.video.child import serve; serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == 'warm')"
)
START_SECONDS = 300
BEAT_SECONDS = 0.5
"""A working child says at least this often, between frames, that it is alive."""
MEMORY = 8 << 30
"""Bytes of address space of a child: a film that makes its decoder ask for more costs that film."""
POSITION = struct.Struct("=?q")
"""Whether the child is at a packet, and its pts: readable after it died."""


class ChildDied(VideoError):
    """The child crashed or was stopped because it hung."""

    def __init__(self, reason: str, position: int | None, hung: bool) -> None:
        super().__init__(reason)
        self.position = position
        """pts of the packet that it was decoding, None where it was at none."""
        self.hung = hung
        """It was silent for too long, rather than dead."""


class Child:
    """A process that calls functions for us; started when first needed, and again after it had to be stopped."""

    def __init__(self, warm: bool = True) -> None:
        """``warm``: compile or load before the first call what scanning needs."""
        self._warm = "warm" if warm else "cold"
        self._process: subprocess.Popen | None = None
        self._link: Connection | None = None
        self._place = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as we do)
        self._place.write(bytes(POSITION.size))
        self._place.flush()

    def call(self, target: str, *arguments: Any, timeout: float) -> Any:
        """What ``module:function`` returns for the arguments; both cross the process border.

        VideoError where the function raised one; its child ChildDied where the process died, or gave no sign of life
        for ``timeout`` seconds. A function with a parameter ``beat`` gets one to call between frames, with the pts of
        the packet it is about to decode.
        """
        calls = self.stream(target, *arguments, timeout=timeout)
        while True:
            try:
                next(calls)
            except StopIteration as end:
                return end.value

    def stream(self, target: str, *arguments: Any, timeout: float) -> Generator[Any, None, Any]:
        """As ``call`` for a generator function: what it yields, as it does so, and then what it returns.

        A caller that stops early stops the child, too.
        """
        done = False
        try:
            link = self._started()
            self._set_position()
            link.send((target, arguments))
            while True:
                if not link.poll(timeout):
                    position = self._position()
                    self.stop()
                    raise ChildDied(f"the decoder was silent for {timeout:g} s and was stopped", position, hung=True)
                kind, value = link.recv()
                if kind == "part":
                    yield value
                elif kind == "done":
                    done = True
                    return value
                elif kind == "failed":
                    done = True
                    raise VideoError(value)
        except (EOFError, ConnectionError) as error:
            position = self._position()
            raise ChildDied(f"the decoder died ({self._last_words()})", position, hung=False) from error
        finally:
            if not done:
                self.stop()

    def stop(self) -> None:
        """Kill the child if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._link is not None:
            self._link.close()
        self._process = self._link = None

    def _started(self) -> Connection:
        if self._link is not None and self._process is not None and self._process.poll() is None:
            return self._link
        self.stop()
        ours, theirs = Pipe()
        descriptors = (theirs.fileno(), self._place.fileno())
        command = [sys.executable, "-c", SERVE, *map(str, descriptors), self._warm, *sys.path]
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command,
            pass_fds=descriptors,
            env=os.environ | one_thread,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        theirs.close()
        self._link = ours
        # Importing, and compiling where no compiled code is cached yet, is no film's fault and has a limit of its own.
        if not ours.poll(START_SECONDS) or ours.recv()[0] != "ready":
            self.stop()
            raise VideoError(f"the decoder did not start within {START_SECONDS} s")
        return ours

    def _set_position(self) -> None:
        os.pwrite(self._place.fileno(), POSITION.pack(False, 0), 0)

    def _position(self) -> int | None:
        known, pts = POSITION.unpack(os.pread(self._place.fileno(), POSITION.size, 0))
        return pts if known else None

    def _last_words(self) -> str:
        code = None
        if self._process is not None:
            try:
                code = self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                code = None
        self.stop()
        if code is None:
            return "its pipe closed"
        return signal.Signals(-code).name if code < 0 else f"exit status {code}"


_OWN: dict[int, Child] = {}


def own_child(warm: bool = True) -> Child:
    """This process's child: Spark keeps Python workers, and with them their children, for many tasks. ``warm`` as it
    would be made; one that is there serves all."""
    if os.getpid() not in _OWN:
        _OWN[os.getpid()] = Child(warm)
    return _OWN[os.getpid()]


def serve(descriptor: int, place: int, warm: bool) -> None:
    """Answer calls until the parent is gone; ``place`` is the file that the position is written to."""
    with suppress(ValueError, OSError):  # where somebody allows less already
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    import cv2

    cv2.setNumThreads(1)  # the scheduler counts one core a task
    link = Connection(descriptor)
    beat = _beater(link, mmap.mmap(place, POSITION.size))
    if warm:
        from keyart.video import pictures, plan, segments  # noqa: F401 (what will be called)
        from keyart.video.signals import warm_up

        warm_up()
    link.send(("ready", None))
    while True:
        try:
            target, arguments = link.recv()
        except EOFError:
            return
        try:
            steps = _steps(target, arguments, beat)
            while True:
                link.send(("part", next(steps)))
        except StopIteration as end:
            link.send(("done", end.value))
        except VideoError as error:
            link.send(("failed", str(error)))


def _steps(target: str, arguments: tuple, beat: Callable[[int | None], None]) -> Iterator[Any]:
    """The function's yields; a StopIteration ends them that carries what it returns."""
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)
    try:
        wants_beat = "beat" in inspect.signature(function).parameters
    except ValueError:  # built in
        wants_beat = False
    try:
        answer = function(*arguments, beat=beat) if wants_beat else function(*arguments)
        if inspect.isgenerator(answer):
            answer = yield from answer
        return answer
    except (MemoryError, ArithmeticError, LookupError, ValueError, TypeError, OSError, AttributeError) as error:
        # A film may break any of our assumptions; it must not break the films after it.
        raise VideoError(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error


def _beater(link: Connection, place: mmap.mmap) -> Callable[[int | None], None]:
    last = time.monotonic()

    def beat(position: int | None = None) -> None:
        nonlocal last
        POSITION.pack_into(place, 0, position is not None, position or 0)
        now = time.monotonic()
        if now - last >= BEAT_SECONDS:
            last = now
            link.send(("beat", None))

    return beat
