"""One block of members' engagement, and what a pass over it gives: sums for the title half, moments, folded-in rows.

A block holds arrays: ``user_key`` (n,) bytes, ``user_bucket``, ``kids`` (n,), ``region_early``, ``region_late`` (n,)
bytes, ``present`` (n,) whether anything was seen of the member before t0; one entry an engagement: ``member`` and
``title`` (indices), ``early``, ``late`` (quality as of t0 and t1; NaN: none yet); ``searched_early`` and
``searched_late`` (n, genres); ``mark`` (1,) a sum of hashes of all that lies before t0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from keyart.learning import als
from keyart.learning.blocks import Arrays
from keyart.learning.members import genre_mix, member_vectors

__all__ = ["Folded", "TasteModel", "fold_in", "half", "moments", "population", "trained_on"]


@dataclass(frozen=True)
class TasteModel:
    """What turns engagement into a member's vectors; arrays of the catalogue's size only."""

    titles: np.ndarray  # (titles, rank) title factors
    genres: np.ndarray  # (titles, genres) how a title's engagement splits over genres
    prior: np.ndarray  # (genres,) the population's genre mix
    mean: np.ndarray  # (K,) of members' vectors
    l2: float
    alpha: float
    search_weight: float
    prior_strength: float
    held_out: int  # user buckets below this train nothing

    def with_titles(self, titles: np.ndarray) -> "TasteModel":
        """The same with other title factors."""
        return replace(self, titles=titles)


@dataclass(frozen=True)
class Folded:
    """Vectors of a block's members as of one day."""

    factors: np.ndarray  # (n, rank)
    mix: np.ndarray  # (n, genres)
    history: np.ndarray  # (n,) titles engaged with


def trained_on(block: Mapping[str, np.ndarray], titles: int, held_out: int) -> csr_array:
    """Qualities as of t0 of members that train: (members with any, titles)."""
    quality = _quality(block, "early", titles)
    return quality[(np.diff(quality.indptr) > 0) & (block["user_bucket"] >= held_out)]


def population(block: Mapping[str, np.ndarray], genres: np.ndarray, held_out: int) -> Arrays:
    """Members, engagements and engagement by genre before t0, and the sum of the rows' marks that names the data."""
    quality = trained_on(block, len(genres), held_out)
    return {
        "members": np.asarray(quality.shape[0]),
        "pairs": np.asarray(quality.nnz),
        "genres": (quality @ genres).sum(axis=0),
        "mark": np.asarray(block["mark"]),
    }


def half(block: Mapping[str, np.ndarray], model: TasteModel) -> Arrays:
    """The member half of an iteration on one block, and the sums its members add to the title half."""
    confidence = _confidence(trained_on(block, len(model.titles), model.held_out), model.alpha)
    return dict(vars(als.title_sums(confidence, als.member_factors(confidence, model.titles, model.l2))))


def moments(block: Mapping[str, np.ndarray], model: TasteModel) -> Arrays:
    """Count, sum and sum of squares of the training members' vectors as of t0."""
    folded = _vectors(block, model, "early")
    keep = (folded.history > 0) & (block["user_bucket"] >= model.held_out)
    z = member_vectors(folded.factors, folded.mix, folded.history)[keep]
    return {"n": np.asarray(len(z)), "sum": z.sum(axis=0), "squares": (z**2).sum(axis=0)}


def fold_in(block: Mapping[str, np.ndarray], model: TasteModel, as_of: str) -> Folded:
    """Vectors of all members, held out or not, as of ``early`` (t0) or ``late`` (t1), against the same title factors.

    Who has no history stands at the population's mean: nothing is known, so nothing is claimed.
    """
    folded = _vectors(block, model, as_of)
    rank, unknown = model.titles.shape[1], folded.history == 0
    folded.factors[unknown] = model.mean[:rank]
    no_genres = unknown & (block[f"searched_{as_of}"].sum(axis=1) == 0)
    folded.mix[no_genres] = model.mean[rank:]
    return folded


def _vectors(block: Mapping[str, np.ndarray], model: TasteModel, as_of: str) -> Folded:
    quality = _quality(block, as_of, len(model.titles))
    factors = als.member_factors(_confidence(quality, model.alpha), model.titles, model.l2)
    engaged = quality @ model.genres + model.search_weight * block[f"searched_{as_of}"]
    return Folded(factors, genre_mix(engaged, model.prior, model.prior_strength), np.diff(quality.indptr))


def _quality(block: Mapping[str, np.ndarray], as_of: str, titles: int) -> csr_array:
    known, members = np.isfinite(block[as_of]), len(block["user_key"])
    offsets = np.concatenate([[0], np.cumsum(np.bincount(block["member"][known], minlength=members))])
    return csr_array((block[as_of][known].astype(np.float64), block["title"][known], offsets), shape=(members, titles))


def _confidence(quality: csr_array, alpha: float) -> csr_array:
    return csr_array((1 + alpha * quality.data, quality.indices, quality.indptr), shape=quality.shape)
