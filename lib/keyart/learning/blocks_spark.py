"""Members as persisted blocks, and passes over them: one mapInArrow each, nothing joined or shuffled again."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from threadpoolctl import threadpool_limits

from keyart.errors import ModelError
from keyart.learning.blocks import Arrays, add, pack, unpack
from keyart.session import of_small_rows

__all__ = ["blocks_of", "each_block", "read_blocks", "sum_over", "whole_members"]

SCHEMA = "block string, payload binary"
ROWS = 1_000_000
"""Rows of a block, about; bounds what a worker holds."""


@contextmanager
def blocks_of(
    rows: DataFrame, build: Callable[[pa.Table], Arrays], order: Sequence[str] = (), few: bool = False
) -> Iterator[DataFrame]:
    """Blocks of whole members, persisted while the context lasts.

    ``rows`` are shuffled by ``user_key`` once; ``build`` turns a table of whole members into a block's arrays, which
    should be the same whatever produced the rows. With an ``order`` Spark sorts them by key and by it; without one they
    come by a hash of the key, a member's in any order, and those of two members with one hash may alternate. Blocks are
    made at once, by a pass of its own, unless there are ``few`` rows, to which that would add more than it saves.
    """

    def built(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for table in whole_members(batches, key=by[0]):
            first = table.column("user_key")[0].as_py()
            yield pa.RecordBatch.from_pydict({"block": [first], "payload": [pack(build(table))]}, _arrow())

    placed, by = rows.repartition("user_key"), ["user_key", *order]
    if not order:
        # One number is what Spark sorts by its digits, without comparing rows.
        placed, by = placed.withColumn("place", F.xxhash64("user_key")), ["place"]
    placed = placed.sortWithinPartitions(*by)
    blocks = placed.mapInArrow(built, SCHEMA).persist()
    try:
        if not few:
            with of_small_rows(rows.sparkSession):
                blocks.count()
        yield blocks
    finally:
        blocks.unpersist()


def whole_members(batches: Iterator[pa.RecordBatch], rows: int = ROWS, key: str = "user_key") -> Iterator[pa.Table]:
    """Tables of about ``rows`` rows that never part a member's; batches come sorted by ``key``."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        held.append(batch)
        count += batch.num_rows
        if count >= rows:
            table = pa.Table.from_batches(held)
            keys = table.column(key)
            cut = pc.index(keys, keys[-1]).as_py()
            if cut:
                yield table.slice(0, cut).combine_chunks()
            held = table.slice(cut).to_batches()
            count -= cut
    if count:
        yield pa.Table.from_batches(held).combine_chunks()


def sum_over(blocks: DataFrame, kernel: Callable[[Arrays], Arrays]) -> Arrays:
    """One pass: the sums by name of what ``kernel`` answers for each block. ModelError where there is no block."""

    def partial(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        total, first = None, None
        for name, block in read_blocks(batches):
            total, first = add(total, kernel(block)), first or name
        if total is not None:
            yield pa.RecordBatch.from_pydict({"block": [first], "payload": [pack(total)]}, _arrow())

    total = None
    # In the order of the blocks' names: sums of floats must not depend on which task was done first.
    for row in sorted(blocks.mapInArrow(partial, SCHEMA).collect(), key=lambda row: row["block"]):
        total = add(total, unpack(bytes(row["payload"])))
    if total is None:
        raise ModelError("no member has anything to learn from; ingest logs first")
    return total


def each_block(blocks: DataFrame, schema: str, kernel: Callable[[Arrays], Iterator[pa.RecordBatch]]) -> DataFrame:
    """One pass whose answer is rows: what ``kernel`` yields for each block."""

    def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _, block in read_blocks(batches):
            yield from kernel(block)

    return blocks.mapInArrow(mapped, schema)


def read_blocks(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[str, Arrays]]:
    """Name and arrays of each block; the arrays are views of the batch.

    BLAS keeps to one thread meanwhile: each task has a core of its own.
    """
    with threadpool_limits(1):
        for batch in batches:
            for name, payload in zip(batch.column("block"), batch.column("payload"), strict=True):
                yield name.as_py(), unpack(memoryview(payload.as_buffer()))


def _arrow() -> pa.Schema:
    return pa.schema([("block", pa.string()), ("payload", pa.binary())])
