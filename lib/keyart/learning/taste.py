"""One block of members' engagement, and what a pass over it gives: sums for the title half, moments, folded-in rows.

A block holds arrays: ``user_key`` (n,) bytes, ``user_bucket``, ``kids`` (n,), ``region_early``, ``region_late`` (n,)
bytes, ``present`` (n,) whether anything was seen of the member before t0; one entry an engagement: ``member`` and
``title`` (indices), ``early``, ``late`` (quality as of t0 and t1; NaN: none yet); ``searched_early`` and
``searched_late`` (n, genres); ``mark`` (1,) a sum of hashes of all that lies before t0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from keyart.learning.als import Against, Ridge, TitleSums, member_factors
from keyart.learning.blocks import Arrays
from keyart.learning.members import genre_mix, member_vectors

__all__ = ["Folded", "TasteModel", "add_half", "fold_in", "misfit", "moments", "population", "trained_on"]


@dataclass(frozen=True)
class TasteModel:
    """What turns engagement into a member's vectors; arrays of the catalogue's size only."""

    titles: np.ndarray  # (titles, rank) title factors; 0 for a title nobody engaged with in training
    genres: np.ndarray  # (titles, genres) how a title's engagement splits over genres
    prior: np.ndarray  # (genres,) the population's genre mix
    mean: np.ndarray  # (K,) of members' vectors
    ridge: Ridge
    engagements: np.ndarray  # (titles,) with each title, in training
    alpha: float
    search_weight: float
    prior_strength: float
    held_out: int  # user buckets below this train nothing

    def with_titles(self, titles: np.ndarray) -> "TasteModel":
        """The same with other title factors."""
        return replace(self, titles=titles)

    @cached_property
    def title_l2(self) -> np.ndarray:
        """(titles,) strength of each title's L2."""
        return self.ridge.of(self.engagements)

    @cached_property
    def against(self) -> Against:
        """The title factors as members are solved against them."""
        return Against.titles(self.titles)


@dataclass(frozen=True)
class Folded:
    """Vectors of a block's members as of one day."""

    factors: np.ndarray  # (n, rank)
    mix: np.ndarray  # (n, genres)
    history: np.ndarray  # (n,) titles engaged with
    known: np.ndarray  # (n,) whether any of them has a factor


def trained_on(block: Mapping[str, np.ndarray], titles: int, held_out: int) -> csr_array:
    """Qualities as of t0, (members, titles); the rows of members who are held out are empty."""
    return _quality(block, "early", titles, block["user_bucket"] >= held_out)


def population(block: Mapping[str, np.ndarray], genres: np.ndarray, held_out: int) -> Arrays:
    """Members, engagements and engagement by genre before t0, and the sum of the rows' marks that names the data."""
    quality = trained_on(block, len(genres), held_out)
    return {
        "members": np.asarray(np.count_nonzero(np.diff(quality.indptr))),
        "engagements": np.bincount(quality.indices, minlength=len(genres)),
        "genres": (quality @ genres).sum(axis=0),
        "mark": np.asarray(block["mark"]),
    }


def add_half(sums: TitleSums, block: Mapping[str, np.ndarray], model: TasteModel, titles: slice) -> None:
    """The member half of an iteration on one block, and what its members add to the title half of some titles."""
    confidence = _confidence(trained_on(block, len(model.titles), model.held_out), model.alpha)
    members, value = member_factors(confidence, model.against, model.ridge)
    sums.add(confidence, members, value, titles)


def misfit(block: Mapping[str, np.ndarray], model: TasteModel) -> Arrays:
    """A block's part of the objective with its members at their best; of the titles' L2 it knows nothing."""
    confidence = _confidence(trained_on(block, len(model.titles), model.held_out), model.alpha)
    return {"value": np.asarray(member_factors(confidence, model.against, model.ridge)[1])}


def moments(block: Mapping[str, np.ndarray], model: TasteModel) -> Arrays:
    """Count, sum and sum of squares of the training members' vectors as of t0."""
    folded = _vectors(block, model, "early")
    keep = (folded.history > 0) & (block["user_bucket"] >= model.held_out)
    z = member_vectors(folded.factors, folded.mix, folded.history)[keep]
    return {"n": np.asarray(len(z)), "sum": z.sum(axis=0), "squares": (z**2).sum(axis=0)}


def fold_in(block: Mapping[str, np.ndarray], model: TasteModel, as_of: str) -> Folded:
    """Vectors of all members, held out or not, as of ``early`` (t0) or ``late`` (t1), against the same title factors.

    Who has no history with titles that have factors stands at the population's mean: nothing is known, so nothing is
    claimed.
    """
    folded = _vectors(block, model, as_of)
    rank = model.titles.shape[1]
    folded.factors[~folded.known] = model.mean[:rank]
    no_genres = (folded.history == 0) & (block[f"searched_{as_of}"].sum(axis=1) == 0)
    folded.mix[no_genres] = model.mean[rank:]
    return folded


def _vectors(block: Mapping[str, np.ndarray], model: TasteModel, as_of: str) -> Folded:
    quality = _quality(block, as_of, len(model.titles), np.ones(len(block["user_key"]), dtype=bool))
    factors, _ = member_factors(_confidence(quality, model.alpha), model.against, model.ridge)
    engaged = quality @ model.genres + model.search_weight * block[f"searched_{as_of}"]
    known = csr_array((np.ones(quality.nnz), quality.indices, quality.indptr), quality.shape) @ model.titles.any(axis=1)
    mix = genre_mix(engaged, model.prior, model.prior_strength)
    return Folded(factors, mix, np.diff(quality.indptr), known > 0)


def _quality(block: Mapping[str, np.ndarray], as_of: str, titles: int, who: np.ndarray) -> csr_array:
    known, members = np.isfinite(block[as_of]) & who[block["member"]], len(who)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(block["member"][known], minlength=members))])
    return csr_array((block[as_of][known].astype(np.float64), block["title"][known], offsets), shape=(members, titles))


def _confidence(quality: csr_array, alpha: float) -> csr_array:
    return csr_array((1 + alpha * quality.data, quality.indices, quality.indptr), shape=quality.shape)
