"""Named arrays as bytes and back: what a block of members is between passes, and what a pass answers with."""

import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa

__all__ = ["Arrays", "Total", "add", "pack", "squeezed", "total_of", "unpack", "unsqueezed"]

Arrays = dict[str, np.ndarray]
Total = Callable[[Callable[[Arrays], Arrays]], Arrays]
"""A pass over all blocks: the sums by name of what a kernel answers for each; over Spark, ``blocks_spark.sum_over``."""


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays of numbers or fixed-length bytes as one message: a JSON header's length, the header, the raw data.

    >>> unpack(pack({"a": np.arange(3)}))["a"].tolist()
    [0, 1, 2]
    """
    flat = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    header = json.dumps([[name, array.dtype.str, array.shape] for name, array in flat.items()]).encode()
    return b"".join([len(header).to_bytes(8, "little"), header, *(array.tobytes() for array in flat.values())])


def unpack(message: bytes | memoryview) -> Arrays:
    """What ``pack`` packed, read-only and without a copy."""
    start = 8 + int.from_bytes(message[:8], "little")
    found: Arrays = {}
    for name, dtype, shape in json.loads(bytes(message[8:start])):
        kind, count = np.dtype(dtype), int(np.prod(shape, dtype=np.int64))
        found[name] = np.frombuffer(message, kind, count, start).reshape(shape)
        start += count * kind.itemsize
    return found


def squeezed(message: bytes) -> bytes:
    """A message compressed: its length, then zstd's frame. What is read over and over crosses the JVM as few bytes.

    >>> unsqueezed(memoryview(squeezed(b"aaaa"))) == b"aaaa"
    True
    """
    return len(message).to_bytes(8, "little") + pa.compress(message, codec="zstd", asbytes=True)


def unsqueezed(message: bytes | memoryview) -> memoryview:
    """What was squeezed."""
    size = int.from_bytes(message[:8], "little")
    return memoryview(pa.decompress(message[8:], decompressed_size=size, codec="zstd"))


def add(total: Arrays | None, part: Mapping[str, np.ndarray]) -> Arrays:
    """Sums by name; the first part alone where there is no total yet."""
    if total is None:
        return dict(part)
    return {name: total[name] + array for name, array in part.items()}


def total_of(blocks: Sequence[Arrays]) -> Total:
    """Passes over blocks in memory.

    >>> total_of([{"a": np.ones(2)}, {"a": np.ones(3)}])(lambda block: {"n": block["a"].sum()})["n"].item()
    5.0
    """

    def total(kernel: Callable[[Arrays], Arrays]) -> Arrays:
        found: Arrays | None = None
        for block in blocks:
            found = add(found, kernel(block))
        return found or {}

    return total
