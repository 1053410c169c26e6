"""One block of decisions, and what a pass over it gives: offset and cell sums, Newton sums, comparisons on later days.

A block holds ``z`` (n, K) standardised member vectors; per decision ``member`` (ascending), ``combination``, ``group``
(title x regions + region), ``take``, ``late`` (in the validation slice), ``personal`` (not a kids' profile), ``weight``
(clipped inverse propensity relative to uniform) and ``covariates`` (NaN: missing); per combination ``artwork`` and
``design``; and the distinct candidate distributions as sparse rows ``design_offsets``, ``design_artworks``,
``design_shares``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from keyart.learning.blocks import Arrays
from keyart.learning.logistic import Rows, log_odds, losses, newton_sums
from keyart.learning.offset import Offset, offset_sums

__all__ = ["Base", "compare", "covariate_moments", "member_sums", "offset_pass"]

COVARIATES = ("ranker score", "taste affinity", "position", "row", "times shown before", "examination")
"""What the offset's slopes belong to."""


@dataclass(frozen=True)
class Base:
    """The offset and the scale of its covariates, and the shape of the cells."""

    offset: Offset
    mean: np.ndarray  # (m,) of covariates
    scale: np.ndarray  # (m,)
    regions: int
    artworks: int

    def covariates(self, block: Mapping[str, np.ndarray]) -> np.ndarray:
        """Standardised covariates (rows, m); missing ones are average."""
        return np.nan_to_num((block["covariates"] - self.mean) / self.scale)

    def cell(self, block: Mapping[str, np.ndarray]) -> np.ndarray:
        """Index of each row's region x artwork, (rows,)."""
        artwork = block["artwork"][block["combination"]]
        return (block["group"] % self.regions) * self.artworks + artwork


def covariate_moments(block: Mapping[str, np.ndarray]) -> Arrays:
    """Count, sum and sum of squares of the covariates that are there, each (m,)."""
    known = np.isfinite(block["covariates"])
    values = np.where(known, block["covariates"], 0).astype(np.float64)
    return {"n": known.sum(axis=0), "sum": values.sum(axis=0), "squares": (values**2).sum(axis=0)}


def offset_pass(block: Mapping[str, np.ndarray], base: Base) -> Arrays:
    """Sums for the offset's next Newton step, and cell sums under the offset as it is.

    ``cells`` is (2, 3, regions, artworks): early and late days; weighted takes, weighted expected takes, and expected
    takes under squared weights.
    """
    sums, chance = offset_sums(base.offset, block["group"], base.covariates(block), block["take"])
    weight, cells = block["weight"].astype(np.float64), base.regions * base.artworks
    slot = base.cell(block) + cells * block["late"].astype(np.int64)
    kinds = (weight * block["take"], weight * chance, weight**2 * chance)
    summed = np.stack([np.bincount(slot, kind, 2 * cells).reshape(2, base.regions, base.artworks) for kind in kinds], 1)
    return sums | {"cells": summed}


def member_sums(
    block: Mapping[str, np.ndarray],
    base: Base,
    effects: np.ndarray,
    features: np.ndarray,
    weights: np.ndarray,
    early_only: bool,
    hessian: bool,
) -> Arrays:
    """``newton_sums`` of the rows that say something about members, given effects (regions, artworks) as offsets."""
    keep = block["personal"] & ~block["late"] if early_only else block["personal"]
    return newton_sums(_rows(block, base, effects, features).where(keep), weights, hessian)


def compare(
    block: Mapping[str, np.ndarray], base: Base, effects: np.ndarray, features: np.ndarray, weights: np.ndarray
) -> Arrays:
    """Log-loss on the late rows of: offset alone, with effects, with each of the weight matrices (S, K, P).

    ``loss`` is (S + 2,). ``gain`` and ``gain_squares`` (S + 1,) are sums over members of each member's loss saved, by
    the effects over the offset and by the weights over the effects: members, not rows, are independent. ``slope``
    (S, 2) are numerator and denominator of one Newton step of the calibration slope from 1.
    """
    rows = _rows(block, base, effects, features).where(block["personal"] & block["late"])
    take, regional = rows.take, losses(rows.take, rows.offset)
    alone = base.offset.log_odds(block["group"], base.covariates(block))[block["personal"] & block["late"]]
    rounds, gains, slopes = [losses(take, alone), regional], [losses(take, alone) - regional], []
    for matrix in weights:
        odds = log_odds(rows, matrix)
        chance = 1 / (1 + np.exp(-odds))
        moved = odds - rows.offset
        rounds.append(losses(take, odds))
        gains.append(regional - rounds[-1])
        slopes.append([np.sum((take - chance) * moved), np.sum(chance * (1 - chance) * moved**2)])
    by_member = np.stack([np.bincount(rows.member, gain, len(rows.z)) for gain in gains])
    return {
        "rows": np.asarray(len(take)),
        "loss": np.array([values.sum() for values in rounds]),
        "gain": by_member.sum(axis=1),
        "gain_squares": (by_member**2).sum(axis=1),
        "slope": np.array(slopes).reshape(-1, 2),
    }


def _rows(block: Mapping[str, np.ndarray], base: Base, effects: np.ndarray, features: np.ndarray) -> Rows:
    """The block's decisions with artworks' features centred under what each decision could have shown."""
    shape = (len(block["design_offsets"]) - 1, len(features))
    shares = csr_array((block["design_shares"], block["design_artworks"], block["design_offsets"]), shape=shape)
    x = features[block["artwork"]] - (shares @ features)[block["design"]]
    offset = base.offset.log_odds(block["group"], base.covariates(block)) + effects.ravel()[base.cell(block)]
    return Rows(
        z=block["z"].astype(np.float64),
        x=x,
        member=block["member"],
        combination=block["combination"],
        take=block["take"].astype(np.float64),
        offset=offset,
    )
