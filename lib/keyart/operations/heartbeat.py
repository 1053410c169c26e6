"""A thread that says every so often that a stage is alive."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["beating"]

log = logging.getLogger(__name__)


@contextmanager
def beating(beat: Callable[[], object], seconds: float) -> Iterator[None]:
    """While the body runs, ``beat`` is called every ``seconds`` from another thread; that it fails does no harm.

    A beat under way is over before the body's end is answered, so that what is written next stands after it.
    """
    over = threading.Event()

    def run() -> None:
        while not over.wait(seconds):
            try:
                beat()
            except Exception:
                log.warning("a heartbeat could not be written; the stage goes on", exc_info=True)

    thread = threading.Thread(target=run, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
