"""select-artwork on Spark: one pass over the candidates' images, one over each title's candidates, two merges."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

import cv2
import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import BooleanType, LongType, StringType, StructField, StructType

from keyart.catalog.images import IMAGES, UPLOADS, artwork_id_of
from keyart.feedback.moments_spark import drawn_to
from keyart.schemas import TABLES
from keyart.selection.asked import Asked, suits, worded
from keyart.selection.casting import Shown, shown_cast
from keyart.selection.closer import Closer
from keyart.selection.crops import crops
from keyart.selection.editing import Pick, edit_title
from keyart.selection.fitness import read_rules
from keyart.selection.ranking import Candidates
from keyart.selection.shortlist import shortlist
from keyart.selection.variants_spark import varied_artworks
from keyart.session import of_few_rows
from keyart.settings import SelectSettings
from keyart.tables import Tables
from keyart.vision.faces import Face, FaceModel, build_detector
from keyart.vision.features import FEATURE_NAMES, FEATURE_VERSION, glance, look
from keyart.vision.picture import decode

__all__ = ["Selected", "select_artwork"]

IMAGES_PER_TASK = 16
"""About a second of first looks, several of closer ones: few enough that one film's candidates keep all cores busy."""
BATCH_BYTES = 16 << 20
"""Encoded images reach Python so many bytes at a time."""
MOST_TASKS = 4096

CANDIDATES, ARTWORKS = TABLES["candidates"].schema, TABLES["artworks"].schema
IMAGE_COLUMNS = TABLES["images"].schema.names
WRITTEN = (
    "features", "feature_version", "faces", "face_details", "sightings", "looked_with", "score", "verdict",
)  # fmt: skip
"""Columns of candidates that this job sets."""

# What the first pass hands to the second beside the candidate itself.
LOOKED = StructType(
    [
        *CANDIDATES,
        StructField("hash", LongType(), True),  # the 64 bits as a signed number; null where the image cannot be read
        StructField("crops", ARTWORKS["crops"].dataType, True),
        StructField("fresh", BooleanType(), False),  # features were computed in this run
        StructField("finalist", BooleanType(), False),  # may still win: expensive detectors look at it
        StructField("failure", StringType(), True),  # why the image cannot be looked at
    ]
)
EDITED = StructType(
    [
        *CANDIDATES,
        StructField("fresh", BooleanType(), False),
        StructField("changed", BooleanType(), False),  # the row differs from what the table holds
        StructField("artwork", ARTWORKS, True),  # null where the candidate was not chosen
    ]
)


@dataclass(frozen=True)
class Selected:
    """What a run did; ``empty`` names titles that have a scanned film but no candidate."""

    titles: int
    candidates: int
    computed: int
    artworks: int
    variants: int
    unreadable: int
    retired: int
    empty: list[str]


def select_artwork(
    tables: Tables, settings: SelectSettings, model: FaceModel, closer: Closer | None = None
) -> Selected:
    """Look at the candidates of the current scans, choose artworks per title and write both tables.

    Run twice it writes nothing: features that are there are kept, choices follow from them alone.
    """
    with of_few_rows(tables.spark, BATCH_BYTES):
        return _select(tables, settings, model, closer or Closer())


def _select(tables: Tables, settings: SelectSettings, model: FaceModel, closer: Closer) -> Selected:
    current = current_candidates(tables)
    total = current.count()
    tasks = min(MOST_TASKS, max(1, -(-total // IMAGES_PER_TASK)))
    looked = current.transform(with_images, tables.read_or_empty("images"), tasks).mapInArrow(looker(model), LOOKED)
    if closer.expensive:  # the first look is read twice then
        looked = looked.groupBy("title_id").applyInArrow(shortlister(settings, closer), LOOKED).persist()
    edited = (
        looked.transform(look_closer, tables, closer, tasks)
        .transform(with_drawn, tables)
        .groupBy("title_id")
        .applyInArrow(editor(settings, ratings_of(tables), asked_of(tables)), EDITED)
        .persist()
    )
    made: DataFrame | None = None
    beside = ThreadPoolExecutor(1)  # the two tables wait for little but their logs
    try:
        (counts,) = edited.agg(
            F.countDistinct("title_id").alias("titles"),
            F.count_if("fresh").alias("computed"),
            F.count_if("changed").alias("changed"),
            F.count("artwork").alias("artworks"),
            F.count_if(F.col("features").isNull()).alias("unreadable"),
        ).collect()
        written: Future[None] | None = None
        # What did not change is not written: a new version of a table makes all that reads it run again.
        if counts["changed"]:
            changed = edited.where("changed").select(*CANDIDATES.names)
            written = beside.submit(tables.merge, "candidates", changed, columns=WRITTEN)
        chosen = edited.where("artwork IS NOT NULL").select("artwork.*")
        variants = 0
        if settings.variants:
            made = varied_artworks(tables, chosen, settings).persist()
            variants = made.count()
            chosen = chosen.unionByName(_with_pictures(tables, made))
        retired = _write_artworks(tables, chosen)
        empty = titles_without_candidates(tables, edited)
        if written:
            written.result()
    finally:
        beside.shutdown()
        for frame in (edited, looked, made):
            if frame is not None:
                frame.unpersist()
    return Selected(
        titles=int(counts["titles"]),
        candidates=total,
        computed=int(counts["computed"]),
        artworks=int(counts["artworks"]),
        variants=variants,
        unreadable=int(counts["unreadable"]),
        retired=retired,
        empty=empty,
    )


def _with_pictures(tables: Tables, made: DataFrame) -> DataFrame:
    """The artworks rows of variants, whose pictures are written first."""
    pictures = made.select(*IMAGE_COLUMNS).dropDuplicates(["image_hash"])
    new = pictures.join(tables.read("images").select("image_hash"), on="image_hash", how="left_anti")
    if not new.isEmpty():
        tables.merge("images", new, update=False)
    return made.select(*ARTWORKS.names).dropDuplicates(["artwork_id"])


def _write_artworks(tables: Tables, chosen: DataFrame) -> int:
    """Merge the chosen artworks and set inactive what they replace; returns how many were."""
    if not tables.exists("artworks"):
        tables.merge("artworks", chosen)
        return 0
    before = tables.read("artworks")
    news = chosen.unionByName(before.transform(no_longer_chosen, chosen)).subtract(before).persist()
    try:
        (counts,) = news.agg(F.count("*").alias("rows"), F.count_if(~F.col("active")).alias("retired")).collect()
        if counts["rows"]:
            tables.merge("artworks", news)
    finally:
        news.unpersist()
    return int(counts["retired"])


def current_candidates(tables: Tables) -> DataFrame:
    """Candidates of the scans that are visible, those videos.current_scan_id names, and pictures that are no film's."""
    candidates = tables.read_or_empty("candidates")
    visible = tables.read_or_empty("videos").select("video_id", F.col("current_scan_id").alias("scan_id"))
    return (
        candidates.join(visible, on=["video_id", "scan_id"], how="left_semi")
        .select(*CANDIDATES.names)
        .unionByName(candidates.where(F.col("scan_id").isin(IMAGES, UPLOADS)))
    )


def titles_without_candidates(tables: Tables, candidates: DataFrame) -> list[str]:
    """Titles that have a scanned film and yet no candidate, in order."""
    scanned = tables.read_or_empty("videos").where("current_scan_id IS NOT NULL").select("title_id").dropDuplicates()
    bare = scanned.join(candidates.select("title_id"), on="title_id", how="left_anti").orderBy("title_id")
    return [row["title_id"] for row in bare.collect()]


def with_images(candidates: DataFrame, images: DataFrame, tasks: int) -> DataFrame:
    """Candidates with the bytes of their image (null where there is none), spread over ``tasks`` partitions."""
    content = images.select("image_hash", "content").repartition(tasks, "image_hash")
    return (
        candidates.repartition(tasks, "image_hash")
        .join(content, on="image_hash", how="left")
        .select(*CANDIDATES.names, "content")
    )


def no_longer_chosen(artworks: DataFrame, chosen: DataFrame) -> DataFrame:
    """Active artworks of the titles in ``chosen`` that are not among them, set inactive.

    A title for which nothing was chosen keeps what it has.
    """
    return (
        artworks.where("active")
        .join(chosen.select("title_id").dropDuplicates(), on="title_id", how="left_semi")
        .join(chosen.select("artwork_id"), on="artwork_id", how="left_anti")
        .withColumn("active", F.lit(False))
        .select(*ARTWORKS.names)
    )


def looker(model: FaceModel) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The first pass: decode each image, compute features where they are missing or of another version."""

    def look_at(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        cv2.setNumThreads(1)  # tasks are the parallelism; more threads only get in each other's way
        for batch in batches:
            content = batch.column("content")
            rows = batch.drop_columns(["content"]).to_pylist()
            looked = [_looked(row, content[i].as_py(), model) for i, row in enumerate(rows)]
            yield pa.RecordBatch.from_pylist(looked, schema=to_arrow_schema(LOOKED))

    return look_at


def _looked(row: dict, content: bytes | None, model: FaceModel) -> dict:
    bgr = decode(content) if content else None
    if bgr is None:
        failure = "image missing" if content is None else "image cannot be read"
        nothing = dict.fromkeys(
            ("features", "feature_version", "faces", "face_details", "looked_with", "hash", "crops")
        )
        return row | nothing | {"fresh": False, "finalist": False, "failure": failure}
    fresh = row["features"] is None or row["face_details"] is None or row["feature_version"] != FEATURE_VERSION
    if fresh:
        seen = look(bgr, row["camera_motion"], row["subject_motion"], build_detector(model))
        row["features"], row["feature_version"] = seen.features.tolist(), FEATURE_VERSION
        row["faces"] = [asdict(face) for face in seen.faces]
        row["face_details"] = [asdict(one) | {"cluster": None, "embedding": []} for one in seen.expressions]
        row["sightings"], row["looked_with"] = [], model.kind
    else:
        seen = glance(bgr, [Face(**face) for face in row["faces"]])
    cut = crops(seen.attention, seen.window, seen.faces, bgr.shape[1], bgr.shape[0])
    signed = int(np.uint64(seen.hash).view(np.int64))
    return row | {
        "hash": signed,
        "crops": [asdict(crop) for crop in cut],
        "fresh": fresh,
        "finalist": False,
        "failure": None,
    }


def look_closer(marked: DataFrame, tables: Tables, closer: Closer, tasks: int) -> DataFrame:
    """Rows as they are, but for the finalists that these detectors have not seen: looked at closely."""
    if not closer.expensive:
        return marked
    images = tables.read("images").select("image_hash", "content")
    finalists = marked.where("finalist").repartition(tasks, "image_hash").join(images, on="image_hash", how="inner")
    seen = finalists.select(*LOOKED.names, "content").mapInArrow(closely(closer), LOOKED)
    return marked.where("NOT finalist").unionByName(seen)


def with_drawn(looked: DataFrame, tables: Tables) -> DataFrame:
    """Rows with ``drawn``: what viewers did in the candidate's shot makes of its score; 1 where nothing is known."""
    if not tables.exists("moments"):
        return looked.withColumn("drawn", F.lit(1.0))
    of_title = tables.read("videos").select("video_id", F.col("current_scan_id").alias("scan_id"), "title_id")
    shots = tables.read("shots").join(of_title, on=["video_id", "scan_id"], how="inner")
    found = drawn_to(shots, tables.read("moments"))
    known = looked.join(found, on=["scan_id", "video_id", "shot_id"], how="left")
    return known.select(*LOOKED.names, F.coalesce("drawn", F.lit(1.0)).alias("drawn"))


def shortlister(settings: SelectSettings, closer: Closer) -> Callable[[pa.Table], pa.Table]:
    """Mark a title's candidates that may still win and that ``closer`` has not looked at."""

    def mark(table: pa.Table) -> pa.Table:
        rows = sorted(table.to_pylist(), key=lambda row: (row["video_id"], row["pts"]))
        read = [row for row in rows if row["failure"] is None]
        for index in shortlist(_candidates(read), settings.artworks_per_title, settings.spoiler_share):
            read[index]["finalist"] = not closer.has_seen(read[index]["looked_with"])
        return pa.Table.from_pylist(rows, schema=to_arrow_schema(LOOKED))

    return mark


def closely(closer: Closer) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The expensive pass over the finalists' images."""

    def look_at(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        cv2.setNumThreads(1)
        for batch in batches:
            content = batch.column("content")
            rows = batch.drop_columns(["content"]).to_pylist()
            seen = [closer.look(row, content[i].as_py()) for i, row in enumerate(rows)]
            yield pa.RecordBatch.from_pylist(seen, schema=to_arrow_schema(LOOKED))

    return look_at


def ratings_of(tables: Tables) -> dict[str, str | None]:
    """Maturity rating by title, for policy: catalogue-sized."""
    rated = tables.read_or_empty("titles").where("maturity_rating IS NOT NULL")
    return {row["title_id"]: row["maturity_rating"] for row in rated.select("title_id", "maturity_rating").collect()}


def asked_of(tables: Tables) -> dict[str, list[Asked]]:
    """What editors ask for, by title: as many rows as people wrote."""
    asked: dict[str, list[Asked]] = {}
    for row in tables.read_or_empty("editor_overrides").collect():
        always = not row["regions"] and row["from_date"] is None and row["until_date"] is None
        said = Asked(row["action"], row["artwork_id"], row["rating"], always)
        asked.setdefault(row["title_id"], []).append(said)
    return asked


def editor(
    settings: SelectSettings, ratings: Mapping[str, str | None], asked: Mapping[str, list[Asked]]
) -> Callable[[pa.Table], pa.Table]:
    """The second pass: all candidates of one title in, their scores and verdicts and the title's artworks out."""

    rules = read_rules(settings.policy)

    def edit(table: pa.Table) -> pa.Table:
        rows = sorted(table.to_pylist(), key=lambda row: (row["video_id"], row["pts"]))
        rating = ratings.get(rows[0]["title_id"]) if rows else None
        wishes = suits(asked.get(rows[0]["title_id"], ()) if rows else (), rating)
        for row in rows:
            row["failure"] = row["failure"] or wishes.against(
                row["scan_id"], artwork_id_of(row["title_id"], row["image_hash"])
            )
        read = [row for row in rows if row["failure"] is None]
        shown = shown_cast([row["face_details"] for row in read], np.array([row["shot_share"] for row in read], float))
        done = edit_title(
            replace(_candidates(read), cast_factor=shown.factor, drawn=np.array([row["drawn"] for row in read], float)),
            [len(row["faces"]) for row in read],
            settings.artworks_per_title,
            settings.diversity,
            settings.spoiler_share,
            rules,
            rating,
            [[seen["label"] for seen in row["sightings"] or ()] for row in read],
            [i for i, row in enumerate(read) if wishes.wants(artwork_id_of(row["title_id"], row["image_hash"]))],
        )
        news: list[dict] = [
            {"score": float(score), "verdict": worded(verdict, row["scan_id"])}
            for row, score, verdict in zip(read, done.score, done.verdicts, strict=True)
        ]
        for pick in done.picks:
            news[pick.index]["artwork"] = _artwork(read[pick.index], float(done.score[pick.index]), pick, shown)
        news += [{"score": None, "verdict": row["failure"]} for row in rows if row["failure"] is not None]
        read += [row for row in rows if row["failure"] is not None]
        edited = [
            row | new | {"changed": row["fresh"] or (row["score"], row["verdict"]) != (new["score"], new["verdict"])}
            for row, new in zip(read, news, strict=True)
        ]
        return pa.Table.from_pylist(edited, schema=to_arrow_schema(EDITED))

    return edit


def _candidates(rows: list[dict]) -> Candidates:
    def numbers(name: str) -> np.ndarray:
        return np.array([row[name] for row in rows], float)

    shots: dict[tuple[str, int], int] = {}
    return Candidates(
        features=np.array([row["features"] for row in rows], float).reshape(-1, len(FEATURE_NAMES)),
        hashes=np.array([row["hash"] for row in rows], np.int64).view(np.uint64),
        seconds=numbers("seconds"),
        shot_share=numbers("shot_share"),
        position=numbers("position"),
        quality=numbers("quality"),
        shot=np.array([shots.setdefault((row["video_id"], row["shot_id"]), len(shots)) for row in rows], np.int64),
    )


def _artwork(row: dict, score: float, pick: Pick, shown: Shown) -> dict:
    """The artworks row of a chosen candidate; its id depends on title and picture alone, so that a re-scan keeps it."""
    same = ("title_id", "video_id", "scan_id", "pts", "seconds", "shot_id", "image_hash")
    kept = ("features", "feature_version", "faces", "crops", "sightings")
    people = shown.people[pick.index]
    details = zip(row["face_details"], shown.clusters[pick.index], strict=True)
    of_no_film = dict.fromkeys(same[1:6]) if row["scan_id"] in (IMAGES, UPLOADS) else {}
    known = {name: row[name] for name in (*same, *kept)} | of_no_film
    return known | {
        "artwork_id": artwork_id_of(row["title_id"], row["image_hash"]),
        "parent_artwork_id": None,
        "variant": "upload" if row["scan_id"] == UPLOADS else "original",
        "excluded_regions": list(pick.excluded_regions),
        "cast_clusters": people,
        "cast_prominence": [float(shown.prominence[person]) for person in people],
        "face_details": [one | {"embedding": [], "cluster": who} for one, who in details],
        "shot_type": pick.shot_type,
        "moods": pick.moods,
        "flags": pick.flags,
        "score": score,
        "rank": pick.rank,
        "reason": worded(pick.reason, row["scan_id"]),
        "active": True,
        "only_regions": None,
    }
