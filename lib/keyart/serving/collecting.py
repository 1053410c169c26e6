"""Python's garbage collector, kept from looking again and again, in the midst of answers, through what stays.

A full collection looks at every object there is: modules, the open bundle, what the resolver remembers. That is tens of
milliseconds for hardly anything: answers leave no cycles, closed connections small ones.
"""

import gc
import time

__all__ = ["Pauses", "settle"]

LONGEST = 0.002
"""Seconds of a full collection after which what it found alive is no longer looked at."""


def settle() -> None:
    """Look through everything once, and not again at what is alive now: after a policy was opened."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class Pauses:
    """Sets what is alive aside (``gc.freeze``) whenever a full collection took longer than ``longest`` seconds, so that
    they stay short while the resolver fills what it remembers.

    What was set aside still goes with its last reference. Cycles in it (of connections that were open then) wait for
    ``settle``.
    """

    def __init__(self, longest: float = LONGEST) -> None:
        self._longest, self._began = longest, 0.0

    def __enter__(self) -> "Pauses":
        gc.callbacks.append(self._told)
        return self

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._told)

    def _told(self, phase: str, about: dict[str, int]) -> None:
        if about["generation"] < 2:
            return
        if phase == "start":
            self._began = time.perf_counter()
        elif time.perf_counter() - self._began > self._longest:
            gc.freeze()
