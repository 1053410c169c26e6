"""The response over Spark: offset, region level and member level, each by passes over the same persisted blocks."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta

import numpy as np
from pyspark.sql import DataFrame

from keyart.errors import ModelError
from keyart.feedback.windows import Windows
from keyart.learning.blocks import Arrays
from keyart.learning.blocks_spark import sum_over
from keyart.learning.coordinates import Coordinates, artwork_coordinates, by_title
from keyart.learning.decisions_spark import Artworks, Counts
from keyart.learning.fit import Cells, cells_of, chosen_strength, quality_effects, response_arrays
from keyart.learning.logistic import full_hessian, ridge_step
from keyart.learning.offset import Offset, newton_step, smoothed_rates
from keyart.learning.predict import response_scores
from keyart.learning.response import COVARIATES, Base, compare, covariate_moments, member_sums, offset_pass
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
TOLERANCE = 1e-3
"""In log odds: a Newton step that moves no parameter further is the last."""


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


def fit_response(
    blocks: DataFrame,
    artworks: Artworks,
    counts: Counts,
    taste: Mapping[str, np.ndarray],
    parents: Mapping[str, str],
    settings: ResponseSettings,
) -> Fitted:
    """Fit offset, region level and member level on persisted blocks of decisions."""
    coordinates = artwork_coordinates(artworks.vectors, artworks.title_index, settings.artwork_dimensions)
    cells, title_index = cells_of(counts.regions, parents), artworks.title_index
    base, sums = _fit_offset(blocks, counts, title_index, settings.iterations)
    slices = {"early": sums["cells"][0], "all": sums["cells"].sum(axis=0)}
    taken = {name: _region_effects(cells, cell, coordinates) for name, cell in slices.items()}
    effects = {name: found.mean[cells.observed] for name, found in taken.items()}

    shape = (len(np.asarray(taste["member_mean"])), coordinates.features.shape[1])
    member = _MemberLevel(blocks, base, coordinates.features, shape)
    chosen, start, metrics = member.choose(effects["early"], settings.l2)
    weights = np.zeros(shape)
    if chosen is not None:
        weights = member.refine(effects["all"], start, settings.l2[chosen], settings.iterations)
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
        for level, place in (("global", 0), ("parent", 1), ("region", 2)):
            metrics[f"{name}_sd_features_{level}"] = np.sqrt(found.variances.feature[place])
            metrics[f"{name}_sd_artworks_{level}"] = np.sqrt(found.variances.artwork[place])
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
        if moved < 10 * TOLERANCE:
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


@dataclass(frozen=True)
class _MemberLevel:
    """Passes for the weights of member vector x artwork coordinates."""

    blocks: DataFrame
    base: Base
    features: np.ndarray
    shape: tuple[int, int]

    def choose(self, effects: np.ndarray, l2: Sequence[float]) -> tuple[int | None, np.ndarray, dict[str, float]]:
        """The strength the later days like best (None: no member effect), its weights on the early days, and metrics.

        Three passes for any number of strengths: the Hessian at 0 serves all, since weights are small on its scale.
        """
        weights = np.zeros((1, *self.shape))
        sums = self._sums(effects, weights, early_only=True, hessian=True)
        hessian = full_hessian(sums["hessian"], *self.shape)
        gradients, weights = np.repeat(sums["gradient"], len(l2), axis=0), np.zeros((len(l2), *self.shape))
        for last in (False, True):
            weights = (
                np.stack(
                    [
                        ridge_step(hessian, gradient, matrix, strength)
                        for gradient, matrix, strength in zip(gradients, weights, l2, strict=True)
                    ]
                )
                if len(l2)
                else weights
            )
            if not last:
                gradients = self._sums(effects, weights, early_only=True, hessian=False)["gradient"]
        base, features = self.base, self.features  # a worker gets these, not self with its DataFrame
        found = sum_over(self.blocks, lambda block: compare(block, base, effects, features, weights))
        chosen = chosen_strength(found, l2)
        rows = int(found["rows"])
        metrics: dict[str, float] = {"validation_rows": rows, "chosen_l2": 0.0 if chosen is None else l2[chosen]}
        if not rows:
            return chosen, weights, metrics
        metrics |= {
            "validation_log_loss_offset": found["loss"][0] / rows,
            "validation_log_loss_region": found["loss"][1] / rows,
            "validation_region_gain_z": found["gain"][0] / np.sqrt(max(found["gain_squares"][0], 1e-12)),
        }
        for s, strength in enumerate(l2):
            metrics[f"validation_log_loss_l2_{strength:g}"] = found["loss"][2 + s] / rows
        if len(l2):
            shown = int(np.argmax(found["gain"][1:])) if chosen is None else chosen
            numerator, denominator = found["slope"][shown]
            metrics |= {
                "validation_log_loss_member": found["loss"][2 + shown] / rows,
                "validation_member_gain_z": found["gain"][1 + shown]
                / np.sqrt(max(found["gain_squares"][1 + shown], 1e-12)),
                "validation_calibration_slope": 1 + numerator / max(denominator, 1e-12),
            }
        return chosen, weights[0 if chosen is None else chosen] if len(l2) else np.zeros(self.shape), metrics

    def refine(self, effects: np.ndarray, weights: np.ndarray, l2: float, iterations: int) -> np.ndarray:
        """Newton's method on all days from ``weights``; a step that made things worse is halved."""
        best, step = np.inf, np.zeros(self.shape)
        for number in range(iterations):
            sums = self._sums(effects, weights[None], early_only=False, hessian=True)
            value = float(sums["loss"][0] + 0.5 * l2 * np.sum(weights**2))
            if value > best + 1e-6:
                weights, step = weights - step / 2, step / 2
                continue
            best = value
            following = ridge_step(full_hessian(sums["hessian"], *self.shape), sums["gradient"][0], weights, l2)
            step, weights = following - weights, following
            log.info("member step %d: objective %.6g, moves %.2g", number, value, np.abs(step).max())
            if np.abs(step).max() < TOLERANCE:
                break
        return weights

    def _sums(self, effects: np.ndarray, weights: np.ndarray, early_only: bool, hessian: bool) -> Arrays:
        base, features = self.base, self.features
        return sum_over(
            self.blocks, lambda block: member_sums(block, base, effects, features, weights, early_only, hessian)
        )


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
    inputs = {f"{table}_version": tables.version(table) for table in ("decisions", "artworks", "taste")}
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
