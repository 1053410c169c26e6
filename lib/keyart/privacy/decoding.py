"""Read a file of any kind down to its values, however they are packed, and look for members in them.

Every file's bytes are searched as they are (footers, logs, pages), and what is packed is unpacked: Parquet, Arrow and
ORC column by column with nested ones, gzip, bzip2, xz, zstd, lz4, zip and tar, SQLite row by row, numpy arrays, and any
of these within a binary value.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import shutil
import sqlite3
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.orc
import pyarrow.parquet as pq

from keyart.privacy.needles import Needles, is_member_field

__all__ = ["Examined", "examine"]

PIECE = 8 << 20
"""Bytes read, and about the bytes of values decoded, at a time."""
DEEPEST = 6
"""Packed within packed so many times is refused: no writer of ours does it, and a bomb would."""
ROWS = 10_000
"""Of a table, taken apart at a time."""
LARGEST_TEXT = 64 << 20
"""Longer texts are taken apart line by line; a longer line is refused."""
KEPT_IN_MEMORY = 32 << 20
ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


@dataclass
class Examined:
    """What a file is, the members found in it (places in the needles' lists), and why it could not be read whole."""

    kind: str = "bytes"
    members: set[int] = field(default_factory=set)
    error: str = ""


def examine(name: str, stream: IO[bytes], needles: Needles) -> Examined:
    """Look through one file. ``stream`` can be sought in. What cannot be decoded is an error, not an absence."""
    result = Examined()
    try:
        result.kind = _look(name, stream, needles, result.members, DEEPEST)
    except Exception as error:  # whatever a damaged file makes a decoder raise: the file was not proven clean
        result.error = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    return result


def _look(name: str, stream: IO[bytes], needles: Needles, found: set[int], depth: int) -> str:
    if depth < 0:
        raise ValueError(f"packed more than {DEEPEST} times")
    kind = _kind(stream)
    _raw(stream, needles, found)
    stream.seek(0)
    DECODERS[kind](name, stream, needles, found, depth)
    return kind


def _kind(stream: IO[bytes]) -> str:
    stream.seek(0)
    head = stream.read(512)
    stream.seek(0)
    for mark, kind in MARKS.items():
        if head.startswith(mark) and not (mark.isalnum() and head.isascii() and head.decode().isprintable()):
            return kind  # a text may begin with the letters of a mark
    if head[257:262] == b"ustar":
        return "tar"
    if not head:
        return "empty"
    if b"\x00" in head:
        return "bytes"
    return "json" if head.lstrip()[:1] in (b"{", b"[") else "text"


def _raw(stream: IO[bytes], needles: Needles, found: set[int]) -> None:
    rest = b""
    piece = stream.read(PIECE)
    while piece:
        following = stream.read(PIECE)
        text = rest + piece
        found |= needles.found(text, is_end=not following)
        rest, piece = text[-needles.longest :], following


def _nothing(name: str, stream: IO[bytes], needles: Needles, found: set[int], depth: int) -> None:
    """The bytes were all."""


def _parquet(name: str, stream: IO[bytes], needles: Needles, found: set[int], depth: int) -> None:
    with pq.ParquetFile(stream) as file:
        groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
        widest = max((g.total_byte_size / max(g.num_rows, 1) for g in groups), default=1.0)
        rows = int(min(65_536, max(1, PIECE // max(widest, 1.0))))
        for batch in file.iter_batches(batch_size=rows, use_threads=False):
            _batch(batch, needles, found, depth)


def _arrow(name: str, stream: IO[bytes], needles: Needles, found: set[int], depth: int) -> None:
    reader = pyarrow.ipc.open_file(stream)
    for index in range(reader.num_record_batches):
        _batch(reader.get_batch(index), needles, found, depth)


def _orc(name: str, stream: IO[bytes], needles: Needles, found: set[int], depth: int) -> None:
    file = pyarrow.orc.ORCFile(stream)
    for stripe in range(file.nstripes):
        _batch(file.read_stripe(stripe), needles, found, depth)


def _batch(batch: pa.RecordBatch, needles: Needles, found: set[int], depth: int) -> None:
    for column, array in zip(batch.schema.names, batch.columns, strict=True):
        for name, leaf in _leaves(column, array):
            _values(name, leaf, needles, found, depth)


def _leaves(name: str, array: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        yield from _leaves(name, array.storage)
    elif pa.types.is_dictionary(kind):
        yield from _leaves(name, array.dictionary)
    elif pa.types.is_struct(kind):
        for field_, child in zip(kind, array.flatten(), strict=True):
            yield from _leaves(f"{name}.{field_.name}", child)
    elif pa.types.is_map(kind):
        yield from _leaves(f"{name}.key", array.keys)
        yield from _leaves(f"{name}.value", array.items)
    elif pa.types.is_nested(kind):
        yield from _leaves(name, array.flatten())
    else:
        yield name, array


def _values(name: str, leaf: pa.Array, needles: Needles, found: set[int], depth: int) -> None:
    kind = leaf.type
    if pa.types.is_integer(kind):
        if needles.numbers and is_member_field(name):
            found |= {needles.numbers[n] for n in pc.unique(leaf).to_pylist() if n in needles.numbers}
        return
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if not is_text and not any(
        test(kind) for test in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    ):
        return
    wide = leaf.cast(pa.large_binary())
    cells = [cell for cell in pc.unique(wide).to_pylist() if cell]
    found |= needles.found_in(cells)
    if not is_text:
        for cell in cells:
            _packed_cell(name, cell, needles, found, depth)


def _packed_cell(name: str, cell: bytes, needles: Needles, found: set[int], depth: int) -> None:
    if cell[:2] in ZLIB:
        try:
            cell = zlib.decompress(cell)
        except zlib.error:
            return  # two bytes by chance: the cell was searched as it is
        _look(name, io.BytesIO(cell), needles, found, depth - 1)
    elif any(cell.startswith(mark) for mark in MARKS):
        try:
            _look(name, io.BytesIO(cell), needles, found, depth - 1)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, sqlite3.DatabaseError, pa.ArrowException):
            return  # begins like a container, and is none


def _unpacked(opened: Callable[[Any], Any]) -> "Decoder":
    def decode(name: str, stream: IO[bytes], needles: Needles, found: set[int], depth: int) -> None:
        with opened(stream) as inner:
            _look_into(name, inner, needles, found, depth)

    return decode


def _look_into(name: str, inner: IO[bytes], needles: Needles, found: set[int], depth: int) -> None:
    """A stream that can only be read from its beginning to its end."""
    with tempfile.SpooledTemporaryFile(KEPT_IN_MEMORY) as scratch:
        shutil.copyfileobj(inner, scratch, 1 << 20)
        _look(name, scratch, needles, found, depth - 1)


def _zip(name: str, stream: IO[bytes], needles: Needles, found: set[int], depth: int) -> None:
    with zipfile.ZipFile(stream) as archive:
        found |= needles.found_in([entry.filename.encode() for entry in archive.infolist()])
        for entry in archive.infolist():
            with archive.open(entry) as inner:
                _look_into(entry.filename, inner, needles, found, depth)


def _tar(name: str, stream: IO[bytes], needles: Needles, found: set[int], depth: int) -> None:
    with tarfile.open(fileobj=stream, mode="r:") as archive:
        for entry in archive:
            found |= needles.found_in([entry.name.encode()])
            inner = archive.extractfile(entry) if entry.isfile() else None
            if inner is not None:
                with inner:
                    _look_into(entry.name, inner, needles, found, depth)


def _sqlite(name: str, stream: IO[bytes], needles: Needles, found: set[int], depth: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "copy.db"
        with copy.open("wb") as target:
            shutil.copyfileobj(stream, target, 1 << 20)
        database = sqlite3.connect(f"file:{copy}?mode=ro&immutable=1", uri=True)
        try:
            database.text_factory = bytes
            named = [row[0].decode() for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in named:
                _rows(database.execute('SELECT * FROM "{}"'.format(table.replace('"', '""'))), needles, found, depth)
        finally:
            database.close()


def _rows(cursor: sqlite3.Cursor, needles: Needles, found: set[int], depth: int) -> None:
    names = [column[0] for column in cursor.description]
    members = [is_member_field(name) for name in names]
    while rows := cursor.fetchmany(ROWS):
        cells = [cell for row in rows for cell in row if isinstance(cell, bytes)]
        found |= needles.found_in(cells)
        for cell in cells:
            _packed_cell("", cell, needles, found, depth)
        numbers = (v for row in rows for v, is_member in zip(row, members, strict=True) if is_member)
        found |= {needles.numbers[n] for n in numbers if isinstance(n, int) and n in needles.numbers}


def _numpy(name: str, stream: IO[bytes], needles: Needles, found: set[int], depth: int) -> None:
    array = np.load(stream, allow_pickle=False)
    if array.dtype.fields:
        parts: Iterable[np.ndarray] = [array[column] for column in array.dtype.names or ()]
    else:
        parts = [array]
    for part in parts:
        if part.dtype.kind in "SU":
            flat = np.char.encode(part.ravel(), "utf-8") if part.dtype.kind == "U" else part.ravel()
            for start in range(0, len(flat), 65_536):
                found |= needles.found_in(flat[start : start + 65_536].tolist())


def _json(name: str, stream: IO[bytes], needles: Needles, found: set[int], depth: int) -> None:
    if not needles.has_short:
        return  # longer ids and keys were seen in the text
    text = stream.read(LARGEST_TEXT + 1)
    if len(text) <= LARGEST_TEXT:
        with suppress(ValueError):  # one value a line, or no JSON at all
            _walk(json.loads(text), "", needles, found)
            return
    for line in _lines(stream):
        try:
            _walk(json.loads(line), "", needles, found)
        except ValueError:
            continue


def _walk(value: Any, name: str, needles: Needles, found: set[int]) -> None:
    """Every string of a JSON value by itself, JSON within it too, and numbers of fields that may hold members' ids."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _walk(key, "", needles, found)
            _walk(inner, key, needles, found)
    elif isinstance(value, list):
        for inner in value:
            _walk(inner, name, needles, found)
    elif isinstance(value, str):
        found |= needles.found_in([value.encode("utf-8", "replace")])
        if value[:1] in ("{", "["):
            try:
                inner = json.loads(value)
            except ValueError:
                return
            _walk(inner, name, needles, found)
    elif isinstance(value, int) and not isinstance(value, bool) and value in needles.numbers and is_member_field(name):
        found.add(needles.numbers[value])


def _text(name: str, stream: IO[bytes], needles: Needles, found: set[int], depth: int) -> None:
    if not needles.has_short or not name.lower().endswith((".csv", ".tsv", ".txt")):
        return
    for delimiter in ",\t;|":
        rows = csv.reader((line.decode("utf-8", "replace") for line in _lines(stream)), delimiter=delimiter)
        with suppress(csv.Error):  # then it is no table
            while some := list(islice(rows, ROWS)):
                found |= needles.found_in([cell.strip().encode() for row in some for cell in row])


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """From the beginning; ValueError where one is too long to be taken apart."""
    stream.seek(0)
    while line := stream.readline(LARGEST_TEXT + 1):
        if len(line) > LARGEST_TEXT:
            raise ValueError(f"a line of more than {LARGEST_TEXT >> 20} MB cannot be searched for ids this short")
        yield line


Decoder = Callable[[str, IO[bytes], Needles, "set[int]", int], None]
DECODERS: dict[str, Decoder] = {
    "parquet": _parquet,
    "arrow": _arrow,
    "orc": _orc,
    "gzip": _unpacked(gzip.open),
    "bzip2": _unpacked(bz2.open),
    "xz": _unpacked(lzma.open),
    "zstd": _unpacked(lambda stream: pa.CompressedInputStream(stream, "zstd")),
    "lz4": _unpacked(lambda stream: pa.CompressedInputStream(stream, "lz4")),
    "zip": _zip,
    "tar": _tar,
    "sqlite": _sqlite,
    "numpy": _numpy,
    "json": _json,
    "text": _text,
    "bytes": _nothing,
    "empty": _nothing,
}
MARKS: dict[bytes, str] = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"ORC": "orc",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"PK\x03\x04": "zip",
    b"SQLite format 3\x00": "sqlite",
    b"\x93NUMPY": "numpy",
}
