"""Arrow columns as arrays: what workers of this room and of evaluation read from their batches."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from keyart.learning.members import member_vectors

__all__ = ["codes", "owners", "per_text", "vectors", "vectors_of"]


def vectors(column: pa.Array, length: int) -> tuple[np.ndarray, np.ndarray]:
    """A column of equally long lists as a matrix (n, length) and which rows are there; missing rows are 0.

    ValueError where a list has another length: vectors of different models do not mix.
    """
    present = np.asarray(column.is_valid())
    lengths = np.asarray(pc.list_value_length(column).fill_null(length))
    if (lengths != length).any():
        raise ValueError(f"a vector has {lengths[lengths != length][0]} numbers, the model wants {length}")
    matrix = np.zeros((len(column), length))
    matrix[present] = np.asarray(column.flatten(), dtype=np.float64).reshape(int(present.sum()), length)
    return matrix, present


def owners(column: pa.Array) -> np.ndarray:
    """For each value of a flattened list column the row it came from; null lists are empty."""
    return np.repeat(np.arange(len(column)), np.asarray(pc.list_value_length(column).fill_null(0)))


def codes(column: pa.Array, values: Sequence[str]) -> np.ndarray:
    """Position of each text among ``values``; -1 for null and for what is not there."""
    found = pc.index_in(column, value_set=pa.array(values, pa.string()))
    return np.asarray(found.fill_null(-1), dtype=np.int64)


def per_text(column: pa.Array) -> tuple[np.ndarray, list[str | None]]:
    """A text column as positions among its different values (null is one of them), and these values."""
    encoded = column.dictionary_encode(null_encoding="encode")
    return np.asarray(encoded.indices, dtype=np.int64), encoded.dictionary.to_pylist()


def vectors_of(batch: pa.RecordBatch) -> np.ndarray:
    """Members' vectors (n, V) of rows of taste."""
    factors, mix = (_matrix(batch, name) for name in ("factors", "genre_mix"))
    return member_vectors(factors, mix, np.asarray(batch.column("history")))


def _matrix(batch: pa.RecordBatch, name: str) -> np.ndarray:
    column = batch.column(name)
    lengths = np.asarray(column.value_lengths())
    return vectors(column, int(lengths[0]) if len(lengths) else 0)[0]
