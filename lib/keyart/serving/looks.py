"""What artworks look like, in a mapped Arrow file: rows of numbers, compared where neighbours on a page may be alike.

Rows are of length 1, so that a product of two is their cosine, and of single precision. An artwork is a code into the
bundle's shelves; rows ascend by it.
"""

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from keyart.errors import InputError
from keyart.policy.page import Alike
from keyart.serving.arrow_files import batch_of, write_batch

__all__ = ["MappedLooks", "looks_of", "write_looks"]

SCHEMA = pa.schema([("artwork", pa.uint32()), ("look", pa.large_list(pa.float32()))])
KEPT = 65_536


def looks_of(features: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Rows (k,) of a column of feature vectors that compare, and their looks (k, D): each feature standardised over the
    catalogue, each look of length 1.

    Rows whose vector is as long as most are compare; features that are the same everywhere say nothing and become 0.
    """
    lengths = np.asarray(pc.list_value_length(features).fill_null(0), dtype=np.int64)
    counts = np.bincount(lengths)
    usual = len(counts) - 1 - int(np.argmax(counts[::-1])) if len(lengths) else 0  # of equally many the longest
    kept = np.flatnonzero(lengths == usual)
    if not usual:
        return kept[:0], np.empty((0, 0), np.float32)
    numbers = features.take(pa.array(kept)).flatten()
    values = np.nan_to_num(np.array(numbers, dtype=np.float32)).reshape(-1, usual)
    differs = values.max(axis=0) > values.min(axis=0)
    spread = np.where(differs, values.std(axis=0, dtype=np.float64), np.inf)
    values -= values.mean(axis=0, dtype=np.float64).astype(np.float32)
    values /= spread.astype(np.float32)
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12).astype(np.float32)
    return kept, values


def write_looks(path: Path, artworks: np.ndarray, looks: np.ndarray) -> None:
    """Write looks (k, D) of artworks given by their codes (k,), each once; the same content gives the same bytes."""
    order = np.argsort(artworks)
    offsets = pa.array(np.arange(len(artworks) + 1, dtype=np.int64) * (looks.shape[1] if len(artworks) else 0))
    values = pa.array(np.ascontiguousarray(looks[order], np.float32).ravel())
    columns = [pa.array(artworks[order].astype(np.uint32)), pa.LargeListArray.from_arrays(offsets, values)]
    write_batch(path, pa.RecordBatch.from_arrays(columns, schema=SCHEMA))


class MappedLooks:
    """The looks of a bundle's artworks; nothing of a row is in memory before it is asked for."""

    def __init__(self, path: Path, artwork_ids: Sequence[str], whole: bool = False) -> None:
        """``artwork_ids`` ascend: what the codes stand for. ``whole``: every row is looked at."""
        batch = batch_of(path, SCHEMA, whole)
        self._ids, self._artworks = artwork_ids, batch.column("artwork").to_numpy()
        look, rows = batch.column("look"), len(batch)
        values, offsets = look.values.to_numpy(), look.offsets.to_numpy()
        length = len(values) // rows if rows else 0
        if len(values) != rows * length or not np.array_equal(offsets, np.arange(rows + 1) * length):
            raise InputError(f"{path} has looks of different lengths; run keyart publish again")
        self._looks = values.reshape(rows, length)
        known = not rows or int(self._artworks[-1]) < len(artwork_ids)
        if whole and not (known and (self._artworks[1:] > self._artworks[:-1]).all() and np.isfinite(values).all()):
            raise InputError(f"{path} speaks of what the bundle does not hold; run keyart publish again")

    def look(self, artwork_id: str) -> np.ndarray | None:
        """(D,) of an artwork; None where it is not known."""
        code = bisect_left(self._ids, artwork_id)
        if code == len(self._ids) or self._ids[code] != artwork_id:
            return None
        row = int(self._artworks.searchsorted(np.uint32(code)))
        return self._looks[row] if row < len(self._artworks) and self._artworks[row] == code else None

    def alike(self, most: float) -> Alike:
        """Two artworks are alike where the cosine of their looks is above ``most``; those without a look never are."""
        look = lru_cache(KEPT)(self.look)

        def are(one: str, other: str) -> bool:
            first, second = look(one), look(other)
            return first is not None and second is not None and float(first @ second) > most

        return are
