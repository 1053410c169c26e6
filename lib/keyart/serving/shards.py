"""Members' segments and overrides as Arrow files that are mapped into memory: looked up by binary search, no object a
member.

A shard is one record batch, a row a member in ascending order of user_key. Keys are kept as the 32 hexadecimal digits
that tables have, so that a proof of erasure finds them here too; titles and artworks are codes into the bundle's
shelves, reasons codes into the shard's own dictionary.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numba import njit, types

from keyart.errors import InputError
from keyart.feedback.privacy import KEY_LENGTH
from keyart.policy.columns import codes, owners
from keyart.policy.resolve import Override
from keyart.serving.arrow_files import batch_of, write_batch

__all__ = ["MemberOverrides", "OverrideShards", "Overrides", "shard_of", "write_shard"]

SCHEMA = pa.schema(
    [
        ("user_key", pa.binary(KEY_LENGTH)),
        ("titles", pa.large_list(pa.uint32())),
        ("artworks", pa.large_list(pa.uint32())),
        ("gains", pa.large_list(pa.float32())),
        ("reasons", pa.large_list(pa.uint32())),
        ("segment", pa.uint8()),
    ]
)
REASONS = b"reasons"
"""Key of the schema's metadata under which the texts of the reasons stand, each ended by a zero byte."""
SEGMENTS = b"segments"
"""And the names of the segments, of which the codes count from 1; 0 is none."""


def shard_of(user_key: str, shards: int) -> int:
    """The shard a member's row lies in: the first 32 bits of the key modulo their number.

    >>> shard_of("0000000a" + 24 * "0", 8)
    2
    """
    return int(user_key[:8], 16) % shards


@dataclass(frozen=True)
class Overrides:
    """One shard's content: n members, m overrides."""

    keys: np.ndarray  # (n,) S32 ascending, each once
    offsets: np.ndarray  # (n + 1,) int64: where each member's overrides begin
    titles: np.ndarray  # (m,) uint32 ascending within a member
    artworks: np.ndarray  # (m,) uint32
    gains: np.ndarray  # (m,) float32
    reasons: np.ndarray  # (m,) uint32 into texts
    texts: tuple[str, ...]
    segment: np.ndarray  # (n,) uint8: 1 + place in segments, 0 is none
    segments: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: pa.Table, titles: Sequence[str], artworks: Sequence[str]) -> "Overrides":
        """From rows user_key, title_ids, artwork_ids, gains, reasons, segment, a row a member in any order.

        What speaks of a title or artwork that the policy's shelves do not hold could never be served and is left out,
        and so are members of whom nothing else is said.
        """
        columns = {name: rows.column(name).combine_chunks() for name in rows.column_names}
        keys = np.asarray(columns["user_key"].to_pylist(), dtype=f"S{KEY_LENGTH}")
        order = np.argsort(keys)
        place = np.empty(len(keys), dtype=np.int64)
        place[order] = np.arange(len(keys))
        owner = place[owners(columns["title_ids"])]
        title = codes(columns["title_ids"].flatten(), titles)
        artwork = codes(columns["artwork_ids"].flatten(), artworks)
        encoded = columns["reasons"].flatten().dictionary_encode()
        texts = encoded.dictionary.to_pylist()
        rank = {text: i for i, text in enumerate(sorted(texts))}  # bytes that do not depend on the order of rows
        reason = np.array([rank[text] for text in texts], dtype=np.uint32)[np.asarray(encoded.indices)]
        gains = np.asarray(columns["gains"].flatten(), dtype=np.float32)
        kept = np.flatnonzero((title >= 0) & (artwork >= 0))
        kept = kept[np.lexsort((title[kept], owner[kept]))]
        each = np.bincount(owner[kept], minlength=len(keys))
        segments = sorted(set(columns["segment"].drop_null().to_pylist()))
        segment = (1 + codes(columns["segment"], segments))[order]
        there = (each > 0) | (segment > 0)
        offsets = np.concatenate([[0], np.cumsum(each[there])]).astype(np.int64)
        return cls(
            keys[order][there],
            offsets,
            title[kept].astype(np.uint32),
            artwork[kept].astype(np.uint32),
            gains[kept],
            reason[kept],
            tuple(sorted(texts)),
            segment[there].astype(np.uint8),
            tuple(segments),
        )


def write_shard(path: Path, found: Overrides) -> None:
    """Write one shard; the same content gives the same bytes."""
    offsets = pa.array(found.offsets, pa.int64())
    keys = pa.Array.from_buffers(
        SCHEMA.field("user_key").type, len(found.keys), [None, pa.py_buffer(np.ascontiguousarray(found.keys))]
    )
    lists = [
        pa.LargeListArray.from_arrays(offsets, pa.array(values))
        for values in (found.titles, found.artworks, found.gains, found.reasons)
    ]
    said = {REASONS: found.texts, SEGMENTS: found.segments}
    schema = SCHEMA.with_metadata({key: "".join(f"{text}\0" for text in texts).encode() for key, texts in said.items()})
    segment = pa.array(found.segment, pa.uint8())
    write_batch(path, pa.RecordBatch.from_arrays([keys, *lists, segment], schema=schema))


class MemberOverrides(Mapping[str, Override]):
    """One member's overrides by title, read from the map as they are asked for, and their segment."""

    __slots__ = ("_begin", "_end", "_shard", "segment")

    def __init__(self, shard: "_Shard", begin: int, end: int, segment: str) -> None:
        self._shard, self._begin, self._end, self.segment = shard, begin, end, segment

    def __getitem__(self, title_id: str) -> Override:
        found = self.get(title_id)
        if found is None:
            raise KeyError(title_id)
        return found

    def get(self, title_id, default=None):
        """The override, or ``default``."""
        shard = self._shard
        code = shard.names.title_codes.get(title_id)
        if code is None:
            return default
        place = _title_at(shard.titles, self._begin, self._end, code)
        return shard.override(place) if place >= 0 else default

    def __iter__(self) -> Iterator[str]:
        titles = self._shard.names.title_ids
        return (titles[code] for code in self._shard.titles[self._begin : self._end].tolist())

    def __len__(self) -> int:
        return self._end - self._begin


@dataclass(frozen=True)
class Names:
    """What the codes stand for."""

    title_ids: Sequence[str]
    title_codes: Mapping[str, int]
    artwork_ids: Sequence[str]


class _Shard:
    """A mapped file as arrays over its bytes."""

    def __init__(self, path: Path, names: Names, whole: bool) -> None:
        batch = batch_of(path, SCHEMA, whole)
        self.names = names
        self.keys = np.frombuffer(batch.column("user_key").buffers()[1] or b"", dtype=f"S{KEY_LENGTH}")
        self.digits = self.keys.view(np.uint8).reshape(-1, KEY_LENGTH)
        lists = [batch.column(name) for name in ("titles", "artworks", "gains", "reasons")]
        self.offsets = lists[0].offsets.to_numpy(zero_copy_only=True)
        self.titles, self.artworks, self.gains, self.reasons = (
            one.values.to_numpy(zero_copy_only=True) for one in lists
        )
        self.texts, segments = (
            (batch.schema.metadata or {}).get(key, b"").decode(errors="replace").split("\0")[:-1]
            for key in (REASONS, SEGMENTS)
        )
        self.segment, self.segments = batch.column("segment").to_numpy(zero_copy_only=True), ("", *segments)
        entries = {len(values) for values in (self.titles, self.artworks, self.gains, self.reasons)}
        if len(self.offsets) != len(self.keys) + 1 or len(entries) != 1:
            raise InputError(f"{path} is no shard of overrides: its columns are of different lengths")
        if whole and not self._fits(lists):
            raise InputError(f"{path} speaks of what the bundle does not hold; run keyart publish again")

    def _fits(self, lists: Sequence[pa.LargeListArray]) -> bool:
        """Whether every code stands for something, and what is searched is in order."""
        known = (len(self.names.title_ids), len(self.names.artwork_ids), len(self.texts), len(self.segments))
        coded = (self.titles, self.artworks, self.reasons, self.segment)
        return (
            all((values < count).all() for values, count in zip(coded, known, strict=True))
            and all(one.offsets.equals(lists[0].offsets) for one in lists)
            and bool((self.keys[1:] > self.keys[:-1]).all() and np.isfinite(self.gains).all())
        )

    def override(self, place: int) -> Override:
        artwork, gain, reason = (values.item(place) for values in (self.artworks, self.gains, self.reasons))
        return Override(self.names.artwork_ids[artwork], gain, self.texts[reason])


class OverrideShards:
    """The lookup that ``ArtworkResolver`` asks for a member's overrides and segment."""

    def __init__(self, paths: Sequence[Path], names: Names, whole: bool = False) -> None:
        """``whole``: every row is looked at before any is answered from, which reads the files."""
        self._shards = [_Shard(path, names, whole) for path in paths]
        self._none: Mapping[str, Override] = {}

    def __call__(self, user_key: str) -> Mapping[str, Override]:
        try:
            shard = self._shards[shard_of(user_key, len(self._shards))]
            wanted = np.frombuffer(user_key.encode(), np.uint8)
        except ValueError:
            return self._none  # no key that a table could hold
        row, begin, end = _entries_of(shard.digits, shard.offsets, wanted)
        return MemberOverrides(shard, begin, end, shard.segments[shard.segment.item(row)]) if row >= 0 else self._none


def _mapped(kind: types.Type, dimensions: int = 1) -> types.Array:
    return types.Array(kind, dimensions, "C", readonly=True)


# Compiled when the module is imported, or read from numba's cache: the first question does not wait for it. A search by
# numpy took three times as long, nearly all of it to make a key and a number into arrays.
@njit(types.UniTuple(types.int64, 3)(_mapped(types.uint8, 2), _mapped(types.int64), _mapped(types.uint8)), cache=True)
def _entries_of(digits, offsets, wanted):
    """The row whose digits (n, KEY_LENGTH) are the wanted ones, and where its entries lie; (-1, 0, 0) where none has
    them."""
    n, length = digits.shape
    if len(wanted) != length:
        return -1, 0, 0
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        place = 0
        while place < length and digits[middle, place] == wanted[place]:
            place += 1
        if place == length:
            return middle, offsets[middle], offsets[middle + 1]
        if digits[middle, place] < wanted[place]:
            low = middle + 1
        else:
            high = middle
    return -1, 0, 0


@njit(types.int64(_mapped(types.uint32), types.int64, types.int64, types.int64), cache=True)
def _title_at(titles, begin, end, code):
    """Place of a title among one member's, which ascend; -1 where they have none of their own for it."""
    low, high = max(begin, 0), min(end, len(titles))  # offsets that nobody verified lead nowhere
    end = high
    while low < high:
        middle = (low + high) // 2
        if titles[middle] < code:
            low = middle + 1
        else:
            high = middle
    return low if low < end and titles[low] == code else -1
