"""Members' test decisions as blocks that are kept: written once for a log, its policies and models, read by every pass.

The table evaluation_blocks holds those of the last evaluation, named by a hash of all that they were made from, and
beside them what was found in the log on the way (candidate sets, rates), so that an evaluation with other slices,
behaviours or limits reads the blocks alone.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keyart.evaluation.examination import Examination
from keyart.evaluation.log_spark import coded, member_code
from keyart.evaluation.reading import blocks_of, pack_overrides, pack_vectors
from keyart.learning.blocks import Arrays, pack, squeezed, unpack, unsqueezed
from keyart.learning.blocks_spark import whole_members
from keyart.schemas import TABLES
from keyart.sharing import Shared
from keyart.tables import Tables

__all__ = ["as_blocks", "each_block", "keep", "kept", "remembered", "source_of"]

TABLE, BLOCKS = "evaluation_blocks", "block"
FORMAT = "4"
"""Of a block; another format is another source."""
READ = ("decisions", "taste", "region_assignments", "user_assignments", "artworks")
ROWS = 400_000
"""Rows that a worker holds at a time, about."""
VECTORS, OVERRIDES = "code long, history int, packed binary", "code long, policy int, among int, packed binary"
Batches = Iterator[pa.RecordBatch]


def source_of(tables: Tables, *about: object) -> str:
    """A hash of the tables' data versions, which compaction leaves alone, and of what else the blocks depend on."""
    versions = {table: tables.data_version(table) for table in READ}
    return hashlib.sha256(json.dumps([FORMAT, versions, about], default=str, sort_keys=True).encode()).hexdigest()[:16]


def remembered(tables: Tables, source: str) -> dict[str, list[dict[str, Any]]] | None:
    """What was found in the log when the blocks were made, by name; None where there are none of this source."""
    rows = tables.read_or_empty(TABLE).where((F.col("source") == source) & (F.col("kind") != BLOCKS)).collect()
    return {row["kind"]: json.loads(bytes(row["payload"])) for row in rows} or None


def kept(tables: Tables, source: str) -> DataFrame:
    """The blocks of a source."""
    rows = tables.read(TABLE).where((F.col("source") == source) & (F.col("kind") == BLOCKS))
    return rows.select("block", "payload")


def keep(tables: Tables, source: str, blocks: DataFrame, found: Mapping[str, Iterable[Any]]) -> None:
    """Replace what the table holds."""
    schema = TABLES[TABLE].schema
    facts = [(source, kind, "", json.dumps([row.asDict() for row in rows]).encode()) for kind, rows in found.items()]
    mine = blocks.select(F.lit(source).alias("source"), F.lit(BLOCKS).alias("kind"), "block", "payload")
    tables.overwrite(TABLE, mine.unionByName(tables.spark.createDataFrame(facts, schema)))


def as_blocks(
    decisions: DataFrame,
    taste: DataFrame,
    own: DataFrame,
    plan: Shared[Examination],
    folds: int,
    seed: int,
    held_out: int,
) -> DataFrame:
    """Blocks (block, payload) of judged decisions, with members' vectors and overrides: one shuffle by member."""
    code = member_code(seed).alias("code")

    def packed(pack_rows: Callable[[Examination, pa.Table], pa.Table], batches: Batches) -> Batches:
        examination = plan.value()
        for batch in batches:
            yield from pack_rows(examination, pa.Table.from_batches([batch])).combine_chunks().to_batches()

    own = own.select(code, "policy_id", "title_ids", "artwork_ids", "gains", "segment")
    taste = taste.select(code, "factors", "genre_mix", "history")
    rows = (
        coded(decisions, folds, seed, held_out)
        .unionByName(taste.mapInArrow(partial(packed, pack_vectors), VECTORS), allowMissingColumns=True)
        .unionByName(own.mapInArrow(partial(packed, pack_overrides), OVERRIDES), allowMissingColumns=True)
        .repartition("code")
        .sortWithinPartitions("code", "epoch", "set", "slot", "policy")
    )

    def built(batches: Batches) -> Batches:
        examination = plan.value()
        for table in whole_members(batches, ROWS, "code"):
            for block in blocks_of(examination, table):
                name = f"{int(block['codes'][0]):016x}"
                yield pa.RecordBatch.from_pydict({"block": [name], "payload": [squeezed(pack(block))]}, _arrow())

    return rows.mapInArrow(built, "block string, payload binary")


def each_block(batches: Batches) -> Iterator[tuple[str, Arrays]]:
    """Name and arrays of each block of ``as_blocks``."""
    for batch in batches:
        for name, payload in zip(batch.column("block"), batch.column("payload"), strict=True):
            yield name.as_py(), unpack(unsqueezed(memoryview(payload.as_buffer())))


def _arrow() -> pa.Schema:
    return pa.schema([("block", pa.string()), ("payload", pa.binary())])
