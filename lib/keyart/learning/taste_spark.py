"""Taste over Spark: title factors from persisted blocks, every member folded in as of two days."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from keyart.errors import ModelError
from keyart.feedback.windows import Windows
from keyart.learning.als import Ridge, first_titles
from keyart.learning.als_spark import SOLVERS
from keyart.learning.blocks import Arrays
from keyart.learning.blocks_spark import each_block, sum_over
from keyart.learning.checkpoints import Checkpoints, Progress
from keyart.learning.engagement_spark import Catalogue
from keyart.learning.members import member_names
from keyart.learning.predict import taste_scores
from keyart.learning.taste import TasteModel, fold_in, moments, population
from keyart.settings import Settings, TasteSettings
from keyart.tables import Tables
from keyart.tracking import ModelArrays, Tracking

__all__ = ["Learned", "learn", "register_taste", "registered_taste", "taste_of", "taste_rows"]

APART = ("checkpoints", "fold_in_only")
"""Settings on which title factors do not depend."""


@dataclass(frozen=True)
class Learned:
    """A taste model, its version, and how it came about."""

    model: TasteModel
    catalogue: Catalogue
    scale: np.ndarray  # (K,) standard deviations of members' vectors
    version: str
    members: int
    pairs: int
    objectives: Sequence[float]  # after each iteration; none of a model that was there

    def __str__(self) -> str:
        titles, said = len(self.catalogue.title_ids), f"vectors {self.version}"
        if not self.objectives:
            return f"every member folded in with {titles} titles, {said}"
        return f"{self.members:,} members, {self.pairs:,} engagements with {titles} titles, {said}"


def learn(
    blocks: DataFrame,
    catalogue: Catalogue,
    windows: Windows,
    held_out: int,
    settings: TasteSettings,
    folder: str | None = None,
) -> Learned:
    """Title factors and the population's moments from persisted blocks. ModelError where nobody engaged before t0.

    ``folder`` is one that all machines see ("": the temporary one), None where there is none.
    Factors kept of a training on the same data with the same settings are gone on from.
    """
    seen = sum_over(blocks, lambda block: population(block, catalogue.shares, held_out))
    if not seen["members"]:
        raise ModelError(
            f"no member played anything before {windows.t0}: train-taste needs history; set a later time.t0 or ingest "
            "older logs"
        )
    engaged, pairs = seen["genres"], int(seen["engagements"].sum())
    model = TasteModel(
        titles=first_titles(len(catalogue.title_ids), settings.rank, settings.seed),
        genres=catalogue.shares,
        prior=engaged / engaged.sum() if engaged.sum() else np.full(len(engaged), 1 / max(len(engaged), 1)),
        mean=np.zeros(settings.rank + len(catalogue.genres)),
        ridge=Ridge(settings.regularisation, settings.regularisation_scaling),
        engagements=seen["engagements"],
        alpha=settings.alpha,
        search_weight=settings.search_weight,
        prior_strength=settings.prior_strength,
        held_out=held_out,
    )
    version = _version(catalogue, windows, held_out, settings, int(seen["mark"][0]), pairs)
    checkpoints = Checkpoints(settings.checkpoints, version)
    progress = checkpoints.load(Progress(model.titles))
    for progress in SOLVERS[settings.solver](blocks, model, progress, settings, folder):  # noqa: B020
        checkpoints.save(progress)
    model = model.with_titles(progress.titles)
    found = sum_over(blocks, lambda block: moments(block, model))
    mean = found["sum"] / found["n"]
    spread = np.sqrt(np.maximum(found["squares"] / found["n"] - mean**2, 0))
    return Learned(
        model=replace(model, mean=mean),
        catalogue=catalogue,
        scale=np.where(spread > 1e-9, spread, 1.0),
        version=version,
        members=int(seen["members"]),
        pairs=pairs,
        objectives=progress.objectives,
    )


def taste_rows(blocks: DataFrame, learned: Learned, days: Mapping[str, date]) -> DataFrame:
    """Rows of ``taste``: the blocks' members as of the days that "early" (who was there by then) and "late" are."""
    model, version = learned.model, learned.version

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
    chosen = {name: value for name, value in asdict(settings).items() if name not in APART}
    said = [chosen, windows.t0.isoformat(), held_out, catalogue.title_ids, catalogue.genres, mark, pairs]
    said.append(catalogue.shares.round(6).tolist())
    return hashlib.blake2b(json.dumps(said).encode(), digest_size=8).hexdigest()


def register_taste(tables: Tables, learned: Learned, windows: Windows, settings: Settings) -> str:
    """Log the run and register the model "taste"; returns its version. What was kept on the way is forgotten."""
    tracking, model, catalogue = Tracking(settings.tracking, settings.tables), learned.model, learned.catalogue
    about = {
        "title_ids": catalogue.title_ids,
        "genres": catalogue.genres,
        "rank": settings.taste.rank,
        "taste_version": learned.version,
        "alpha": settings.taste.alpha,
        "regularisation": settings.taste.regularisation,
        "regularisation_scaling": settings.taste.regularisation_scaling,
        "search_weight": settings.taste.search_weight,
        "prior_strength": settings.taste.prior_strength,
        "member_names": member_names(settings.taste.rank, catalogue.genres),
    }
    arrays = {
        "titles": model.titles,
        "engagements": model.engagements,
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
        version = tracking.register("taste", ModelArrays("als", arrays, about), example, taste_scores(arrays, example))
    Checkpoints(settings.taste.checkpoints, learned.version).clear()
    return version


def registered_taste(catalogue: Catalogue, settings: Settings) -> Learned:
    """``taste_of`` the model that was trained last."""
    return taste_of(Tracking(settings.tracking, settings.tables).load("taste").model, catalogue)


def taste_of(found: ModelArrays, catalogue: Catalogue) -> Learned:
    """A registered model, to fold members in with: its titles in their order, then those of ``catalogue`` it lacks.

    Titles that are new have no factor: they count in a member's genres and history and leave the factors alone. Titles
    that are gone keep theirs, since what members watched still says what they like. ModelError where the model is one
    of before this was kept with it.
    """
    arrays, about = found.arrays, found.about
    try:
        known, genres = list(about["title_ids"]), list(about["genres"])  # type: ignore[call-overload]
        l2, scaling = float(about["regularisation"]), float(about["regularisation_scaling"])  # type: ignore[arg-type]
        engagements, version = np.asarray(arrays["engagements"]), str(about["taste_version"])
        chosen = {name: float(about[name]) for name in ("alpha", "search_weight", "prior_strength")}  # type: ignore[arg-type]
    except KeyError as error:
        raise ModelError(f"the taste model says nothing of {error}: run train-taste without fold_in_only") from error
    fresh = [i for i, title in enumerate(catalogue.title_ids) if title not in set(known)]
    shares = np.zeros((len(fresh), len(genres)))
    for column, genre in enumerate(genres):
        if genre in catalogue.genres:
            shares[:, column] = catalogue.shares[fresh, catalogue.genres.index(genre)]
    extended = Catalogue(
        known + [catalogue.title_ids[i] for i in fresh], genres, np.vstack([arrays["genre_shares"], shares])
    )
    model = TasteModel(
        titles=np.vstack([arrays["titles"], np.zeros((len(fresh), arrays["titles"].shape[1]))]),
        genres=extended.shares,
        prior=np.asarray(arrays["genre_prior"]),
        mean=np.asarray(arrays["member_mean"]),
        ridge=Ridge(l2, scaling),
        engagements=np.concatenate([engagements, np.zeros(len(fresh), dtype=engagements.dtype)]),
        held_out=0,
        **chosen,
    )
    return Learned(model, extended, np.asarray(arrays["member_scale"]), version, 0, int(engagements.sum()), ())
