"""How each kind of model answers from its arrays, in numpy alone: what MLflow serves and what tests compare with."""

from collections.abc import Callable, Mapping

import numpy as np

from keyart.learning.members import standardised

__all__ = ["PREDICTORS", "taste_scores", "user_scores"]


def taste_scores(arrays: Mapping[str, np.ndarray], members: np.ndarray) -> np.ndarray:
    """Affinity of members to titles: factors (n, rank) times title factors (titles, rank) gives (n, titles)."""
    return members @ np.asarray(arrays["titles"]).T


def user_scores(arrays: Mapping[str, np.ndarray], members: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Logs of expected reward relative to the title's average artwork, (n, artworks).

    ``members`` are vectors (n, K) of ``members.member_vectors``, ``cells`` (n,) the index among the model's cells of
    each member's region, or of what stands in for it. Scores compare within a title only.
    """
    taste = standardised(arrays, members) @ np.asarray(arrays["weights"])
    return np.asarray(arrays["cell_mean"])[cells] + taste @ np.asarray(arrays["features"]).T


def response_scores(arrays: Mapping[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
    """``user_scores`` of rows (n, K + 1): a member's vector and, last, the index of their cell."""
    return user_scores(arrays, rows[:, :-1], rows[:, -1].astype(np.int64))


PREDICTORS: dict[str, Callable[[Mapping[str, np.ndarray], np.ndarray], np.ndarray]] = {
    "als": taste_scores,
    "response": response_scores,
}
