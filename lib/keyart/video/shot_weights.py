"""Weights of the scores of cuts and dissolves: logistic regressions on the features of shot_features.

Written by bench/fit_shots.py, which composes training films of every kind from material that no test uses; do not edit.
"""

from dataclasses import dataclass

__all__ = ["BLEND", "CUT", "Score"]


@dataclass(frozen=True)
class Score:
    """Log odds: ``features @ weights + bias``."""

    weights: tuple[float, ...]
    bias: float


CUT = Score(
    weights=(
        -0.500, -0.122, 1.068, 2.262, 1.303, 0.932, 1.193, 2.311,
        -0.434, 0.372, -0.879, 0.147, -0.800, 0.426, 1.011, -0.624,
        -1.241, -0.766, -0.959,
    ),
    bias=-18.857,
)
BLEND = Score(
    weights=(
        0.686, -0.771, -0.662, 1.963, 1.016, 0.242, 0.417, 4.642,
        -0.120, -0.213, -0.935, 2.210, -1.992, 0.124, -2.267, -9.302,
        -0.965, 1.220, -2.149, 0.468,
    ),
    bias=-14.593,
)
