"""Arrays from one stage of a pass to the next: as files where all machines see one folder, else within the rows.

Megabytes in a row are copied a dozen times on their way through the JVM; the name of a file is not.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from keyart.learning.blocks import Arrays, pack, unpack

__all__ = ["received", "sent"]


def sent(parts: Iterable[Mapping[str, np.ndarray]], folder: str | None) -> Iterator[bytes]:
    """What a row carries for each part. With a ``folder`` all lie in one new file, whole once all are asked for."""
    if folder is None:
        yield from map(pack, parts)
        return
    # A task that is run again writes another file; rows name the one of the run that counts.
    path = Path(folder) / f"{uuid.uuid4().hex}.sums"
    with path.open("wb") as file:
        for part in parts:
            start, size = file.tell(), file.write(pack(part))
            yield pack({"path": np.array(str(path).encode()), "start": np.asarray(start), "size": np.asarray(size)})


def received(payload: bytes | memoryview) -> Arrays:
    """The part behind what a row carried."""
    said = unpack(payload)
    if "path" not in said:
        return said
    with Path(said["path"].item().decode()).open("rb") as file:
        file.seek(int(said["start"]))
        return unpack(file.read(int(said["size"])))
