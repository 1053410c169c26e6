"""Taste over Spark: ALS by one pass an iteration over persisted blocks, every member folded in as of two days."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date

import numpy as np
import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame

from keyart.errors import ModelError
from keyart.feedback.windows import Windows
from keyart.learning import als
from keyart.learning.blocks import Arrays
from keyart.learning.blocks_spark import each_block, read_blocks, sum_over
from keyart.learning.engagement_spark import Catalogue
from keyart.learning.members import member_names
from keyart.learning.predict import taste_scores
from keyart.learning.taste import TasteModel, fold_in, half, moments, population, trained_on
from keyart.settings import Settings, TasteSettings
from keyart.tables import Tables
from keyart.tracking import ModelArrays, Tracking

__all__ = ["Learned", "learn", "register_taste", "taste_rows"]


@dataclass(frozen=True)
class Learned:
    """A taste model, its version, and how it came about."""

    model: TasteModel
    scale: np.ndarray  # (K,) standard deviations of members' vectors
    version: str
    members: int
    pairs: int
    objectives: list[float]  # after each iteration's title half


def learn(blocks: DataFrame, catalogue: Catalogue, windows: Windows, held_out: int, settings: TasteSettings) -> Learned:
    """Title factors and the population's moments from persisted blocks. ModelError where nobody engaged before t0."""
    seen = sum_over(blocks, lambda block: population(block, catalogue.shares, held_out))
    if not seen["pairs"]:
        raise ModelError(
            f"no member played anything before {windows.t0}: train-taste needs history; set a later time.t0 or ingest "
            "older logs"
        )
    engaged = seen["genres"]
    model = TasteModel(
        titles=als.first_titles(len(catalogue.title_ids), settings.rank, settings.seed),
        genres=catalogue.shares,
        prior=engaged / engaged.sum() if engaged.sum() else np.full(len(engaged), 1 / max(len(engaged), 1)),
        mean=np.zeros(settings.rank + len(catalogue.genres)),
        l2=settings.regularisation,
        alpha=settings.alpha,
        search_weight=settings.search_weight,
        prior_strength=settings.prior_strength,
        held_out=held_out,
    )
    titles, objectives = SOLVERS[settings.solver](blocks, model, settings)
    model = model.with_titles(titles)
    found = sum_over(blocks, lambda block: moments(block, model))
    mean = found["sum"] / found["n"]
    spread = np.sqrt(np.maximum(found["squares"] / found["n"] - mean**2, 0))
    version = _version(catalogue, windows, held_out, settings, int(seen["mark"][0]), int(seen["pairs"]))
    return Learned(
        model=replace(model, mean=mean),
        scale=np.where(spread > 1e-9, spread, 1.0),
        version=version,
        members=int(seen["members"]),
        pairs=int(seen["pairs"]),
        objectives=objectives,
    )


def _broadcast(blocks: DataFrame, model: TasteModel, settings: TasteSettings) -> tuple[np.ndarray, list[float]]:
    objectives = []
    for _ in range(settings.iterations):
        found = sum_over(blocks, lambda block, model=model: half(block, model))  # type: ignore[misc]
        sums = als.TitleSums(**found)
        model = model.with_titles(als.solve_titles(sums, model.l2))
        objectives.append(als.objective(sums, model.titles, model.l2))
    return model.titles, objectives


def _mllib(blocks: DataFrame, model: TasteModel, settings: TasteSettings) -> tuple[np.ndarray, list[float]]:
    """Spark's own ALS on the same pairs, as a reference.

    Its regularisation is multiplied by each row's number of ratings, so that factors differ in scale from ours, and
    over Spark Connect it needs a server that offers MLlib.
    """
    from pyspark.ml.recommendation import ALS

    held_out, width, rank = model.held_out, len(model.titles), model.titles.shape[1]

    def pairs(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        # MLlib wants integers; a task's members are numbered within 2^31 / (tasks <= 2048).
        context = TaskContext.get()
        start = (context.partitionId() if context else 0) << 20
        for _, block in read_blocks(batches):
            quality = trained_on(block, width, held_out).tocoo()
            yield pa.RecordBatch.from_pydict(
                {
                    "member": pa.array(quality.row + start, pa.int32()),
                    "title": pa.array(quality.col, pa.int32()),
                    "quality": pa.array(quality.data, pa.float32()),
                }
            )
            start += quality.shape[0]

    fitted = ALS(
        rank=rank,
        maxIter=settings.iterations,
        regParam=settings.regularisation,
        alpha=settings.alpha,
        implicitPrefs=True,
        userCol="member",
        itemCol="title",
        ratingCol="quality",
        seed=settings.seed,
    ).fit(blocks.mapInArrow(pairs, "member int, title int, quality float"))
    titles = np.zeros((width, rank))
    for row in fitted.itemFactors.collect():
        titles[row["id"]] = row["features"]
    return titles, []


Solver = Callable[[DataFrame, TasteModel, TasteSettings], tuple[np.ndarray, list[float]]]
SOLVERS: Mapping[str, Solver] = {"broadcast": _broadcast, "mllib": _mllib}


def taste_rows(blocks: DataFrame, learned: Learned, windows: Windows) -> DataFrame:
    """Rows of ``taste``: every member of the logs as of t0 (who was there by then) and as of t1."""
    model, version = learned.model, learned.version
    days = {"early": windows.t0, "late": windows.t1}

    def fold(block: Arrays) -> Iterator[pa.RecordBatch]:
        for as_of, day in days.items():
            yield _taste_batch(block, model, as_of, day, version)

    schema = (
        "user_key string, user_bucket int, as_of date, taste_version string, factors array<float>, "
        "genre_mix array<float>, history int, region string, kids boolean"
    )
    return each_block(blocks, schema, fold)


def _taste_batch(block: Arrays, model: TasteModel, as_of: str, day: date, version: str) -> pa.RecordBatch:
    folded = fold_in(block, model, as_of)
    keep = block["present"] if as_of == "early" else np.ones(len(block["user_key"]), dtype=bool)
    regions = [name.decode() or None for name in block[f"region_{as_of}"][keep].tolist()]
    n = int(keep.sum())
    return pa.RecordBatch.from_pydict(
        {
            "user_key": pa.array([key.decode() for key in block["user_key"][keep].tolist()], pa.string()),
            "user_bucket": pa.array(block["user_bucket"][keep].astype(np.int32)),
            "as_of": pa.array([day] * n, pa.date32()),
            "taste_version": pa.array([version] * n, pa.string()),
            "factors": _lists(folded.factors[keep]),
            "genre_mix": _lists(folded.mix[keep]),
            "history": pa.array(folded.history[keep].astype(np.int32)),
            "region": pa.array(regions, pa.string()),
            "kids": pa.array(block["kids"][keep]),
        }
    )


def _lists(rows: np.ndarray) -> pa.ListArray:
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows.astype(np.float32).ravel()))


def _version(
    catalogue: Catalogue, windows: Windows, held_out: int, settings: TasteSettings, mark: int, pairs: int
) -> str:
    """Names the title factors by all they depend on: settings, catalogue and the engagement itself."""
    said = [asdict(settings), windows.t0.isoformat(), held_out, catalogue.title_ids, catalogue.genres, mark, pairs]
    said.append(catalogue.shares.round(6).tolist())
    return hashlib.blake2b(json.dumps(said).encode(), digest_size=8).hexdigest()


def register_taste(tables: Tables, learned: Learned, catalogue: Catalogue, windows: Windows, settings: Settings) -> str:
    """Log the run and register the model "taste"; returns its version."""
    tracking, model = Tracking(settings.tracking, settings.tables), learned.model
    about = {
        "title_ids": catalogue.title_ids,
        "genres": catalogue.genres,
        "rank": settings.taste.rank,
        "taste_version": learned.version,
        "alpha": settings.taste.alpha,
        "regularisation": settings.taste.regularisation,
        "member_names": member_names(settings.taste.rank, catalogue.genres),
    }
    arrays = {
        "titles": model.titles,
        "genre_shares": model.genres,
        "genre_prior": model.prior,
        "member_mean": model.mean,
        "member_scale": learned.scale,
    }
    inputs = {f"{table}_version": tables.version(table) for table in ("events", "titles", "videos", "decisions")}
    parameters = (
        asdict(settings.taste) | inputs | {"t0": windows.t0, "t1": windows.t1, "taste_version": learned.version}
    )
    with tracking.run("train-taste", parameters):
        for step, value in enumerate(learned.objectives):
            tracking.metrics({"objective": value}, step=step)
        tracking.metrics({"members": learned.members, "engagements": learned.pairs})
        example = np.zeros((1, settings.taste.rank))
        return tracking.register("taste", ModelArrays("als", arrays, about), example, taste_scores(arrays, example))
