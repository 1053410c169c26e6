"""A key planted in a file of any kind is found, though the file's bytes do not show it; other files are clean."""

import bz2
import gzip
import io
import json
import lzma
import sqlite3
import tarfile
import zipfile
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

from keyart.feedback.privacy import user_keys
from keyart.privacy.decoding import DECODERS, examine
from keyart.privacy.needles import Needles

IDS = ["member-ann", "member-ben", "42"]
KEYS = user_keys(b"key", IDS)
NEEDLES = Needles(IDS, KEYS)
KEY, OTHER = KEYS[0], user_keys(b"key", ["nobody"])[0]
ROWS = 2_000
OTHERS = user_keys(b"other", list(map(str, range(ROWS))))
"""So many that a compressed column does not show its values."""


def written(write):
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


def column(value, of=lambda text: text):
    return [of(value if n == ROWS // 2 else OTHERS[n]) for n in range(ROWS)]


def parquet(table, **options):
    return written(lambda stream: pq.write_table(table, stream, write_statistics=False, **options))


def nested(value):
    kind = pa.struct([("lists", pa.list_(pa.struct([("map", pa.map_(pa.string(), pa.string()))])))])
    cells = [{"lists": [{"map": [("key", text)]}]} for text in column(value)]
    return pa.table({"deep": pa.array(cells, kind)})


def database(value):
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE runs (name TEXT, content BLOB)")
    connection.executemany("INSERT INTO runs VALUES ('r', ?)", [(gzip.compress(value.encode()),)])
    return connection.serialize()


def tape(value):
    def write(stream):
        with tarfile.open(fileobj=stream, mode="w:gz") as archive:
            content = gzip.compress(value.encode())
            about = tarfile.TarInfo("part.gz")
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))

    return written(write)


def archive(value):
    def write(stream):
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
            target.writestr("a.jsonl", "\n".join(column(value)))

    return written(write)


def orc(value):
    table = pa.table({"text": column(value)})
    return written(lambda stream: pyarrow.orc.write_table(table, stream, compression="zstd"))


def feather(value):
    def write(stream):
        table = pa.table({"text": column(value)})
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_file(stream, table.schema, options=options) as writer:
            writer.write_table(table)

    return written(write)


FORMS = {
    "parquet snappy": lambda v: parquet(pa.table({"text": column(v)}), compression="snappy", use_dictionary=False),
    "parquet zstd": lambda v: parquet(pa.table({"text": column(v)}), compression="zstd"),
    "parquet nested": lambda v: parquet(nested(v), compression="gzip"),
    "parquet dictionary": lambda v: parquet(pa.table({"text": pa.array(column(v)).dictionary_encode()}),
                                            compression="zstd"),
    "parquet binary": lambda v: parquet(pa.table({"text": pa.array(column(v, str.encode), pa.binary(32))}),
                                        compression="zstd"),
    "parquet with zlib in a cell": lambda v: parquet(pa.table({"x": [zlib.compress(v.encode() * 3)]})),
    "parquet with parquet in a cell": lambda v: parquet(
        pa.table({"x": [parquet(pa.table({"text": column(v)}), compression="zstd")]})),
    "arrow": feather,
    "orc": orc,
    "gzip": lambda v: gzip.compress("\n".join(column(v)).encode()),
    "gzip twice": lambda v: gzip.compress(gzip.compress(v.encode())),
    "bzip2": lambda v: bz2.compress(v.encode()),
    "xz": lambda v: lzma.compress(v.encode()),
    "zstd": lambda v: pa.compress(v.encode() * 9, "zstd", asbytes=True),
    "zip": archive,
    "tar.gz": tape,
    "npz": lambda v: written(lambda stream: np.savez_compressed(stream, texts=np.array(column(v)))),
    "npy of bytes": lambda v: written(lambda stream: np.save(stream, np.array(column(v, str.encode)))),
    "sqlite": database,
    "json": lambda v: json.dumps({"add": {"stats": json.dumps({"minValues": {"user_key": v}})}}).encode(),
    "text": lambda v: f"a,b\n{v},2\n".encode(),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_planted_key_is_found(form):
    seen = examine("file", io.BytesIO(FORMS[form](KEY)), NEEDLES)
    assert (seen.members, seen.error) == ({0}, "")


@pytest.mark.parametrize("form", FORMS)
def test_a_clean_file_is_clean(form):
    seen = examine("file", io.BytesIO(FORMS[form](OTHER)), NEEDLES)
    assert (seen.members, seen.error) == (set(), "")


def test_a_byte_search_would_have_missed_most():
    missed = {form for form, make in FORMS.items() if KEY.encode() not in make(KEY)}
    assert {"parquet zstd", "parquet nested", "gzip", "zip", "npz", "sqlite", "orc", "arrow"} <= missed


def test_an_id_is_found_beside_its_neighbours():
    table = pa.table({"text": ["xyz", "member-ben", "123"]})
    assert examine("file", io.BytesIO(parquet(table, compression="zstd")), NEEDLES).members == {1}


@pytest.mark.parametrize(
    ("content", "members"),
    [
        (json.dumps({"size": 42, "numRecords": 42}).encode(), set()),
        (json.dumps({"user_id": 42}).encode(), {2}),
        (json.dumps({"payload": json.dumps({"who": "42"})}).encode(), {2}),
        (b'{"a": 1}\n{"user": "42"}\n', {2}),
        (parquet(pa.table({"size": [42]})), set()),
        (parquet(pa.table({"user_id": [42]})), {2}),
        (b"n;user\n7;42\n", {2}),
    ],
    ids=["sizes", "number of a member", "json in json", "lines", "size", "user_id", "csv"],
)
def test_a_short_id_is_a_whole_value_of_the_right_kind(content, members):
    assert examine("x.csv", io.BytesIO(content), NEEDLES).members == members


@pytest.mark.parametrize(
    "content", [b'{"a": 1}\n' * 40 + b'{"user": "42"}\n', b"n;user\n" + b"7;41\n" * 40 + b"7;42\n"]
)
def test_a_short_id_at_the_end_of_a_long_text_is_found(monkeypatch, content):
    monkeypatch.setattr("keyart.privacy.decoding.LARGEST_TEXT", 100)
    seen = examine("x.csv", io.BytesIO(content), NEEDLES)
    assert (seen.members, seen.error) == ({2}, "")


@pytest.mark.parametrize("content", [b'["' + b"x" * 200 + b'"]', b"x" * 200])
def test_a_line_too_long_for_short_ids_is_not_proven(monkeypatch, content):
    monkeypatch.setattr("keyart.privacy.decoding.LARGEST_TEXT", 100)
    assert "cannot be searched" in examine("x.csv", io.BytesIO(content), NEEDLES).error


def test_pieces_of_a_long_file_hang_together(monkeypatch):
    monkeypatch.setattr("keyart.privacy.decoding.PIECE", 64)
    for place in range(100, 180):
        text = b" " * place + b"member-ann" + b" " * (300 - place)
        assert examine("file", io.BytesIO(text), NEEDLES).members == {0}
        longer = b" " * place + b"member-anna" + b" " * (300 - place)
        assert examine("file", io.BytesIO(longer), NEEDLES).members == set()


@pytest.mark.parametrize("form", ["parquet zstd", "gzip", "zip", "orc", "xz"])
def test_what_cannot_be_decoded_is_said(form):
    whole = FORMS[form](OTHER)
    seen = examine("file", io.BytesIO(whole[: len(whole) // 2]), NEEDLES)
    assert seen.error
    assert "\n" not in seen.error


def test_a_bomb_is_refused():
    content = KEY.encode()
    for _ in range(20):
        content = gzip.compress(content)
    assert "packed more than" in examine("file", io.BytesIO(content), NEEDLES).error


def test_every_kind_has_a_decoder_and_nothing_is_a_kind():
    assert examine("file", io.BytesIO(b""), NEEDLES).kind == "empty"
    assert examine("file", io.BytesIO(b"\xff\xd8\xff\x00"), NEEDLES).kind == "bytes"
    assert {"parquet", "sqlite", "zip"} <= set(DECODERS)
