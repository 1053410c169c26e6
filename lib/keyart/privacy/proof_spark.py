"""The proof: tasks decode every file under the roots and look for the members. Paths travel, bytes do not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from keyart.errors import InputError
from keyart.privacy.decoding import Examined, examine
from keyart.privacy.files import files_under, open_file
from keyart.privacy.needles import Needles
from keyart.privacy.requests import Request

__all__ = ["Proof", "prove"]

RESULT = "path string, kind string, size long, members int, error string"
PER_TASK = 64
"""Files of a task, about: the largest are shared out first."""
NAMED = 1_000
"""Files with a finding that are named; all are counted."""
Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class Proof:
    """What every file under the roots was found to hold: by kind how many, and those with a finding (path, why)."""

    roots: tuple[str, ...]
    kinds: dict[str, int]
    size: int
    found: int
    """Files that hold a member or could not be decoded."""
    named: tuple[tuple[str, str], ...]

    @property
    def files(self) -> int:
        """Files that were decoded."""
        return sum(self.kinds.values())


def prove(spark: SparkSession, roots: Sequence[str], request: Request, may_lack: Sequence[str] = ()) -> Proof:
    """Go through every file under the roots. InputError where one cannot be listed or, unless it ``may_lack``, has no
    files: an address that is not understood would else be proven clean."""
    listed = {root: set(files_under(root)) for root in roots}
    for root, found in listed.items():
        if not found and root not in may_lack:
            raise InputError(f"there are no files under {root}, so that nothing is proven of it: name where they lie")
    files = sorted(set().union(*listed.values()), key=lambda pair: (-pair[1], pair[0]))
    examined = _examined(spark, files, request).persist()
    try:
        is_finding = (F.col("members") > 0) | (F.col("error") != "")
        counts = examined.groupBy("kind").agg(
            F.count("*").alias("files"), F.sum("size").alias("size"), F.count_if(is_finding).alias("found")
        )
        rows = counts.collect()
        named = examined.where(is_finding).orderBy("path").limit(NAMED).collect()
    finally:
        examined.unpersist()
    return Proof(
        roots=tuple(roots),
        kinds={row["kind"]: row["files"] for row in sorted(rows, key=lambda row: row["kind"])},
        size=sum(row["size"] for row in rows),
        found=sum(row["found"] for row in rows),
        named=tuple((row["path"], row["error"] or f"holds {row['members']} of the members") for row in named),
    )


def _examined(spark: SparkSession, files: Sequence[tuple[str, int]], request: Request) -> DataFrame:
    tasks = max(1, min(len(files), max(2 * _lanes(spark), -(-len(files) // PER_TASK))))
    dealt = [(path, size, place % tasks) for place, (path, size) in enumerate(files)]
    listed = spark.createDataFrame(dealt, "path string, size long, task int")
    ids, keys = request.ids, request.keys  # in the closure: as literals they would stand in plans

    def look(batches: Batches) -> Batches:
        needles = Needles(ids, keys)
        for batch in batches:
            for path, size in zip(batch.column("path").to_pylist(), batch.column("size").to_pylist(), strict=True):
                yield _row(path, size, needles)

    return listed.repartitionByRange(tasks, "task").select("path", "size").mapInArrow(look, RESULT)


def _row(path: str, size: int, needles: Needles) -> pa.RecordBatch:
    try:
        with open_file(path) as stream:
            seen = examine(path, stream, needles)
        seen.members |= needles.found_in([path.encode("utf-8", "replace")])
    except FileNotFoundError:
        seen = Examined("gone")  # removed since it was listed
    except Exception as error:  # a store's own errors: what was not read is not proven
        seen = Examined("unread", error=f"{type(error).__name__}: {error}".splitlines()[0][:300])
    return pa.RecordBatch.from_pydict(
        {
            "path": [path],
            "kind": [seen.kind],
            "size": pa.array([size], pa.int64()),
            "members": pa.array([len(seen.members)], pa.int32()),
            "error": [seen.error],
        }
    )


def _lanes(spark: SparkSession) -> int:
    """What the session takes for as many tasks as it can run."""
    return int(spark.conf.get("spark.sql.shuffle.partitions", "4") or 4)
