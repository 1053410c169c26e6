"""What tells a cut from motion, light and things that pass: features of the frames that may begin a shot.

Changes across a frame stand beside changes within either side over as many frames, both as logarithms, so that a
weighted sum compares their ratio and a film's contrast drops out.
"""

import numpy as np

from keyart.video.shot_kernels import cut_matches
from keyart.video.shot_views import FLOOR, Views

__all__ = ["CUT_FEATURES", "cut_candidates"]

LEAST_CHANGE = 5.0
"""Grey levels in detail over all blocks that every cut of the training films exceeds; less is not looked at closely."""

CUT_FEATURES = (
    "near luma quarter", "near luma all", "near detail quarter", "near detail all",
    "far luma quarter", "far luma all", "far detail quarter", "far detail all",
    "side luma quarter", "side luma all", "side detail quarter", "side detail all",
    "calmer side luma", "calmer side detail", "step", "largest step near", "third step near", "median step near",
    "held motion",
)  # fmt: skip
"""Columns of ``cut_candidates``: logarithms of grey levels. near, far: across the frame; side: within either side."""


def cut_candidates(views: Views) -> tuple[np.ndarray, np.ndarray]:
    """Frames that may begin a shot, and their features (m, 19)."""
    adjacent = views.adjacent[:, 1]
    around = _ranked_neighbours(adjacent)
    frames = np.flatnonzero((adjacent > 1.0) & (adjacent > 1.1 * around[3]))
    frames = frames[frames > 0]
    step, whole = views.adjacent[frames, 2], _ranked_neighbours(views.adjacent[:, 2])[:, frames]
    parts = []
    tables = [cut_matches(views.detail, frames, LEAST_CHANGE)]
    possible = tables[0][:, 0, 2] >= LEAST_CHANGE
    frames, step, whole, tables[0] = frames[possible], step[possible], whole[:, possible], tables[0][possible]
    tables.insert(0, cut_matches(views.luma, frames, 0.0))
    for planes in tables:
        table = planes[:, :, [0, 2]]
        parts.append((table[:, 0], table[:, 1], np.maximum(table[:, 2], table[:, 3]), table[:, 2:4, 1].min(axis=1)))
    (nl, fl, sl, cl), (nd, fd, sd, cd) = parts
    held = _held_motion(views.adjacent[:, 2])[frames]
    columns = [nl, nd, fl, fd, sl, sd, cl[:, None], cd[:, None], step[:, None], whole[[-1, -3, 4]].T, held[:, None]]
    return frames, np.log(np.concatenate(columns, axis=1) + FLOOR)


def _ranked_neighbours(steps: np.ndarray) -> np.ndarray:
    """The eight steps nearest to every frame's own, (8, n), in ascending order; 0 past the film's ends."""
    n, padded = len(steps), np.pad(steps, 4)
    return np.sort(np.stack([padded[4 + k : 4 + k + n] for k in range(-4, 5) if k]), axis=0)


def _held_motion(whole: np.ndarray) -> np.ndarray:
    """At the end of a run of repeated frames, the motion that the run held back; 0 elsewhere."""
    held = np.zeros(len(whole))
    steps, run, before = whole.tolist(), 0, 0.0
    for frame, value in enumerate(steps):
        if value < 0.25:
            run += 1
            continue
        if 1 <= run <= 40:
            held[frame] = before * min(run, 10)
        # Not above the second largest step: a cut just before is no motion. Not above the last: a move that comes to
        # rest is no freeze.
        recent = sorted(steps[max(0, frame - 5) : frame + 1])
        run, before = 0, min(value, recent[-2]) if len(recent) > 1 else 0.0
    return held
