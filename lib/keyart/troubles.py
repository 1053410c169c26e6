"""What the machine does to a job, told in one line: a full disk, a file that cannot be read."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

from keyart.errors import KeyartError, TableError

__all__ = ["plainly", "told"]

FULL = ("No space left on device", "Disk quota exceeded", "File too large", "disk is full")
UNREAD = re.compile(
    r"FAILED_READ_FILE\.(?P<kind>\w+).*?reading file (?:file:(?://)?)?(?P<path>\S+\.parquet)", re.DOTALL
)
DEPTH = 10
"""Causes of causes that are looked at."""


@contextmanager
def plainly(root: str) -> Iterator[None]:
    """While the body runs, what the machine does to it is raised as a TableError of one line."""
    try:
        yield
    except KeyartError:
        raise
    except Exception as error:  # Spark's reach us as Py4J's, Arrow's, Python's own: by their words alone are they known
        if line := told(error, root):
            raise TableError(line) from error
        raise


def told(error: BaseException, root: str) -> str:
    """The line for an error of the machine, or nothing.

    >>> told(OSError(28, "No space left on device"), "/t").split(":")[0]
    'the disk is full'
    >>> told(ValueError("no"), "/t")
    ''
    """
    text = "\n".join(_words(error))
    if word := next((word for word in FULL if word in text), ""):
        return (
            f"the disk is full: {word}. Make room where the tables ({root}), Spark's scratch files (spark.local.dir) "
            "or MLflow's lie, and run the same command again: what was written before stays, nothing is half there"
        )
    if found := UNREAD.search(text):
        path = PurePosixPath(found["path"])
        how = "is missing" if found["kind"] == "FILE_NOT_EXIST" else "is corrupt"
        return (
            f"table {path.parent.name}: its file {path} {how}. Put the file back from a copy (without the .crc beside "
            f"it), or remove {path.parent} and run the jobs that write it"
        )
    return ""


def _words(error: BaseException) -> Iterator[str]:
    """What an error and its causes say."""
    seen: BaseException | None = error
    for _ in range(DEPTH):
        if seen is None:
            return
        yield str(seen)
        seen = seen.__cause__ or seen.__context__
