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
        -0.268, -0.383, 0.649, 2.694, 1.352, 1.129, 0.888, 2.709,
        -0.392, 0.269, -0.683, -0.046, -0.737, 0.381, 1.152, -0.717,
        -1.324, -0.784, -0.983,
    ),
    bias=-19.643,
)  # fmt: skip

BLEND = Score(
    weights=(
        0.682, -0.187, -0.062, 1.744, 0.542, 0.079, 0.324, 1.634,
        -0.160, -0.143, -0.074, 1.121, -0.444, -0.277, -0.577, 1.634,
        -1.975, -33.802, -0.761, 2.253, -2.159, 1.042,
    ),
    bias=-6.854,
)  # fmt: skip
