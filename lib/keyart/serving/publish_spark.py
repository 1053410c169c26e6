"""Write a policy from the tables as a bundle: tasks write members' shards and images, the driver only their sums."""

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keyart.errors import InputError
from keyart.feedback.spark import opted_in
from keyart.policy.columns import codes
from keyart.policy.resolve import ArtworkResolver
from keyart.policy.spark import resolver
from keyart.serving.catalogue import Catalogue
from keyart.serving.looks import looks_of, write_looks
from keyart.serving.manifest import CATALOGUE, FORMAT_VERSION, LOOKS, SHELVES, FileSum, shard_name, sum_of
from keyart.serving.policy_bundle import left_over, older, point, write_bundle
from keyart.serving.shards import Overrides, write_shard
from keyart.serving.shelves import write_shelves
from keyart.settings import PublishSettings
from keyart.tables import Tables

__all__ = ["Published", "publish"]

INPUTS = (
    "policies", "region_assignments", "user_assignments", "opt_outs", "artworks", "titles", "editor_overrides",
    "images",
)  # fmt: skip
"""Tables that a bundle is made of: where one changes, the policy gets a bundle of another name."""
ENTRIES = ("title_ids", "artwork_ids", "gains", "reasons", "segment")
SUMS = "shard long, members long, overrides long, bytes long, sha256 string"


@dataclass(frozen=True)
class Published:
    """Where the bundle lies, whether it was written now, and what may be removed: older ones, and what broken runs
    left."""

    path: Path
    written: bool
    older: tuple[Path, ...]
    left: tuple[Path, ...]


def publish(tables: Tables, folder: Path, settings: PublishSettings) -> Published:
    """Write the policy's bundle unless a good one is there, and point to it.

    ``folder`` has to be seen by all workers under the same path. Errors as ``policy.spark.resolver``; InputError where
    the folder cannot be written.
    """
    # Before anything is read: what changes later is not in. Compaction is no change.
    inputs = {table: tables.data_version(table) for table in INPUTS}
    catalogue = resolver(tables, settings.policy_id)
    wanted = [catalogue.policy.spec(), catalogue.policy.salt, FORMAT_VERSION, inputs, settings.shards, settings.images]
    mark = hashlib.sha256(json.dumps([*wanted, settings.largest_image], sort_keys=True).encode()).hexdigest()[:8]
    name = f"{catalogue.policy.policy_id}-{mark}"

    def fill(partial: Path) -> tuple[int, Mapping[str, int], Mapping[str, FileSum]]:
        write_shelves(partial / SHELVES, catalogue.shelves)
        images = _images(tables, partial / "images", settings)
        write_looks(partial / LOOKS, *_looks(tables, catalogue))
        Catalogue(catalogue.titles, frozenset(catalogue.inactive), catalogue.placement, images).write(
            partial / CATALOGUE
        )
        sums, members, overrides = _shards(tables, catalogue, partial, settings.shards)
        counts = {
            "titles": len({key[0] for key in catalogue.shelves}),
            "shelves": len(catalogue.shelves),
            "members": members,
            "overrides": overrides,
            "images": len(set(images.values())),
        }
        return settings.shards, counts, sums

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be made ({error.strerror}); name another with publish.folder") from error
    written = write_bundle(folder, name, catalogue.policy, inputs, fill)
    point(folder, name)
    return Published(folder / name, written, tuple(older(folder, settings.keep)), tuple(left_over(folder)))


def _shards(
    tables: Tables, catalogue: ArtworkResolver, partial: Path, shards: int
) -> tuple[dict[str, FileSum], int, int]:
    """Sums of the shards' files, members and overrides in them."""
    titles = sorted({key[0] for key in catalogue.shelves})
    artworks = _artworks(catalogue)
    target = str(partial.resolve())

    def write(rows: pa.Table) -> pa.Table:
        shard = rows.column("shard")[0].as_py()
        found = Overrides.of(rows.select(["user_key", *ENTRIES]), titles, artworks)
        said = _put_shard(Path(target), shard, found)
        row = {"shard": shard, "members": len(found.keys), "overrides": len(found.titles)}
        return pa.Table.from_pylist([row | {"bytes": said.bytes, "sha256": said.sha256}])

    found = _newest(tables, catalogue.policy.policy_id, shards).groupBy("shard").applyInArrow(write, SUMS).collect()
    sums = {shard_name(row["shard"]): FileSum(row["bytes"], row["sha256"]) for row in found}
    nobody = pa.table({"user_key": pa.array([], pa.string()), **{name: pa.array([], _kind(name)) for name in ENTRIES}})
    for shard in range(shards):
        if shard_name(shard) not in sums:
            sums[shard_name(shard)] = _put_shard(partial, shard, Overrides.of(nobody, titles, artworks))
        elif not (partial / shard_name(shard)).is_file():
            raise InputError(
                f"workers wrote {shard_name(shard)} where this process cannot see it: let publish.folder name a folder "
                "that all machines see"
            )
    return sums, sum(row["members"] for row in found), sum(row["overrides"] for row in found)


def _newest(tables: Tables, policy_id: str, shards: int) -> DataFrame:
    """Each member's newest overrides, segment and shard; not of members who opted out since the policy was assigned."""
    newest = F.max_by(F.struct(*ENTRIES), "version").alias("own")
    rows = tables.read("user_assignments").where(F.col("policy_id") == policy_id)
    first = F.conv(F.substring("user_key", 1, 8), 16, 10).cast("long")
    return (
        opted_in(rows, tables)
        .groupBy("user_key")
        .agg(newest)
        .select((first % shards).alias("shard"), "user_key", "own.*")
    )


def _put_shard(partial: Path, shard: int, found: Overrides) -> FileSum:
    """Write a shard so that of two attempts at a task each leaves it whole."""
    target = partial / shard_name(shard)
    fresh = target.with_name(f"{target.name}.{uuid.uuid4().hex}")
    write_shard(fresh, found)
    said = sum_of(fresh)
    fresh.replace(target)
    return said


def _images(tables: Tables, folder: Path, settings: PublishSettings) -> dict[str, str]:
    """Artwork: the name of its image, written by the workers; without those that are larger than allowed."""
    if settings.images == "none" or not tables.exists("images"):
        return {}
    target, largest = str(folder.resolve()), settings.largest_image
    active = tables.read("artworks").where("active").select("artwork_id", "image_hash")
    content = F.coalesce("preview", "content") if settings.images == "preview" else F.col("content")
    wanted = (
        tables.read("images")
        .select("image_hash", content.alias("content"))
        .join(active.select("image_hash").distinct(), on="image_hash", how="left_semi")
    )

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            names = []
            for one in batch.column("content"):
                content = one.as_py()
                names.append(_put_image(Path(target), content) if len(content) <= largest else None)
            found = [batch.column("image_hash"), pa.array(names, pa.string())]
            yield pa.RecordBatch.from_arrays(found, ["hash", "name"])

    written = {row["hash"]: row["name"] for row in wanted.mapInArrow(write, "hash string, name string").collect()}
    rows = active.collect()
    return {row[0]: written[row[1]] for row in rows if written.get(row[1])}


def _put_image(folder: Path, content: bytes) -> str:
    name = hashlib.sha256(content).hexdigest()
    fresh = folder / f".{name}.{uuid.uuid4().hex}"
    fresh.write_bytes(content)
    fresh.replace(folder / name)
    return name


def _looks(tables: Tables, catalogue: ArtworkResolver) -> tuple[np.ndarray, np.ndarray]:
    """Codes (k,) and looks (k, D) of the active artworks that are shown, as Arrow: lists of numbers are no objects."""
    found = tables.read("artworks").where("active").select("artwork_id", "features").orderBy("artwork_id").toArrow()
    code = codes(found.column("artwork_id").combine_chunks(), _artworks(catalogue))
    shown = np.flatnonzero(code >= 0)
    kept, looks = looks_of(found.column("features").combine_chunks().take(pa.array(shown)))
    return code[shown[kept]], looks


def _artworks(catalogue: ArtworkResolver) -> list[str]:
    """What artworks' codes stand for."""
    return sorted({artwork for shelf in catalogue.shelves.values() for artwork in shelf.artwork_ids})


def _kind(name: str) -> pa.DataType:
    if name == "segment":
        return pa.string()
    return pa.list_(pa.float32() if name == "gains" else pa.string())
