"""One record batch in an Arrow file, written as the same bytes every time and read as a map of the file."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc

from keyart.errors import InputError

__all__ = ["batch_of", "write_batch"]


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
            reader = pa.ipc.open_file(source)
            if not reader.schema.equals(schema, check_metadata=False) or reader.num_record_batches != 1:
                raise InputError(f"{path} is no such file of a bundle; run keyart publish again")
            batch = reader.get_batch(0)
            batch.validate(full=whole)
            if any(column.null_count for column in _parts(batch.columns)):
                raise InputError(f"{path} holds nulls; run keyart publish again")
            return batch.replace_schema_metadata(reader.schema.metadata)
    except (MemoryError, OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{path} is damaged ({str(error).splitlines()[0]}); run keyart publish again") from error


def _parts(columns: Iterable[pa.Array]) -> Iterator[pa.Array]:
    """Columns and what their lists and dictionaries hold."""
    for column in columns:
        yield column
        if isinstance(column, pa.LargeListArray):
            yield from _parts([column.values])
        elif isinstance(column, pa.DictionaryArray):
            yield column.dictionary
