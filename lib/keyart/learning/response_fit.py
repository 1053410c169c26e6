"""The response model from passes over blocks of decisions: offset, region level, contexts, member level, and how far
to trust it.

What the late days choose or judge was learned on the early days alone, the offset too; what is kept is learned on all.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from threadpoolctl import threadpool_limits

from keyart.errors import ConfigError
from keyart.learning.blocks import Arrays, Total
from keyart.learning.calibration import Calibration, Judged, calibration
from keyart.learning.contexts import NOWHERE, ContextEffects, Contexts, choose_contexts, context_sums
from keyart.learning.coordinates import Coordinates, artwork_coordinates
from keyart.learning.decisions import Artworks, Counts
from keyart.learning.fit import Cells, cells_of, quality_effects, response_arrays
from keyart.learning.member_level import MemberLevel
from keyart.learning.offset import Offset, newton_step, smoothed_rates
from keyart.learning.response import COVARIATES, Base, offset_pass, opening_sums
from keyart.learning.shrinkage import Posterior, rate_effects
from keyart.settings import ResponseSettings

__all__ = ["Fitted", "fit_response"]

log = logging.getLogger(__name__)

TOLERANCE = 0.01
"""In log odds: the offset is good enough when Newton's method would move no parameter further."""
SLICES = ("early", "all")


@dataclass
class Fitted:
    """The model's arrays and what is known about the fit."""

    arrays: Arrays
    cells: Cells
    coordinates: Coordinates
    calibration: Calibration
    metrics: dict[str, float] = field(default_factory=dict)
    slopes: dict[str, float] = field(default_factory=dict)
    contexts: Contexts = NOWHERE  # those that matter


# Hundreds of small factorisations: beside Spark's tasks, BLAS threads that wait for each other take 100 times as long.
@threadpool_limits.wrap(limits=1)
def fit_response(
    total: Total,
    artworks: Artworks,
    counts: Counts,
    taste: Mapping[str, np.ndarray],
    parents: Mapping[str, str],
    settings: ResponseSettings,
    contexts: Contexts = NOWHERE,
) -> Fitted:
    """Fit offset, region level, contexts and member level by passes over blocks. ConfigError without strengths."""
    if not settings.l2:
        raise ConfigError("response.l2 is empty: name at least one strength")
    coordinates = artwork_coordinates(artworks.vectors, artworks.title_index, settings.artwork_dimensions)
    cells, title_index = cells_of(counts.regions, parents), artworks.title_index
    regions = len(counts.regions)
    opening = total(lambda block: opening_sums(block, regions, regions * (int(title_index.max()) + 1)))
    bases, sums = _fit_offsets(total, opening, regions, len(title_index), settings.iterations)
    taken = {name: _region_effects(cells, sums[name]["cells"], coordinates, title_index) for name in SLICES}
    effects = {name: found.mean[cells.observed] for name, found in taken.items()}

    level = MemberLevel(total, coordinates.features, len(np.asarray(taste["member_mean"])))
    strength, weights, metrics = level.choose(bases["early"], effects["early"], settings.l2)
    judged = Judged(bases["early"], effects["early"], coordinates.features, weights)
    of_contexts, said_of_contexts = _of_contexts(total, judged, contexts, title_index)
    calibrated = calibration(total, judged, counts.regions)
    errors = np.zeros_like(weights)
    if strength is not None:
        weights, errors = level.solve(
            bases["all"], effects["all"], weights, strength, settings.iterations, settings.solver
        )
    liked = quality_effects(cells, counts.takes, counts.quality, counts.quality_squares, coordinates, title_index)
    rate = counts.takes.sum() / counts.n.sum()
    arrays = response_arrays(
        cells, coordinates, title_index, artworks.active, taken["all"], liked, weights, rate, vars(counts), taste
    )
    arrays |= calibrated.arrays() | {"weights_sd": errors * (1 - rate)}
    if of_contexts is not None:
        arrays |= of_contexts.arrays(coordinates.loadings)
    metrics |= calibrated.metrics() | _weighting(opening["weights"]) | said_of_contexts
    metrics |= {
        "decisions": counts.n.sum(),
        "takes": counts.takes.sum(),
        "take_rate": rate,
        "log_loss_offset": sums["all"]["loss"] / counts.n.sum(),
    }
    for name, found in (("take", taken["all"]), ("quality", liked)):
        for place, where in enumerate(("global", "parent", "region")):
            metrics[f"{name}_sd_features_{where}"] = np.sqrt(found.variances.feature[place])
            metrics[f"{name}_sd_artworks_{where}"] = np.sqrt(found.variances.artwork[place])
    slopes = dict(zip(COVARIATES, bases["all"].offset.slopes.tolist(), strict=True))
    said = {key: float(value) for key, value in metrics.items()}
    claimed = contexts if of_contexts is not None else NOWHERE
    return Fitted(arrays, cells, coordinates, calibrated, said, slopes, claimed)


def _of_contexts(
    total: Total, judged: Judged, contexts: Contexts, title_index: np.ndarray
) -> tuple[ContextEffects | None, dict[str, float]]:
    """What devices and parts of the day add, and figures; under what the early days taught, for the late ones judge."""
    if len(contexts) < 2:
        return None, {}
    fixed = (judged.base, judged.effects, judged.features, judged.weights, len(contexts))
    sums = total(lambda block: context_sums(block, *fixed))["contexts"]
    return choose_contexts(sums, contexts, judged.features, title_index)


def _fit_offsets(
    total: Total, opening: Arrays, regions: int, artworks: int, iterations: int
) -> tuple[dict[str, Base], dict[str, Arrays]]:
    """The offsets of both slices by Newton's method, in the same passes, and the sums of the last, with the cells."""
    n = np.maximum(opening["known"], 1)
    mean = opening["sum"] / n
    scale = np.sqrt(np.maximum(opening["squares"] / n - mean**2, 0))
    scale = np.where(scale > 1e-6, scale, np.inf)  # what never differs explains nothing
    offsets = {
        name: _first_offset(shown.reshape(-1, regions), takes.reshape(-1, regions), len(mean))
        for name, shown, takes in zip(SLICES, opening["n"], opening["takes"], strict=True)
    }
    for step in range(iterations):
        bases = {name: Base(offset, mean, scale, regions, artworks) for name, offset in offsets.items()}
        found = total(lambda block, bases=bases: _both_slices(block, bases))  # type: ignore[misc]
        sums = {
            name: {key.removeprefix(f"{name} "): value for key, value in found.items() if key.startswith(f"{name} ")}
            for name in SLICES
        }
        following = {name: newton_step(offsets[name], sums[name]) for name in SLICES}
        moved = max(
            max(np.abs(after.intercepts - before.intercepts).max(), np.abs(after.slopes - before.slopes).max())
            for before, after in zip(offsets.values(), following.values(), strict=True)
        )
        log.info("offset step %d moves %.2g", step, moved)
        if moved < TOLERANCE:
            break
        offsets = following
    return bases, sums


def _first_offset(shown: np.ndarray, takes: np.ndarray, covariates: int) -> Offset:
    """Rates of titles in regions (T, R) that lean on their titles', which are the prior."""
    rates, of_title = smoothed_rates(shown, takes)
    return Offset(_log_odds(rates).ravel(), np.zeros(covariates), np.repeat(_log_odds(of_title), shown.shape[1]))


def _both_slices(block: Arrays, bases: Mapping[str, Base]) -> Arrays:
    keep = {"early": ~block["late"], "all": np.ones(len(block["late"]), dtype=bool)}
    covariates = bases["all"].covariates(block)  # both slices are scaled alike
    found = {name: offset_pass(block, bases[name], covariates, keep[name]) for name in SLICES}
    return {f"{name} {key}": value for name in SLICES for key, value in found[name].items()}


def _weighting(weights: np.ndarray) -> dict[str, float]:
    """Kish's effective share of decisions under the inverse-propensity weights: of all, and of the worst region."""
    n, total, squares = np.concatenate([weights, weights.sum(axis=0, keepdims=True)]).T
    share = np.divide(total**2, squares * n, out=np.ones_like(n), where=squares > 0)
    return {"weights_effective_share": share[-1], "weights_effective_share_least": share[:-1].min()}


def _log_odds(rate: np.ndarray) -> np.ndarray:
    return np.log(rate / (1 - rate))


def _region_effects(cells: Cells, sums: np.ndarray, coordinates: Coordinates, title_index: np.ndarray) -> Posterior:
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
    return rate_effects(cells.tree, seen, mean, coordinates.features, title_index)
