"""One record batch in an Arrow file, written as the same bytes every time and read as a map of the file."""

import os
import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc

from keyart.errors import InputError

__all__ = ["batch_of", "write_batch"]

MAGIC = b"ARROW1\0\0"
"""What a file begins with; a stream of messages follows."""


def write_batch(path: Path, batch: pa.RecordBatch) -> None:
    """Write a batch; the file is on disk when this returns."""
    with path.open("wb") as file:
        with pa.ipc.new_file(file, batch.schema) as writer:
            writer.write_batch(batch)
        file.flush()
        os.fsync(file.fileno())


def batch_of(path: Path, schema: pa.Schema, whole: bool) -> pa.RecordBatch:
    """The file's only batch, whose buffers are the mapped file; InputError where it is not a batch of the schema.

    ``whole``: every value is looked at, so that no code or offset leads out of its column; that reads the file.
    """
    try:
        with pa.memory_map(str(path)) as source:
            if source.read(len(MAGIC)) != MAGIC:
                raise InputError(f"{path} is damaged (not an Arrow file); run keyart publish again")
            # Compressed buffers would be unpacked at once, to whatever size they claim: the writer never packs any.
            if any(_is_packed(message) for message in pyarrow.ipc.MessageReader.open_stream(source)):
                raise InputError(f"{path} is compressed, which no file of a bundle is; run keyart publish again")
            source.seek(len(MAGIC))  # the same messages again: a file's footer could name others
            reader = pyarrow.ipc.open_stream(source)
            batches = list(islice(reader, 2))
            if not reader.schema.equals(schema, check_metadata=False) or len(batches) != 1:
                raise InputError(f"{path} is no such file of a bundle; run keyart publish again")
            batch = batches[0]
            batch.validate(full=whole)
            if any(column.null_count for column in _parts(batch.columns)):
                raise InputError(f"{path} holds nulls; run keyart publish again")
            return batch.replace_schema_metadata(reader.schema.metadata)
    except (MemoryError, OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{path} is damaged ({str(error).splitlines()[0]}); run keyart publish again") from error


def _is_packed(message: pa.ipc.Message) -> bool:
    """Whether a batch's buffers are compressed, by the field that says so in its header (Arrow's Message.fbs)."""
    header = message.metadata.to_pybytes()

    def number(at: int, kind: str) -> int:
        return int(struct.unpack_from(kind, header, at)[0])

    def field(table: int, index: int) -> int:
        """Where a flatbuffer's table keeps a field; 0 where it has none."""
        layout = table - number(table, "<i")
        slot = 4 + 2 * index
        offset = number(layout + slot, "<H") if slot < number(layout, "<H") else 0
        return table + offset if offset else 0

    def follow(at: int) -> int:
        return at + number(at, "<I")

    if message.type not in ("record batch", "dictionary"):
        return False
    try:
        batch = follow(field(follow(0), 2))
        if message.type == "dictionary":
            batch = follow(field(batch, 1))
        return bool(field(batch, 3))
    except struct.error:  # offsets that lead nowhere; nobody's writer makes them
        return True


def _parts(columns: Iterable[pa.Array]) -> Iterator[pa.Array]:
    """Columns and what their lists and dictionaries hold."""
    for column in columns:
        yield column
        if isinstance(column, pa.LargeListArray):
            yield from _parts([column.values])
        elif isinstance(column, pa.DictionaryArray):
            yield column.dictionary
