"""Decisions as blocks: who they were of, what could have been shown, what came of it. The catalogue they are of.

``response`` says what a block holds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from keyart.learning.blocks import Arrays
from keyart.learning.members import member_vectors, standardised
from keyart.tracking import ModelArrays

__all__ = ["Artworks", "Counts", "block_builder"]


@dataclass(frozen=True)
class Artworks:
    """The artworks of the model, by title; ``title_index`` points into ``title_ids``."""

    artwork_ids: list[str]
    title_ids: list[str]
    title_index: np.ndarray  # (A,)
    vectors: np.ndarray  # (A, F) raw feature vectors
    active: np.ndarray  # (A,) may be shown now
    feature_version: str


@dataclass(frozen=True)
class Counts:
    """Sums of eligible decisions by region and artwork; (R, A) each."""

    regions: list[str]
    n: np.ndarray
    takes: np.ndarray
    quality: np.ndarray  # sum of quality over takes
    quality_squares: np.ndarray


def block_builder(
    artworks: Artworks,
    regions: Sequence[str],
    taste: ModelArrays,
    validation: date,
    weight_clip: float,
    examination: Mapping[str, np.ndarray] | None = None,
) -> Callable[[pa.Table], Arrays]:
    """Turns the rows of ``with_vectors`` of whole members, sorted, into a block as ``response`` describes it.

    ``validation`` is the first day of the late slice; ``examination`` is that of ``examination_of``.
    """
    looked_at = dict(examination or {})
    arrays = {name: np.array(taste.arrays[name]) for name in ("member_mean", "member_scale")}
    title_factors = _factors_of(artworks.title_ids, taste)
    ids, region_names = pa.array(artworks.artwork_ids), pa.array(list(regions))
    rank = title_factors.shape[1]

    def build(table: pa.Table) -> Arrays:
        artwork_index = pc.index_in(table.column("artwork_id"), ids)
        rows = table.filter(artwork_index.is_valid())
        keys = rows.column("user_key").combine_chunks().dictionary_encode()
        member = np.asarray(keys.indices).astype(np.int32)
        raw = _vectors(table.filter(table.column("history").is_valid()), keys.dictionary, arrays)
        artwork = np.asarray(artwork_index.drop_null()).astype(np.int32)
        title = artworks.title_index[artwork]
        design, designs = _designs(rows, ids)
        pairs, combination = np.unique(
            artwork.astype(np.int64) * (design.max(initial=0) + 1) + design, return_inverse=True
        )
        region = np.asarray(pc.index_in(rows.column("region"), region_names))
        covariates = [
            _numbers(rows, "ranker_score"),
            np.einsum("nr,nr->n", raw[member, :rank], title_factors[title]),
            np.log1p(_numbers(rows, "position")),
            np.log1p(_numbers(rows, "row")),
            np.log1p(_times_before(member, title, len(artworks.title_ids))),
            _examined(rows, looked_at),
        ]
        sizes = np.asarray(pc.list_value_length(rows.column("candidate_set")))
        return designs | {
            "z": standardised(arrays, raw).astype(np.float32),
            "member": member,
            "combination": combination.astype(np.int32),
            "artwork": (pairs // (design.max(initial=0) + 1)).astype(np.int32),
            "design": (pairs % (design.max(initial=0) + 1)).astype(np.int32),
            "group": (title * len(regions) + region).astype(np.int32),
            "context": _numbers(rows, "context").astype(np.int16),
            "take": _numbers(rows, "take").astype(np.uint8),
            "late": np.asarray(pc.greater_equal(rows.column("epoch"), pa.scalar(validation, pa.date32()))),
            "personal": ~np.asarray(rows.column("kids")),
            "weight": np.minimum(1 / (sizes * _numbers(rows, "propensity")), weight_clip).astype(np.float32),
            "covariates": np.stack(covariates, axis=1).astype(np.float32),
        }

    return build


def _examined(rows: pa.Table, examination: Mapping[str, np.ndarray]) -> np.ndarray:
    """Sum over the axes of the log probability that the row's place is looked at; NaN where no axis knows it."""
    logs = np.full((len(examination) + 1, rows.num_rows), np.nan)
    for known, (axis, by_place) in zip(logs, examination.items(), strict=False):
        place = _numbers(rows, axis)
        there = (place >= 0) & (place < len(by_place))
        known[there] = by_place[place[there].astype(np.int64)]
    return np.where(np.isfinite(logs).any(axis=0), np.nansum(logs, axis=0), np.nan)


def _factors_of(title_ids: Sequence[str], taste: ModelArrays) -> np.ndarray:
    """(T, rank) taste factors of these titles; a title that taste has not seen has affinity 0 to all."""
    known = {str(title): i for i, title in enumerate(cast(list[str], taste.about["title_ids"]))}
    factors = np.vstack([taste.arrays["titles"], np.zeros(taste.arrays["titles"].shape[1])])
    return factors[[known.get(title, -1) for title in title_ids]]


def _vectors(rows: pa.Table, keys: pa.Array, taste: Mapping[str, np.ndarray]) -> np.ndarray:
    """(members, K) raw vectors; a member without taste stands at the population's mean."""
    place = np.asarray(pc.fill_null(pc.index_in(rows.column("user_key"), keys), -1))
    found = np.tile(np.asarray(taste["member_mean"]), (len(keys), 1))
    if rows.num_rows:
        factors, mix = (
            pc.list_flatten(rows.column(name)).to_numpy().reshape(rows.num_rows, -1)
            for name in ("factors", "genre_mix")
        )
        z = member_vectors(factors, mix, rows.column("history").to_numpy())
        found[place[place >= 0]] = z[place >= 0]
    return found


def _designs(rows: pa.Table, ids: pa.Array) -> tuple[np.ndarray, Arrays]:
    """Index of each row's candidate distribution, and the distinct ones as sparse rows over the model's artworks.

    Candidates the model does not know are left out and the others' shares made to sum to 1.
    """
    _, first, design = np.unique(rows.column("design").to_numpy(), return_index=True, return_inverse=True)
    chosen = rows.select(["candidate_set", "candidate_propensities"]).take(pa.array(first))
    sizes = np.asarray(pc.list_value_length(chosen.column(0)))
    owner = np.repeat(np.arange(len(first)), sizes)
    artwork = np.asarray(pc.fill_null(pc.index_in(pc.list_flatten(chosen.column(0)), ids), -1))
    share = pc.list_flatten(chosen.column(1)).to_numpy()
    owner, artwork, share = owner[artwork >= 0], artwork[artwork >= 0], share[artwork >= 0]
    total = np.bincount(owner, share, len(first))
    return design, {
        "design_offsets": np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(first)))]).astype(np.int32),
        "design_artworks": artwork.astype(np.int32),
        "design_shares": share / total[owner],
    }


def _times_before(member: np.ndarray, title: np.ndarray, titles: int) -> np.ndarray:
    """How often each member had decisions of the same title before, rows being in order of time within a member."""
    pair = member.astype(np.int64) * titles + title
    order = np.argsort(pair, kind="stable")
    starts = np.flatnonzero(np.diff(pair[order], prepend=-1))
    times = np.empty(len(pair))
    times[order] = np.arange(len(pair)) - np.repeat(starts, np.diff(np.append(starts, len(pair))))
    return times


def _numbers(rows: pa.Table, name: str) -> np.ndarray:
    """A column as floats; null is NaN."""
    return pc.cast(rows.column(name), pa.float64()).to_numpy()
