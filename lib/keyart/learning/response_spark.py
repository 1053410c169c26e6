"""The response over Spark: offset, region level and member level, each by passes over the same persisted blocks."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta

import numpy as np
from pyspark.sql import DataFrame
from threadpoolctl import threadpool_limits

from keyart.errors import ConfigError, ModelError
from keyart.feedback.windows import Windows
from keyart.learning.blocks import Arrays
from keyart.learning.blocks_spark import sum_over
from keyart.learning.coordinates import Coordinates, artwork_coordinates, by_title
from keyart.learning.decisions_spark import Artworks, Counts
from keyart.learning.fit import Cells, cells_of, quality_effects, response_arrays
from keyart.learning.members_spark import MemberLevel
from keyart.learning.offset import Offset, newton_step, smoothed_rates
from keyart.learning.predict import response_scores
from keyart.learning.response import COVARIATES, Base, covariate_moments, offset_pass
from keyart.learning.shrinkage import Posterior, rate_effects
from keyart.settings import ResponseSettings, Settings
from keyart.tables import Tables
from keyart.tracking import LoadedModel, ModelArrays, Tracking
from keyart.vision.features import FEATURE_NAMES, FEATURE_VERSION

__all__ = ["Fitted", "check_enough", "fit_response", "register_response", "taste_model", "validation_day"]

log = logging.getLogger(__name__)

SMALLEST_TAKES = 50
VALIDATION_SHARE = 0.25
"""Last share of the response days that chooses the strength of shrinkage."""
TOLERANCE = 0.01
"""In log odds: the offset is good enough when Newton's method would move no parameter further."""


def validation_day(windows: Windows) -> date:
    """First day of the later slice."""
    days = (windows.t1 - windows.t0).days
    return windows.t1 - timedelta(days=max(1, round(VALIDATION_SHARE * days)) if days > 1 else 0)


def taste_model(tables: Tables, windows: Windows, settings: Settings) -> tuple[LoadedModel, DataFrame]:
    """The taste model and its vectors as of t0. ModelError where train-taste has not run for these days."""
    try:
        taste = Tracking(settings.tracking, settings.tables).load("taste")
    except ModelError as error:
        raise ModelError("there is no taste model; run train-taste first") from error
    version = str(taste.model.about["taste_version"])
    rows = tables.read("taste").where(f"as_of = DATE'{windows.t0}' AND taste_version = '{version}'")
    if rows.isEmpty():
        raise ModelError(f"table taste has no vectors of version {version} as of {windows.t0}; run train-taste first")
    return taste, rows


def check_enough(counts: Counts, windows: Windows) -> None:
    """ModelError where there is too little to learn from."""
    takes = int(counts.takes.sum())
    if takes < SMALLEST_TAKES:
        raise ModelError(
            f"{takes} takes in {int(counts.n.sum())} decisions from {windows.t0} to {windows.t1}, and train-response "
            f"needs {SMALLEST_TAKES}: ingest more logs or widen time.t0 and time.t1"
        )


@dataclass
class Fitted:
    """The model's arrays and what is known about the fit."""

    arrays: Arrays
    cells: Cells
    coordinates: Coordinates
    metrics: dict[str, float] = field(default_factory=dict)
    slopes: dict[str, float] = field(default_factory=dict)


# Hundreds of small factorisations: beside Spark's tasks, BLAS threads that wait for each other take 100 times as long.
@threadpool_limits.wrap(limits=1)
def fit_response(
    blocks: DataFrame,
    artworks: Artworks,
    counts: Counts,
    taste: Mapping[str, np.ndarray],
    parents: Mapping[str, str],
    settings: ResponseSettings,
) -> Fitted:
    """Fit offset, region level and member level on persisted blocks of decisions. ConfigError without strengths."""
    if not settings.l2:
        raise ConfigError("response.l2 is empty: name at least one strength")
    coordinates = artwork_coordinates(artworks.vectors, artworks.title_index, settings.artwork_dimensions)
    cells, title_index = cells_of(counts.regions, parents), artworks.title_index
    base, sums = _fit_offset(blocks, counts, title_index, settings.iterations)
    slices = {"early": sums["cells"][0], "all": sums["cells"].sum(axis=0)}
    taken = {name: _region_effects(cells, cell, coordinates) for name, cell in slices.items()}
    effects = {name: found.mean[cells.observed] for name, found in taken.items()}

    level = MemberLevel(blocks, base, coordinates.features, len(np.asarray(taste["member_mean"])))
    strength, weights, metrics = level.choose(effects["early"], settings.l2)
    if strength is not None:
        weights = level.refine(effects["all"], weights, strength, settings.iterations)
    liked = quality_effects(cells, counts.takes, counts.quality, counts.quality_squares, coordinates, title_index)
    rate = counts.takes.sum() / counts.n.sum()
    arrays = response_arrays(
        cells, coordinates, title_index, artworks.active, taken["all"], liked, weights, rate, vars(counts), taste
    )
    metrics |= {
        "decisions": counts.n.sum(),
        "takes": counts.takes.sum(),
        "take_rate": rate,
        "log_loss_offset": sums["loss"] / counts.n.sum(),
    }
    for name, found in (("take", taken["all"]), ("quality", liked)):
        for place, where in enumerate(("global", "parent", "region")):
            metrics[f"{name}_sd_features_{where}"] = np.sqrt(found.variances.feature[place])
            metrics[f"{name}_sd_artworks_{where}"] = np.sqrt(found.variances.artwork[place])
    slopes = dict(zip(COVARIATES, base.offset.slopes.tolist(), strict=True))
    return Fitted(arrays, cells, coordinates, {key: float(value) for key, value in metrics.items()}, slopes)


def _fit_offset(blocks: DataFrame, counts: Counts, title_index: np.ndarray, iterations: int) -> tuple[Base, Arrays]:
    """The offset by Newton's method, and the sums of its last pass, which hold the cells under it."""
    regions = len(counts.regions)
    rates, of_title = smoothed_rates(by_title(counts.n.T, title_index), by_title(counts.takes.T, title_index))
    found = sum_over(blocks, covariate_moments)
    n = np.maximum(found["n"], 1)
    mean = found["sum"] / n
    scale = np.sqrt(np.maximum(found["squares"] / n - mean**2, 0))
    scale = np.where(scale > 1e-6, scale, np.inf)  # what never differs explains nothing
    prior = np.repeat(_log_odds(of_title), regions)
    offset = Offset(_log_odds(rates).ravel(), np.zeros(len(mean)), prior)
    for step in range(iterations):
        base = Base(offset, mean, scale, regions, len(title_index))
        sums = sum_over(blocks, lambda block, base=base: offset_pass(block, base))  # type: ignore[misc]
        following = newton_step(offset, sums)
        moved = max(
            np.abs(following.intercepts - offset.intercepts).max(), np.abs(following.slopes - offset.slopes).max()
        )
        log.info("offset step %d moves %.2g", step, moved)
        if moved < TOLERANCE:
            break
        offset = following
    return base, sums


def _log_odds(rate: np.ndarray) -> np.ndarray:
    return np.log(rate / (1 - rate))


def _region_effects(cells: Cells, sums: np.ndarray, coordinates: Coordinates) -> Posterior:
    """Effects on the log take rate from cell sums (3, R, A).

    These cells are weighted by clipped inverse propensities, because a region's effect is an average over all of its
    members, whoever was served; the member level is not, because it conditions on the member's vector. With weights w,
    counts and expectations are divided by sum w^2 mu / sum w mu, which makes their variance that of a Poisson count.
    """
    takes, expected, squared = sums
    inflation = np.divide(squared, expected, out=np.ones_like(expected), where=expected > 0)
    shape = (len(cells.about), takes.shape[1])
    seen, mean = np.zeros(shape), np.zeros(shape)
    seen[cells.observed], mean[cells.observed] = takes / inflation, expected / inflation
    return rate_effects(cells.tree, seen, mean, coordinates.features)


def register_response(
    tables: Tables, fitted: Fitted, artworks: Artworks, taste: LoadedModel, windows: Windows, settings: Settings
) -> str:
    """Log the run and register the model "response"; returns its version."""
    tracking, about = Tracking(settings.tracking, settings.tables), taste.model.about
    model = ModelArrays(
        "response",
        fitted.arrays,
        {
            "artwork_ids": artworks.artwork_ids,
            "title_ids": artworks.title_ids,
            "cells": fitted.cells.about,
            "feature_names": feature_names(artworks),
            "feature_version": artworks.feature_version,
            "taste_version": about["taste_version"],
            "member_names": about["member_names"],
            "offset_slopes": fitted.slopes,
        },
    )
    inputs = {f"{table}_version": tables.version(table) for table in ("decisions", "artworks", "taste", "examination")}
    parameters = asdict(settings.response) | inputs | {"t0": windows.t0, "t1": windows.t1}
    parameters |= {"taste_version": about["taste_version"], "taste_model": f"{taste.name} {taste.version}"}
    with tracking.run("train-response", parameters):
        tracking.metrics(fitted.metrics)
        example = np.append(fitted.arrays["member_mean"], 0.0)[None]
        return tracking.register("response", model, example, response_scores(fitted.arrays, example))


def feature_names(artworks: Artworks) -> list[str]:
    """What the columns of the artworks' vectors are called; numbered where another version of keyart made them."""
    width = artworks.vectors.shape[1]
    if artworks.feature_version == FEATURE_VERSION and width == len(FEATURE_NAMES):
        return list(FEATURE_NAMES)
    return [f"feature {i + 1}" for i in range(width)]
