"""Title factors kept after every iteration, so that a job that was killed goes on where it was."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from keyart.errors import ModelError

__all__ = ["Checkpoints", "Progress"]


@dataclass(frozen=True)
class Progress:
    """Where a solver stands."""

    titles: np.ndarray  # (titles, rank) title factors
    objectives: Sequence[float] = field(default=())  # after each iteration


@dataclass(frozen=True)
class Checkpoints:
    """One file under a folder, named by all that the factors depend on; no folder, no file."""

    folder: str
    name: str

    @property
    def _path(self) -> Path:
        return Path(self.folder) / f"taste-{self.name}.npz"

    def load(self, start: Progress) -> Progress:
        """What was kept of this name, else ``start``. ModelError where the file is not what ``save`` writes."""
        if not self.folder or not self._path.exists():
            return start
        try:
            with np.load(self._path, allow_pickle=False) as kept:
                return Progress(kept["titles"], kept["objectives"].tolist())
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise ModelError(f"{self._path} is no checkpoint of title factors; remove it ({error})") from error

    def save(self, progress: Progress) -> None:
        """Keep it in place of what was kept before; a reader sees the old or the new one, whole. ModelError where the
        folder cannot be written."""
        if not self.folder:
            return
        fresh = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with fresh.open("wb") as file:
                np.savez(file, titles=progress.titles, objectives=np.asarray(progress.objectives))
            fresh.replace(self._path)
        except OSError as error:
            raise ModelError(f"cannot keep title factors: let taste.checkpoints name a folder ({error})") from error

    def clear(self) -> None:
        """Forget: what the factors were for is done."""
        if self.folder:
            self._path.unlink(missing_ok=True)
