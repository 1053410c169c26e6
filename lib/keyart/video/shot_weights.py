"""Weights of the scores of cuts and dissolves: logistic regressions on shot_cuts and shot_blends.

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
)  # fmt: skip

BLEND = Score(
    weights=(
        0.727, -0.131, 0.026, 1.702, 0.500, 0.206, 0.293, 1.668,
        -0.158, -0.176, -0.072, 1.016, -0.416, -0.326, -0.616, 2.526,
        -2.493, -33.290, -0.751, 1.995, -2.264, 1.047,
    ),
    bias=-6.931,
)  # fmt: skip
