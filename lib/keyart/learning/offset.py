"""What a decision is worth before any artwork: title in its region, affinity and position, by logistic regression.

Intercepts (one a title x region) may be many, so Newton's method eliminates them: the Hessian is a diagonal bordered by
a few slopes, and a block gives sums by intercept. Intercepts lean on a prior mean with the weight of a few takes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from keyart.learning.blocks import Arrays

__all__ = ["PRIOR_TAKES", "Offset", "newton_step", "offset_sums", "smoothed_rates"]

PRIOR_TAKES = 10.0
"""Expected takes that a more general rate counts for in a more special one."""


@dataclass(frozen=True)
class Offset:
    """Log odds of a take: intercept of the row's group + covariates . slopes."""

    intercepts: np.ndarray  # (groups,)
    slopes: np.ndarray  # (m,)
    prior: np.ndarray  # (groups,) mean of each intercept's prior

    def log_odds(self, group: np.ndarray, covariates: np.ndarray) -> np.ndarray:
        """Of rows with groups (n,) and standardised covariates (n, m)."""
        return self.intercepts[group] + covariates @ self.slopes


def smoothed_rates(n: np.ndarray, takes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take rates (titles, regions) that lean on their title's, and titles' (titles,) that lean on all."""
    overall = max(takes.sum(), 0.5) / max(n.sum(), 1)
    strength = PRIOR_TAKES / overall
    title = (takes.sum(axis=1) + strength * overall) / (n.sum(axis=1) + strength)
    return (takes + strength * title[:, None]) / (n + strength), title


def offset_sums(
    offset: Offset, group: np.ndarray, covariates: np.ndarray, take: np.ndarray
) -> tuple[Arrays, np.ndarray]:
    """A block's log-loss, gradient and Hessian, and the rows' probabilities (n,)."""
    log_odds, groups = offset.log_odds(group, covariates), len(offset.intercepts)
    chance = expit(log_odds)
    residual, weight = take - chance, chance * (1 - chance)
    weighted = covariates * weight[:, None]
    sums = {
        "loss": np.asarray(np.sum(np.logaddexp(0, log_odds) - take * log_odds)),
        "residual": np.bincount(group, residual, groups),
        "weight": np.bincount(group, weight, groups),
        "border": np.stack([np.bincount(group, column, groups) for column in weighted.T], axis=1),
        "slope_gradient": residual @ covariates,
        "slope_hessian": covariates.T @ weighted,
    }
    return sums, chance


def newton_step(offset: Offset, sums: Mapping[str, np.ndarray]) -> Offset:
    """The offset after one Newton step on the summed blocks."""
    diagonal = sums["weight"] + PRIOR_TAKES
    gradient = sums["residual"] - PRIOR_TAKES * (offset.intercepts - offset.prior)
    scaled = sums["border"] / diagonal[:, None]
    # A slope leans on 0 with the weight of one standard deviation's worth of takes: missing covariates stay solvable.
    schur = sums["slope_hessian"] + np.eye(len(offset.slopes)) - sums["border"].T @ scaled
    slopes = np.linalg.solve(schur, sums["slope_gradient"] - offset.slopes - scaled.T @ gradient)
    return Offset(offset.intercepts + gradient / diagonal - scaled @ slopes, offset.slopes + slopes, offset.prior)
