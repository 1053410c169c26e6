"""Whether what the response model predicts came true on later days: slopes, reliability and uplift by tenths.

A slope is that of logit P(take) = a + fixed + b x part, 1 where the part is neither over- nor understated (Cox 1958):
of the whole log odds (fixed 0), and of the artwork's share in them (fixed: the offset). Uplift is the greedy artwork's
chance over that of what was drawn, predicted, against its doubly robust estimate from the logged propensities (Dudik,
Langford and Li 2011). Members, not decisions, are independent: all errors are clustered by member. R regions; in every
array the last of R + 1 is all of them together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.special import expit

from keyart.learning.blocks import Arrays, Total
from keyart.learning.response import Base, rows_of

__all__ = ["KINDS", "Calibration", "Figure", "Judged", "calibration"]

ALL = "*"
KINDS = ("chance", "artwork")
"""Whose slope: of the whole log odds, of the artwork's share in them."""
PARTS = 10
ODDS_BINS = np.linspace(-15, 15, 12_001)
GAIN_BINS = np.concatenate([[0.0], np.geomspace(1e-7, 1.0, 10_000)])
"""Fine bins in which quantiles are looked up."""


@dataclass(frozen=True)
class Judged:
    """The fit on the early days that the late days judge."""

    base: Base
    effects: np.ndarray  # (R, A) log odds
    features: np.ndarray  # (A, P)
    weights: np.ndarray  # (K, P)


@dataclass(frozen=True)
class Calibration:
    """``slopes`` (2, R + 1, 2): slope and standard error by kind and region, NaN where there is nothing to tell.

    ``reliability`` (R + 1, 10, 4) by tenths of the predicted chance and ``uplift`` (10, 4) by tenths of the predicted
    gain: decisions, predicted and observed means, the standard error of the observed one.
    """

    regions: tuple[str, ...]
    slopes: np.ndarray
    reliability: np.ndarray
    uplift: np.ndarray

    def metrics(self) -> dict[str, float]:
        """The slopes of all, and how many regions' intervals lie outside 0.9 to 1.1; what is not known is left out."""
        found: dict[str, float] = {}
        for kind, (slope, sd) in zip(KINDS, self.slopes[:, -1], strict=True):
            found |= {f"validation_{kind}_slope": slope, f"validation_{kind}_slope_sd": sd}
        slope, sd = self.slopes[0, :-1].T
        found["validation_regions_miscalibrated"] = float(np.sum((slope - 2 * sd > 1.1) | (slope + 2 * sd < 0.9)))
        return {name: float(value) for name, value in found.items() if np.isfinite(value)}

    def arrays(self) -> Arrays:
        """As the model keeps them."""
        return {f"calibration_{name}": getattr(self, name) for name in ("slopes", "reliability", "uplift")}

    @classmethod
    def kept(cls, arrays: Mapping[str, np.ndarray], regions: Sequence[str]) -> "Calibration | None":
        """From a model's arrays and its regions; None of a model that kept none."""
        try:
            slopes, reliability, uplift = (
                np.asarray(arrays[f"calibration_{name}"]) for name in ("slopes", "reliability", "uplift")
            )
        except KeyError:
            return None
        return cls(tuple(regions), slopes, reliability, uplift) if slopes.shape[1] == len(regions) + 1 else None

    def figures(self) -> list["Figure"]:
        """Slopes (part 0, 1 predicted; NaN where there is nothing to tell), then tenths 1 to 10 that hold decisions."""
        names, found = (*self.regions, ALL), []
        for kind, of_kind in zip(KINDS, self.slopes, strict=True):
            rows = zip(names, of_kind, self.reliability[:, :, 0].sum(axis=1), strict=True)
            found += [Figure(f"slope of {kind}", name, 0, int(n), 1.0, *map(float, told)) for name, told, n in rows]
        parts = [("reliability", name, table) for name, table in zip(names, self.reliability, strict=True)]
        for measure, name, table in [*parts, ("uplift", ALL, self.uplift)]:
            found += [
                Figure(measure, name, part, int(row[0]), *map(float, row[1:]))
                for part, row in enumerate(table, 1)
                if row[0]
            ]
        return found

    def lines(self) -> list[str]:
        """The figures as CSV; a slope's part is empty."""
        lines = [",".join(Figure._fields)]
        for row in self.figures():
            told = ",".join(f"{value:.6g}" for value in row[4:])
            lines.append(f"{row.measure},{row.region},{row.part or ''},{row.decisions},{told}")
        return lines


class Figure(NamedTuple):
    """A line of what is kept: of ``slope of chance`` or ``slope of artwork``, ``reliability`` or ``uplift``."""

    measure: str
    region: str  # * all of them
    part: int  # tenth of the predicted chance or gain, 0 of a slope
    decisions: int
    predicted: float
    observed: float
    standard_error: float


@dataclass(frozen=True)
class _Late:
    """A block's late decisions under the model, (rows,) each."""

    member: np.ndarray
    region: np.ndarray
    take: np.ndarray
    alone: np.ndarray  # log odds of the offset
    odds: np.ndarray  # with the artwork's share
    gain: np.ndarray  # predicted chance of the greedy artwork over the drawn one's expectation
    came: np.ndarray  # the same from what was logged


def _late_rows(block: Mapping[str, np.ndarray], judged: Judged) -> _Late:
    """The block's late decisions; on kids' profiles the member has no part in the prediction."""
    late, base = block["late"], judged.base
    rows = rows_of(block, base, judged.effects, judged.features).where(late)
    alone = base.offset.log_odds(block["group"], base.covariates(block))[late]
    region, taste = (block["group"] % base.regions)[late], rows.z @ judged.weights
    personal = block["personal"][late]
    own = np.einsum("rp,rp->r", taste[rows.member], rows.x[rows.combination]) * personal
    served, design = block["artwork"][rows.combination], block["design"][rows.combination]
    gain, came = _uplifts(
        alone, rows.take, region, personal, taste, rows.member, served, design,
        block["design_offsets"], block["design_artworks"], block["design_shares"], judged.effects, judged.features,
    )  # fmt: skip
    return _Late(rows.member, region, rows.take, alone, rows.offset + own, gain, came)


@njit(cache=True)
def _uplifts(
    alone, take, region, personal, taste, member, served, design, offsets, artworks, shares, effects, features
):
    """Predicted gain of the greedy artwork over the logged draw, and its doubly robust estimate, row by row."""
    gains, cames = np.zeros(len(take)), np.zeros(len(take))
    for r in range(len(take)):
        start, end = offsets[design[r]], offsets[design[r] + 1]
        own, centre = np.zeros(end - start), 0.0
        if personal[r]:
            for c in range(start, end):
                for p in range(features.shape[1]):
                    own[c - start] += taste[member[r], p] * features[artworks[c], p]
                centre += shares[c] * own[c - start]
        best, top, expected, said, share = -1, -np.inf, 0.0, 0.0, 1.0
        for c in range(start, end):
            odds = alone[r] + effects[region[r], artworks[c]] + own[c - start] - centre
            chance = 1.0 / (1.0 + np.exp(-odds))
            expected += shares[c] * chance
            if chance > top:
                best, top = artworks[c], chance
            if artworks[c] == served[r]:
                said, share = chance, shares[c]
        gains[r] = top - expected
        weight = 1.0 / share if served[r] == best else 0.0
        cames[r] = gains[r] + (weight - 1.0) * (take[r] - said)
    return gains, cames


def calibration(total: Total, judged: Judged, regions: Sequence[str]) -> Calibration:
    """Two passes: where the tenths lie and a first slope; then the tenths and each slope's second Newton step."""
    start = np.tile([0.0, 1.0], (len(KINDS), len(regions) + 1, 1))
    first = total(lambda block: _looked(block, judged, start))
    moved = start + _steps(first)[0]
    edges = [_quantiles(first[name], bins) for name, bins in (("odds", ODDS_BINS), ("gains", GAIN_BINS))]
    found = total(lambda block: _counted(block, judged, moved, edges))
    step, variance = _steps(found)
    slopes = np.stack([(moved + step)[..., 1], np.sqrt(variance)], axis=-1)
    return Calibration(tuple(regions), slopes, _means(found["reliability"]), _means(found["uplift"])[0])


def _looked(block: Mapping[str, np.ndarray], judged: Judged, parameters: np.ndarray) -> Arrays:
    late = _late_rows(block, judged)
    return _slope_sums(late, judged.base.regions, parameters) | {
        "odds": np.histogram(np.clip(late.odds, -14.9, 14.9), ODDS_BINS)[0],
        "gains": np.histogram(np.clip(late.gain, 0, 1), GAIN_BINS)[0],
    }


def _counted(
    block: Mapping[str, np.ndarray], judged: Judged, parameters: np.ndarray, edges: Sequence[np.ndarray]
) -> Arrays:
    late, regions = _late_rows(block, judged), judged.base.regions
    chance, part = expit(late.odds), np.searchsorted(edges[0], late.odds)
    everywhere = np.full(len(part), regions)
    reliability = sum(
        _parts(late.member, where, regions + 1, part, chance, late.take) for where in (late.region, everywhere)
    )
    gained = np.searchsorted(edges[1], late.gain)
    uplift = _parts(late.member, np.zeros(len(gained), np.int64), 1, gained, late.gain, late.came)
    return _slope_sums(late, regions, parameters) | {"reliability": np.asarray(reliability), "uplift": uplift}


def _slope_sums(late: _Late, regions: int, parameters: np.ndarray) -> Arrays:
    """``score`` (2, R + 1, 2), ``information`` and, clustered by member, ``spread`` (2, R + 1, 2, 2)."""
    shape = (len(KINDS), regions + 1)
    score, information, spread = np.zeros((*shape, 2)), np.zeros((*shape, 2, 2)), np.zeros((*shape, 2, 2))
    parts = ((np.zeros_like(late.odds), late.odds), (late.alone, late.odds - late.alone))
    for kind, (fixed, part) in enumerate(parts):
        for where in (late.region, np.full(len(late.take), regions)):
            a, b = parameters[kind, where].T
            chance = expit(a + fixed + b * part)
            columns = np.stack([np.ones_like(part), part])
            each = columns * (late.take - chance)
            weight = chance * (1 - chance)
            owner, group = _clusters(late.member, where, regions + 1)
            of_member = np.stack([np.bincount(owner, column, len(group)) for column in each])
            for i, j in np.ndindex(2, 2):
                information[kind, :, i, j] += np.bincount(where, weight * columns[i] * columns[j], regions + 1)
                spread[kind, :, i, j] += np.bincount(group, of_member[i] * of_member[j], regions + 1)
            score[kind] += np.stack([np.bincount(where, column, regions + 1) for column in each], axis=1)
    return {"score": score, "information": information, "spread": spread}


def _clusters(member: np.ndarray, group: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Each row's index among the pairs of member and group, and each pair's group."""
    pairs, owner = np.unique(member.astype(np.int64) * groups + group, return_inverse=True)
    return owner, pairs % groups


def _steps(sums: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Newton steps (2, R + 1, 2) and the slopes' variances (2, R + 1) by the sandwich; NaN where not identified."""
    information = sums["information"]
    volume = information[..., 0, 0] * information[..., 1, 1]
    known = volume - information[..., 0, 1] ** 2 > 1e-10 * np.maximum(volume, 1e-300)
    inverse = np.full_like(information, np.nan)
    inverse[known] = np.linalg.inv(information[known])
    variance = inverse @ sums["spread"] @ inverse
    return np.einsum("krij,krj->kri", inverse, sums["score"]), variance[..., 1, 1]


def _quantiles(counts: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Edges (9,) between tenths, as upper ends of fine bins."""
    at = np.searchsorted(np.cumsum(counts), counts.sum() * np.arange(1, PARTS) / PARTS)
    return bins[np.minimum(at + 1, len(bins) - 1)]


def _parts(
    member: np.ndarray, group: np.ndarray, groups: int, part: np.ndarray, predicted: np.ndarray, observed: np.ndarray
) -> np.ndarray:
    """(groups, 10, 6): decisions, sums predicted and observed; over members, squares of o, o n and n n."""
    slot = group * PARTS + part
    owner, place = _clusters(member, slot, groups * PARTS)
    n, o = np.bincount(owner, minlength=len(place)), np.bincount(owner, observed, len(place))
    sums = [np.bincount(slot, values, groups * PARTS) for values in (np.ones(len(slot)), predicted, observed)]
    sums += [np.bincount(place, values, groups * PARTS) for values in (o * o, o * n, n * n)]
    return np.stack(sums, axis=1).reshape(groups, PARTS, 6)


def _means(sums: np.ndarray) -> np.ndarray:
    """(..., 10, 4) of ``_parts``: decisions, means and the observed mean's error, clustered by member."""
    n, predicted, observed, oo, on, nn = np.moveaxis(sums, -1, 0)
    each = np.maximum(n, 1)
    mean = observed / each
    error = np.sqrt(np.maximum(oo - 2 * mean * on + mean**2 * nn, 0)) / each
    return np.stack([n, predicted / each, mean, error], axis=-1)
