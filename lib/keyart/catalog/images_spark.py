"""Read pictures that come from no film into images and candidates, a task for every few of them."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import BinaryType, StringType, StructField, StructType

from keyart.catalog.images import IMAGES
from keyart.errors import VideoError
from keyart.schemas import TABLES
from keyart.secrecy import hidden
from keyart.tables import Tables
from keyart.video.child import own_child

__all__ = ["PicturesReport", "ingest_pictures"]

PICTURES_PER_TASK = 64
MOST_TASKS = 4096
SILENT_SECONDS = 60.0
"""A picture that takes longer to read and decode is given up."""
MOST_NAMED = 1000
"""Unreadable pictures that are named; more are only counted."""
CANDIDATES, STORED = TABLES["candidates"].schema, TABLES["images"].schema
READ = StructType(
    [
        *CANDIDATES,
        *(STORED[name] for name in ("mime", "preview")),
        StructField("content", BinaryType(), True),
        StructField("uri", StringType(), False),
        StructField("failure", StringType(), True),
    ]
)


@dataclass(frozen=True)
class PicturesReport:
    """What became of them: pictures that are candidates now, and (title_id, uri, reason) of those that cannot be."""

    pictures: int
    losses: tuple[tuple[str, str, str], ...]
    hashes: dict[tuple[str, str], str]
    """Image by title and address, where they were asked for."""

    @property
    def lines(self) -> list[str]:
        """What the job says."""
        last = f"ingested {self.pictures} images; {len(self.losses)} images cannot be read"
        return [*(hidden(f"unreadable: {uri}: {reason}") for _, uri, reason in self.losses), last]


def ingest_pictures(
    tables: Tables, scan_id: str, found: Sequence[tuple[str, str]], whole: bool = False, name_all: bool = False
) -> PicturesReport:
    """Make candidates of (title_id, uri); a title's candidates of this ``scan_id`` are these and no others.

    ``whole``: so are those of titles that are not named. Features that are there are kept; what did not change is not
    written. ``name_all`` also answers each picture's hash: for lists that a person writes.
    """
    tasks = min(MOST_TASKS, max(1, -(-len(found) // PICTURES_PER_TASK)))
    asked = tables.spark.createDataFrame(
        [(scan_id, *row) for row in found], "scan_id string, title_id string, uri string"
    )
    read = asked.dropDuplicates().repartition(tasks, "uri").mapInArrow(_read, READ).persist()
    try:
        lost = read.where("failure IS NOT NULL").select("title_id", "uri", "failure").orderBy("title_id", "uri")
        losses = tuple(tuple(row) for row in lost.limit(MOST_NAMED).collect())
        good = read.where("failure IS NULL")
        hashes = (
            {(r["title_id"], r["uri"]): r["image_hash"] for r in good.select("title_id", "uri", "image_hash").collect()}
            if name_all
            else {}
        )
        stored = good.select(*STORED.names).dropDuplicates(["image_hash"])
        new = stored.join(tables.read_or_empty("images").select("image_hash"), on="image_hash", how="left_anti")
        if not new.isEmpty():
            tables.merge("images", new, update=False)
        candidates = good.dropDuplicates(["title_id", "image_hash"]).select(*CANDIDATES.names)
        _replace(tables, scan_id, candidates, None if whole else sorted({title for title, _ in found}))
        pictures = candidates.count()
    finally:
        read.unpersist()
    return PicturesReport(pictures, losses, hashes)


def _replace(tables: Tables, scan_id: str, candidates: DataFrame, titles: Sequence[str] | None) -> None:
    """Candidates of a scan_id (of these titles, or of all) become these; rows that stay keep what was learned."""
    key = list(TABLES["candidates"].key)
    before = tables.read_or_empty("candidates").where(F.col("scan_id") == scan_id)
    ours = before
    if titles is not None:
        named = tables.spark.createDataFrame([(title,) for title in titles], "title_id string")
        ours = before.join(named, on="title_id", how="left_semi")
    gone = ours.join(candidates, on=key, how="left_anti")
    new = candidates.join(before, on=key, how="left_anti").select(*CANDIDATES.names)
    if gone.isEmpty() and new.isEmpty():
        return
    kept = before.join(gone.select(*key), on=key, how="left_anti").select(*CANDIDATES.names)
    tables.replace("candidates", kept.unionByName(new), f"scan_id = '{scan_id}'")


def _read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    schema = to_arrow_schema(READ)
    for batch in batches:
        for row in batch.to_pylist():  # one at a time: pictures are large
            yield pa.RecordBatch.from_pylist([_row(**row)], schema=schema)


def _row(scan_id: str, title_id: str, uri: str) -> dict:
    nothing = dict.fromkeys(READ.names)
    key = {
        "scan_id": scan_id,
        "video_id": hashlib.blake2b(f"{title_id}\x1f{IMAGES}".encode(), digest_size=12).hexdigest(),
    }
    moment = {"seconds": 0.0, "shot_share": 1.0, "position": 0.0, "camera_motion": 0.0, "subject_motion": 0.0}
    row = nothing | key | moment | {"title_id": title_id, "uri": uri, "quality": 1.0}
    try:
        image = asdict(own_child(warm=False).call("keyart.catalog.images:read_image", uri, timeout=SILENT_SECONDS))
    except VideoError as error:
        unseen = {"pts": 0, "shot_id": 0, "width": 0, "height": 0, "image_hash": "", "mime": ""}
        return row | unseen | {"failure": str(error)}
    number = int(image["image_hash"][:15], 16)  # of the picture alone, so that its row stays when others come and go
    return row | image | {"pts": number, "shot_id": number >> 30}
