"""The bundle that is served now, and how another takes its place."""

import threading
from collections.abc import Callable
from pathlib import Path

from keyart.serving.policy_bundle import PolicyBundle, pointed

__all__ = ["Live"]


class Live:
    """Holds one open bundle and exchanges it for the one that the pointer names.

    An answer takes ``bundle`` once and is made of it alone. The exchange is one assignment: answers under way keep the
    bundle they began with, whose maps go with the last of them.
    """

    def __init__(self, where: Path, opened: Callable[[Path], PolicyBundle]) -> None:
        """``opened`` opens a bundle's folder; InputError where there is none to begin with."""
        self.where, self._opened, self._lock = where, opened, threading.Lock()
        self.bundle = opened(pointed(where))

    def reload(self) -> bool:
        """Follow the pointer; whether another bundle is served now. InputError, and all stays as it was, where what it
        names is no whole bundle."""
        with self._lock:
            folder = pointed(self.where).resolve()
            if folder == self.bundle.folder:
                return False
            self.bundle = self._opened(folder)
            return True
