"""What is known of a member's taste as one vector: ALS factors and the mix of genres they engaged with."""

from collections.abc import Mapping, Sequence

import numpy as np

from keyart.errors import ModelError

__all__ = ["genre_mix", "member_names", "member_vectors", "standardised", "title_genres"]


def title_genres(genres: Sequence[Sequence[str]], order: Sequence[str]) -> np.ndarray:
    """(titles, genres) shares: a title's engagement is split evenly over its genres; no genres, no share."""
    place = {genre: i for i, genre in enumerate(order)}
    shares = np.zeros((len(genres), len(order)))
    for title, names in enumerate(genres):
        for name in set(names):
            shares[title, place[name]] = 1 / len(set(names))
    return shares


def genre_mix(engagement: np.ndarray, prior: np.ndarray, strength: float) -> np.ndarray:
    """Shares of engagement by genre, (n, genres), each row summing to 1.

    ``engagement`` is what a member put into each genre, (n, genres); ``prior`` the population's shares, which count as
    ``strength`` engagements: the posterior mean under a Dirichlet prior, so that one play does not make a taste.
    """
    return (engagement + strength * prior) / (engagement.sum(axis=1, keepdims=True) + strength)


def member_vectors(factors: np.ndarray, mix: np.ndarray, history: np.ndarray) -> np.ndarray:
    """Members' vectors z (n, K) from the columns of ``taste``: factors (n, rank), genre_mix (n, genres), history (n,).

    History is not a component: the rows are already shrunk by it (who has none stands at the population's mean).
    ModelError where the columns are not of the same members.
    """
    if not len(factors) == len(mix) == len(history):
        raise ModelError(f"taste columns of {len(factors)}, {len(mix)} and {len(history)} members do not go together")
    return np.concatenate([np.asarray(factors, np.float64), np.asarray(mix, np.float64)], axis=1)


def member_names(rank: int, genres: Sequence[str]) -> list[str]:
    """What each component of a member's vector is called."""
    return [f"factor {i + 1}" for i in range(rank)] + [f"genre {genre}" for genre in genres]


def standardised(arrays: Mapping[str, np.ndarray], members: np.ndarray) -> np.ndarray:
    """Vectors (n, K) on the scale the model was trained on: 0 is the average member, 1 one standard deviation."""
    return (members - np.asarray(arrays["member_mean"])) / np.asarray(arrays["member_scale"])
