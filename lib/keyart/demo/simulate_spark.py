"""simulate: the blocks of an audience as one Spark job that writes a log and, where there is none, a catalogue."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, IntegerType, StringType, StructField, StructType

from keyart.demo.faults import BROKEN, DELIVERY
from keyart.demo.logbook import SAID, write_parquet
from keyart.demo.simulate import Crowd, Item, block_log, blocks, crowd_of, invented
from keyart.errors import InputError
from keyart.schemas import EVENTS, TABLES
from keyart.settings import Settings
from keyart.sharing import Shared, shared
from keyart.tables import Tables

__all__ = ["Simulated", "simulate"]

BLOCKS_A_TASK = 8
"""About two million events, and a file of some 50 MB."""
FEWEST_TASKS = 8
ROWS_A_BATCH = 8_192
OURS = ("part-", "_", ".")
"""How names of files begin that Spark writes."""


@dataclass(frozen=True)
class Simulated:
    """What a run made."""

    rows: int
    titles: int
    invented: bool


def simulate(spark: SparkSession, tables: Tables, settings: Settings) -> Simulated:
    """Write the log to ``simulate.out``. InputError where none is named or the folder holds something else."""
    options = settings.simulate
    # Times are written as UTC, also where the cluster's clock is not.
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    _check_folder(spark, options.out)
    made_up = tables.read_or_empty("titles").isEmpty()  # one that was created and killed is there, without rows
    items = invented(options) if made_up else _catalogue(tables)
    if made_up:
        _write_catalogue(tables, items)
    crowd = crowd_of(items, options, settings.demo, settings.regions, settings.events.default_duration_seconds)
    count = blocks(options)
    tasks = max(-(-count // BLOCKS_A_TASK), min(count, FEWEST_TASKS))
    with shared(crowd, settings.session.shared_folder_or_none()) as handle:
        numbers = spark.range(0, count, 1, tasks)
        write = _write_json if options.format == "json" else _write_parquet
        rows = write(numbers, handle, _absolute(options.out), options.deliveries > 1)
    return Simulated(rows, len(items), made_up)


def _living(handle: Shared[Crowd]) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def live(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        crowd = handle.value()
        for batch in batches:
            for block in batch.column(0).to_pylist():
                yield from block_log(crowd, block).combine_chunks().to_batches(ROWS_A_BATCH)

    return live


def _schema() -> StructType:
    """The raw log's columns in the types that ingest-events takes as they are."""
    fields = []
    for name in SAID:
        kind = StringType() if name == "user_id" else EVENTS[name].dataType
        fields.append(StructField(name, ArrayType(kind.elementType) if isinstance(kind, ArrayType) else kind))
    return StructType([*fields, StructField(DELIVERY, IntegerType(), False)])


def _absolute(out: str) -> str:
    """As workers know it, whose working directory may be another."""
    return out.rstrip("/") if ":" in out else str(Path(out).absolute())


def _write_parquet(numbers: DataFrame, handle: Shared[Crowd], out: str, parted: bool) -> int:
    """Each block's file is written where the block is made: twice as fast as handing its rows over to Spark."""

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        crowd = handle.value()
        for batch in batches:
            for block in batch.column(0).to_pylist():
                log = block_log(crowd, block)
                for delivery in range(crowd.settings.deliveries):
                    part = log.filter(pc.equal(log[DELIVERY], delivery)) if parted else log
                    folder = f"{out}/{DELIVERY}={delivery}" if parted else out
                    # The same block writes the same file: a task that is tried again does no harm.
                    with fsspec.open(f"{folder}/part-{block:08d}.parquet", "wb", auto_mkdir=True) as file:
                        write_parquet(file, part.drop_columns(DELIVERY))
                yield pa.RecordBatch.from_pydict({"rows": [log.num_rows]})

    # Spark clears the folder, whatever kind of store it is in.
    empty = numbers.sparkSession.createDataFrame([], StructType(_schema().fields[:-1]))
    empty.write.mode("overwrite").parquet(out)
    row = numbers.mapInArrow(write, "rows long").agg(F.sum("rows").alias("rows")).first()
    return int(row["rows"]) if row else 0


def _write_json(numbers: DataFrame, handle: Shared[Crowd], out: str, parted: bool) -> int:
    seen = Observation()
    rows = numbers.mapInArrow(_living(handle), _schema()).observe(seen, F.count("*").alias("rows"))
    line = F.to_json(F.struct(*SAID), {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS"})
    cut = F.when(F.col("event_type") == BROKEN, F.substring(line, 1, 40)).otherwise(line)
    writer = rows.select(cut.alias("value"), *[DELIVERY] * parted).write.mode("overwrite")
    (writer.partitionBy(DELIVERY) if parted else writer).text(out)
    return int(seen.get["rows"])


def _check_folder(spark: SparkSession, out: str) -> None:
    if not out.strip():
        raise InputError("nowhere to write the log to; give --out FOLDER")
    try:
        listed = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(out)
        name = F.element_at(F.split("path", "/"), -1)
        is_ours = reduce(or_, [name.startswith(start) for start in OURS])
        row = listed.where(~is_ours).agg(F.min(name).alias("name")).first()
    except PySparkException as error:
        if "PATH_NOT_FOUND" in str(error):
            return
        raise InputError(f"{out} cannot be used as a folder for the log: {str(error).splitlines()[0][:200]}") from error
    if row is not None and row["name"] is not None:
        raise InputError(f"{out} holds {row['name']}, which no simulation wrote; give --out a folder of its own")


def _catalogue(tables: Tables) -> list[Item]:
    """The catalogue of the root: small, so collected. InputError where no title has artworks."""
    titles = tables.read("titles").select("title_id", "genres").orderBy("title_id").collect()
    seconds = {
        row["title_id"]: row["seconds"] or 0.0
        for row in tables.read_or_empty("videos").groupBy("title_id").agg(F.max("duration_seconds").alias("seconds"))
        .collect()
    }  # fmt: skip
    of_title: dict[str, list] = {}
    shown = tables.read_or_empty("artworks").where("active").select("title_id", "artwork_id", "rank", "features")
    for row in shown.orderBy("title_id", "rank", "artwork_id").collect():
        of_title.setdefault(row["title_id"], []).append(row)
    if not of_title:
        raise InputError(f"no title under {tables.root} has an artwork; run select-artwork, or name an empty root")
    return [
        Item(
            title_id=row["title_id"],
            genres=tuple(row["genres"]),
            seconds=seconds.get(row["title_id"], 0.0),
            artworks=tuple(one["artwork_id"] for one in of_title.get(row["title_id"], [])),
            features=np.array([one["features"] for one in of_title.get(row["title_id"], [])]),
        )
        for row in titles
    ]


def _write_catalogue(tables: Tables, items: list[Item]) -> None:
    """Artworks first: a run that was killed between the two begins again."""
    artworks = [
        _BLANK_ARTWORK | {"artwork_id": name, "title_id": item.title_id, "image_hash": name, "rank": place + 1,
                          "features": features.tolist()}
        for item in items for place, (name, features) in enumerate(zip(item.artworks, item.features, strict=True))
    ]  # fmt: skip
    titles = [
        {"title_id": item.title_id, "name": item.title_id, "genres": list(item.genres), "maturity_rating": None,
         "kids": False, "regions": [], "rights": [], "cast_names": [], "creators": None}
        for item in items
    ]  # fmt: skip
    for table, rows in (("artworks", artworks), ("titles", titles)):
        schema = TABLES[table].schema
        frame = tables.spark.createDataFrame([tuple(row.get(name) for name in schema.names) for row in rows], schema)
        tables.overwrite(table, frame)


_BLANK_ARTWORK = {
    "variant": "original", "feature_version": "simulated", "faces": [], "cast_clusters": [], "shot_type": "none",
    "moods": [], "flags": [], "crops": [], "score": 0.0, "reason": "simulated", "active": True,
}  # fmt: skip
