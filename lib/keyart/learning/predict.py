"""How each kind of model answers from its arrays, in numpy alone: what MLflow serves and what tests compare with."""

from collections.abc import Callable, Mapping

import numpy as np

__all__ = ["PREDICTORS"]


def taste_scores(arrays: Mapping[str, np.ndarray], members: np.ndarray) -> np.ndarray:
    """Affinity of members to titles: factors (n, rank) times title factors (titles, rank) gives (n, titles)."""
    return members @ np.asarray(arrays["titles"]).T


PREDICTORS: dict[str, Callable[[Mapping[str, np.ndarray], np.ndarray], np.ndarray]] = {"als": taste_scores}
