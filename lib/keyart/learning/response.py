"""One block of decisions, and what a pass over it gives: offset and cell sums, Newton sums, comparisons on later days.

A block holds ``z`` (n, K) standardised member vectors; per decision ``member`` (ascending), ``combination``, ``group``
(title x regions + region), ``context`` (place among those of ``contexts``, -1: none), ``take``, ``late`` (in the
validation slice), ``personal`` (not a kids' profile), ``weight`` (clipped inverse propensity relative to uniform) and
``covariates`` (NaN: missing); per combination ``artwork`` and ``design``; and the distinct candidate distributions as
sparse rows ``design_offsets``, ``design_artworks``, ``design_shares``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from keyart.learning.blocks import Arrays
from keyart.learning.logistic import Rows, log_odds, losses, newton_sums
from keyart.learning.offset import Offset, offset_sums

__all__ = ["COVARIATES", "Base", "compare", "member_sums", "offset_pass", "opening_sums", "rows_of"]

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


def opening_sums(block: Mapping[str, np.ndarray], regions: int, groups: int) -> Arrays:
    """What a fit starts from.

    Of the covariates that are there ``known``, ``sum`` and ``squares``, each (m,); by slice (early, all) and group
    ``n`` and ``takes`` (2, groups); by region ``weights`` (regions, 3): decisions, sums of weights and of squares.
    """
    known = np.isfinite(block["covariates"])
    values = np.where(known, block["covariates"], 0).astype(np.float64)
    region, weight = block["group"] % regions, block["weight"].astype(np.float64)
    return {
        "known": known.sum(axis=0),
        "sum": values.sum(axis=0),
        "squares": (values**2).sum(axis=0),
        "n": _early_and_all(block, np.ones(len(region)), block["group"], groups),
        "takes": _early_and_all(block, block["take"], block["group"], groups),
        "weights": np.stack([np.bincount(region, weight**power, regions) for power in range(3)], axis=1),
    }


def _early_and_all(block: Mapping[str, np.ndarray], values: np.ndarray, place: np.ndarray, places: int) -> np.ndarray:
    early = ~block["late"]
    return np.stack([np.bincount(place[early], values[early], places), np.bincount(place, values, places)])


def offset_pass(block: Mapping[str, np.ndarray], base: Base, covariates: np.ndarray, keep: np.ndarray) -> Arrays:
    """Sums over the rows kept for the offset's next Newton step, and cell sums under the offset as it is.

    ``covariates`` (rows, m) are the base's, standardised once for all slices.
    ``cells`` is (3, regions, artworks): weighted takes, weighted expected takes, and expected takes under squared
    weights.
    """
    take = block["take"][keep]
    sums, chance = offset_sums(base.offset, block["group"][keep], covariates[keep], take)
    weight, slot = block["weight"][keep].astype(np.float64), base.cell(block)[keep]
    shape = (base.regions, base.artworks)
    kinds = (weight * take, weight * chance, weight**2 * chance)
    return sums | {"cells": np.stack([np.bincount(slot, kind, np.prod(shape)).reshape(shape) for kind in kinds])}


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
    return newton_sums(rows_of(block, base, effects, features).where(keep), weights, hessian)


def compare(
    block: Mapping[str, np.ndarray], base: Base, effects: np.ndarray, features: np.ndarray, weights: np.ndarray
) -> Arrays:
    """Log-loss on the late rows of: offset alone, with effects, with each of the weight matrices (S, K, P).

    ``loss`` is (S + 2,). ``gain`` and ``gain_squares`` (S + 1,) are sums over members of each member's loss saved, by
    the effects over the offset and by the weights over the effects: members, not rows, are independent. ``slope``
    (S, 2) are numerator and denominator of one Newton step of the calibration slope from 1.
    """
    rows = rows_of(block, base, effects, features).where(block["personal"] & block["late"])
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


def rows_of(block: Mapping[str, np.ndarray], base: Base, effects: np.ndarray, features: np.ndarray) -> Rows:
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
