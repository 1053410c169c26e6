"""What every level shows of every title, in one mapped Arrow file: a row a shelf, found by title and cell."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from weakref import ref

import numpy as np
import pyarrow as pa

from keyart.errors import InputError
from keyart.policy.resolve import Shelf
from keyart.serving.arrow_files import batch_of, write_batch

__all__ = ["MappedShelves", "ShelfKey", "write_shelves"]

ShelfKey = tuple[str, str, str, str]
"""title_id, level, cell, context: what ``ArtworkResolver`` asks shelves by."""
CODED = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("title", CODED),
        ("where", CODED),
        ("artworks", pa.large_list(CODED)),
        ("scores", pa.large_list(pa.float64())),
        ("sds", pa.large_list(pa.float64())),
        ("reasons", pa.large_list(CODED)),
    ]
)
PART = "\x1f"
KEPT = 65_536
PIECE = 4_096
"""Texts made at a time: a service answers meanwhile, which waits where one call makes a million."""


def write_shelves(path: Path, shelves: Mapping[ShelfKey, Shelf]) -> None:
    """Write shelves in the order of their keys; the same shelves give the same bytes."""
    keys = sorted(shelves, key=lambda key: (key[0], PART.join(key[1:])))
    found = [shelves[key] for key in keys]
    offsets = pa.array(np.concatenate([[0], np.cumsum([len(shelf.artwork_ids) for shelf in found])]), pa.int64())

    def numbers(name: str) -> pa.Array:
        values = np.concatenate([np.empty(0), *(getattr(shelf, name) for shelf in found)])
        return pa.LargeListArray.from_arrays(offsets, pa.array(values, pa.float64()))

    columns = [
        _coded([key[0] for key in keys]),
        _coded([PART.join(key[1:]) for key in keys]),
        pa.LargeListArray.from_arrays(offsets, _coded([a for shelf in found for a in shelf.artwork_ids])),
        numbers("scores"),
        numbers("sds"),
        pa.LargeListArray.from_arrays(offsets, _coded([text for shelf in found for text in shelf.reasons])),
    ]
    write_batch(path, pa.RecordBatch.from_arrays(columns, schema=SCHEMA))


class MappedShelves(Mapping[ShelfKey, Shelf]):
    """Shelves by key, made from the map when asked for; those asked for last are kept.

    ``title_ids`` and ``artwork_ids`` are in ascending order: members' overrides are codes into them.
    """

    def __init__(self, path: Path) -> None:
        batch = batch_of(path, SCHEMA, whole=True)
        self._title, self._where = (batch.column(name).indices.to_numpy() for name in ("title", "where"))
        self.title_ids: Sequence[str] = _texts(batch.column("title").dictionary)
        self.title_codes = {title: code for code, title in enumerate(self.title_ids)}
        self._cells: Sequence[str] = _texts(batch.column("where").dictionary)
        self._cell_codes = {where: code for code, where in enumerate(self._cells)}
        self._offsets = batch.column("artworks").offsets.to_numpy()
        artworks, reasons = batch.column("artworks").values, batch.column("reasons").values
        self.artwork_ids: Sequence[str] = _texts(artworks.dictionary)
        self._reasons: Sequence[str] = _texts(reasons.dictionary)
        self._artwork, self._reason = artworks.indices.to_numpy(), reasons.indices.to_numpy()
        self._scores, self._sds = (batch.column(name).values.to_numpy() for name in ("scores", "sds"))
        # Rows are in the order of their keys, so that these ascend.
        self._rows = self._title.astype(np.int64) * max(1, len(self._cells)) + self._where
        lengths = {len(values) for values in (self._artwork, self._reason, self._scores, self._sds)}
        lists = [batch.column(name).offsets for name in ("artworks", "scores", "sds", "reasons")]
        if len(lengths) > 1 or not all(one.equals(lists[0]) for one in lists) or np.isnan(self._scores).any():
            raise InputError(f"{path} has shelves whose columns do not belong together; run keyart publish again")
        sorted_ids = all(
            one < other for ids in (self.title_ids, self.artwork_ids, self._cells) for one, other in pairwise(ids)
        )
        if (np.diff(self._rows) <= 0).any() or not sorted_ids or not all(c.count(PART) == 2 for c in self._cells):
            raise InputError(f"{path} has its shelves out of order; run keyart publish again")
        self.contexts = {cell.split(PART)[2] for cell in self._cells}
        me = ref(self)  # the cache does not keep its shelves alive
        self._shelf = lru_cache(KEPT)(lambda row: me()._made(row))  # type: ignore[union-attr]

    def get(self, key, default=None):
        """The shelf, or ``default``."""
        title, cell = self.title_codes.get(key[0]), self._cell_codes.get(PART.join(key[1:]))
        if title is None or cell is None:
            return default
        code = title * len(self._cells) + cell
        row = int(self._rows.searchsorted(code))
        return self._shelf(row) if row < len(self._rows) and self._rows[row] == code else default

    def __getitem__(self, key: ShelfKey) -> Shelf:
        found = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[ShelfKey]:
        for title, where in zip(self._title.tolist(), self._where.tolist(), strict=True):
            level, cell, context = self._cells[where].split(PART)
            yield self.title_ids[title], level, cell, context

    def __len__(self) -> int:
        return len(self._rows)

    def _made(self, row: int) -> Shelf:
        here = slice(int(self._offsets[row]), int(self._offsets[row + 1]))
        return Shelf(
            tuple(self.artwork_ids[code] for code in self._artwork[here].tolist()),
            self._scores[here],
            self._sds[here],
            tuple(self._reasons[code] for code in self._reason[here].tolist()),
        )


def _texts(values: pa.StringArray) -> list[str]:
    return [text for start in range(0, len(values), PIECE) for text in values.slice(start, PIECE).to_pylist()]


def _coded(texts: Sequence[str]) -> pa.DictionaryArray:
    """Texts as codes into their different values in ascending order."""
    values = sorted(set(texts))
    code = {text: i for i, text in enumerate(values)}
    indices = pa.array(np.fromiter((code[text] for text in texts), np.int32, len(texts)))
    return pa.DictionaryArray.from_arrays(indices, pa.array(values, pa.string()))
