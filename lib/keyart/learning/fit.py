"""Choices made on the driver from sums: how strongly to shrink, what quality says, and the final arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from keyart.learning.blocks import Arrays
from keyart.learning.coordinates import Coordinates, by_title, centred_within
from keyart.learning.offset import smoothed_rates
from keyart.learning.shrinkage import Posterior, Tree, averaged, fit_variances, freedom_within, tree_of

__all__ = [
    "Cells",
    "cells_of",
    "chosen_strength",
    "quality_effects",
    "response_arrays",
    "spread_counts",
    "validation_metrics",
]

EVIDENCE = 4.0
"""Standard deviations by which the score test must exceed chance; else no member effect is claimed."""
OTHER = "other"
"""Parent of regions that no setting names."""


@dataclass(frozen=True)
class Cells:
    """The cells of the model, general before special, and where the regions with decisions stand among them."""

    about: list[dict[str, str | None]]  # level, cell, parent
    tree: Tree
    observed: np.ndarray  # (R,) cell of each region that has decisions


def cells_of(regions: Sequence[str], parents: Mapping[str, str]) -> Cells:
    """Cells for the regions seen and the regions configured; ``parents`` is region: parent."""
    names = sorted({*regions, *parents})
    above = {name: parents.get(name, OTHER) for name in names}
    groups = sorted(set(above.values()))
    about: list[dict[str, str | None]] = [{"level": "global", "cell": "*", "parent": None}]
    about += [{"level": "parent", "cell": group, "parent": "*"} for group in groups]
    about += [{"level": "region", "cell": name, "parent": above[name]} for name in names]
    parent = [-1] + [0] * len(groups) + [1 + groups.index(above[name]) for name in names]
    observed = np.array([1 + len(groups) + names.index(name) for name in regions], dtype=np.int64)
    return Cells(about, tree_of(parent), observed)


def spread_counts(cells: Cells, by_region: np.ndarray) -> np.ndarray:
    """Counts of all cells (C, A) from those of regions (R, A): a cell has what its regions have."""
    placed = np.zeros((len(cells.about), by_region.shape[1]))
    placed[cells.observed] = by_region
    return cells.tree.paths.T @ placed


def quality_effects(
    cells: Cells,
    takes: np.ndarray,
    quality: np.ndarray,
    squares: np.ndarray,
    coordinates: Coordinates,
    title_index: np.ndarray,
) -> Posterior:
    """Log ratios of quality given a take to the title's in the region, from sums by region and artwork (R, A).

    A mean of n qualities is observed with precision n / (coefficient of variation)^2; quality is bounded, so the normal
    approximation to its relative error is good from a few takes on, and fewer are shrunk away.
    """
    rates, _ = smoothed_rates(by_title(takes.T, title_index), by_title(quality.T, title_index))
    usual = rates[title_index].T  # (R, A)
    # Within title and region, pooled: how much one quality differs from the next.
    error = squares.sum() - 2 * np.sum(usual * quality) + np.sum(usual**2 * takes)
    relative = max(error / max(np.sum(usual**2 * takes), 1e-9), 1e-3)
    shape = (len(cells.about), takes.shape[1])
    observed, precision = np.zeros(shape), np.zeros(shape)
    mean = np.divide(quality, takes, out=usual.copy(), where=takes > 0)
    observed[cells.observed] = mean / usual - 1
    precision[cells.observed] = takes / relative
    freedom = freedom_within(title_index, precision.sum(axis=0) > 0)
    variances = fit_variances(cells.tree, observed, precision, coordinates.features, freedom)
    return averaged(cells.tree, observed, precision, coordinates.features, freedom, variances)


def chosen_strength(found: Mapping[str, np.ndarray], scores: Sequence[float]) -> int | None:
    """Which weights lower the late slice's log-loss most; None where none do or where there is no member effect.

    ``found`` are the sums of ``response.compare``, ``scores`` the score test of each strength on the early slice. The
    late slice alone would miss a real effect too often: it has a quarter of the takes, and a prediction's gain is
    second order in the effect where the score test's is first order.
    """
    best = int(np.argmax(found["gain"][1:]))
    return best if found["gain"][1 + best] > 0 and scores[best] > EVIDENCE else None


def validation_metrics(found: Mapping[str, np.ndarray], l2: Sequence[float]) -> dict[str, float]:
    """Figures of the late slice, per decision, from the sums of ``response.compare``; the best strength's weights."""
    rows = float(found["rows"])
    if not rows:
        return {"validation_rows": 0.0}
    best = int(np.argmax(found["gain"][1:]))
    standard = found["gain"] / np.sqrt(np.maximum(found["gain_squares"], 1e-12))
    numerator, denominator = found["slope"][best]
    metrics = {
        "validation_rows": rows,
        "validation_log_loss_offset": found["loss"][0] / rows,
        "validation_log_loss_region": found["loss"][1] / rows,
        "validation_log_loss_member": found["loss"][2 + best] / rows,
        "validation_region_gain_z": standard[0],
        "validation_member_gain_z": standard[1 + best],
        "validation_calibration_slope": 1 + numerator / max(denominator, 1e-12),
    }
    losses = zip(l2, found["loss"][2:], strict=True)
    return metrics | {f"validation_log_loss_l2_{strength:g}": loss / rows for strength, loss in losses}


def response_arrays(
    cells: Cells,
    coordinates: Coordinates,
    title_index: np.ndarray,
    active: np.ndarray,
    taken: Posterior,
    liked: Posterior,
    weights: np.ndarray,
    take_rate: float,
    counts: Mapping[str, np.ndarray],
    taste: Mapping[str, np.ndarray],
) -> Arrays:
    """The arrays of the response model: scores are logs of expected reward against the title's average active artwork.

    Expected reward is P(take) times quality given a take, so that the logs of both effects add. Member weights are in
    log odds; d log P = (1 - P) d log odds turns them into logs of probability.
    """
    mean = taken.mean + liked.mean
    size = by_title(active[:, None].astype(float), title_index)
    total = by_title(mean.T * active[:, None], title_index)
    # A title with no active artwork is measured against all of its artworks.
    average = np.where(size[title_index] > 0, total[title_index] / np.maximum(size[title_index], 1), np.nan)
    relative = mean.T - average
    relative = np.where(np.isnan(relative), centred_within(mean.T, title_index), relative).T
    return {
        "features": coordinates.features,
        "feature_values": coordinates.values,
        "loadings": coordinates.loadings,
        "title_index": title_index.astype(np.int64),
        "weights": weights * (1 - take_rate),
        "member_mean": np.asarray(taste["member_mean"]),
        "member_scale": np.asarray(taste["member_scale"]),
        "cell_mean": relative,
        "cell_sd": np.sqrt(taken.sd**2 + liked.sd**2),
        "cell_n": spread_counts(cells, counts["n"]),
        "cell_takes": spread_counts(cells, counts["takes"]),
        # What ``levels_online`` goes on from: own effects are all that moves when weights and variances are held.
        "own_variances": np.stack([taken.variances.artwork, liked.variances.artwork]),
        "own_precision": np.stack([taken.precision, liked.precision]).astype(np.float32),
        "region_weights": (taken.weights + liked.weights) @ coordinates.loadings.T,
        "region_weights_sd": np.hypot(*(found.weights_sd(coordinates.loadings) for found in (taken, liked))),
    }
