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
        -0.258, -0.391, 0.634, 2.698, 1.390, 1.145, 0.855, 2.679,
        -0.418, 0.266, -0.689, -0.035, -0.737, 0.391, 1.149, -0.708,
        -1.316, -0.792, -0.981,
    ),
    bias=-19.558,
)
BLEND = Score(
    weights=(
        0.708, -0.142, -0.015, 1.708, 0.503, 0.227, 0.280, 1.740,
        -0.168, -0.266, -0.058, 1.232, -0.466, -0.345, -0.620, 2.352,
        -1.920, -32.858, -0.734, 2.071, -2.245, 1.026,
    ),
    bias=-7.925,
)
