"""Run decoding in a supervised child process: a crash or hang of native code costs one segment, not the executor.

One child serves many calls, because starting it takes about a second. It is a process of its own rather than a fork, so
no lock of the parent's libraries is inherited.
"""

import importlib
import inspect
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any

from keyart.errors import VideoError

__all__ = ["Child", "own_child", "serve"]

SERVE = "import sys; sys.path[:] = sys.argv[2:]; from keyart.video.child import serve; serve(int(sys.argv[1]))"
START_SECONDS = 300
BEAT_SECONDS = 0.5
"""A working child says at least this often, between frames, that it is alive."""


class Child:
    """A process that calls functions for us; started when first needed, and again after it had to be stopped."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self._link: Connection | None = None

    def call(self, target: str, *arguments: Any, timeout: float) -> Any:
        """What ``module:function`` returns for the arguments; both cross the process border.

        A function with a parameter ``beat`` gets one to call now and then. VideoError where the function raised one,
        where the child died, or where it gave no sign of life for ``timeout`` seconds.
        """
        try:
            link = self._started()
            link.send((target, arguments))
            while True:
                if not link.poll(timeout):
                    self.stop()
                    raise VideoError(f"the decoder was silent for {timeout:g} s and was stopped")
                kind, value = link.recv()
                if kind == "done":
                    return value
                if kind == "failed":
                    raise VideoError(value)
        except (EOFError, ConnectionError) as error:
            raise VideoError(f"the decoder died ({self._last_words()})") from error

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
        command = [sys.executable, "-c", SERVE, str(theirs.fileno()), *sys.path]
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
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


def own_child() -> Child:
    """This process's child: Spark keeps Python workers, and with them their children, for many tasks."""
    return _OWN.setdefault(os.getpid(), Child())


def serve(descriptor: int) -> None:
    """Answer calls until the parent is gone."""
    import cv2

    from keyart.video import pictures, plan, segments  # noqa: F401 (what will be called)
    from keyart.video.signals import warm_up

    cv2.setNumThreads(1)  # the scheduler counts one core a task
    link = Connection(descriptor)
    warm_up()
    link.send(("ready", None))
    while True:
        try:
            target, arguments = link.recv()
        except EOFError:
            return
        try:
            answer = ("done", _call(target, arguments, _beater(link)))
        except VideoError as error:
            answer = ("failed", str(error))
        link.send(answer)


def _call(target: str, arguments: tuple, beat: Callable[[], None]) -> Any:
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)
    try:
        wants_beat = "beat" in inspect.signature(function).parameters
    except ValueError:  # built in
        wants_beat = False
    try:
        return function(*arguments, beat=beat) if wants_beat else function(*arguments)
    except (MemoryError, ArithmeticError, LookupError, ValueError, TypeError, OSError) as error:
        # A film may break any of our assumptions; it must not break the films after it.
        raise VideoError(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error


def _beater(link: Connection) -> Callable[[], None]:
    last = time.monotonic()

    def beat() -> None:
        nonlocal last
        if time.monotonic() - last >= BEAT_SECONDS:
            last = time.monotonic()
            link.send(("beat", None))

    return beat
