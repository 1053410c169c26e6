"""What a film's frames say together: its shots, the frames to fetch, and how."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keyart.video.candidates import choose_candidates, film_bars, frame_quality, lay_out_shots
from keyart.video.exchange import SIGNALS, Boundary, Pick

__all__ = ["FoundCandidate", "FoundShot", "digest_film"]


@dataclass(frozen=True)
class FoundShot:
    """A row of the ``shots`` table without its ids."""

    shot_id: int
    start_pts: int
    end_pts: int
    start_seconds: float
    end_seconds: float
    start_frame: int
    end_frame: int
    transition_in: str
    luma_mean: float
    warmth: float
    motion: float


@dataclass(frozen=True)
class FoundCandidate:
    """What the ``candidates`` table tells of a frame before its picture is fetched, and how to fetch it."""

    pick: Pick
    seconds: float
    shot_id: int
    shot_share: float
    position: float
    camera_motion: float
    subject_motion: float
    quality: float


def digest_film(
    pts: np.ndarray,
    keyframe: np.ndarray,
    damaged: np.ndarray,
    signals: np.ndarray,
    boundaries: Sequence[Boundary],
    time_base: float,
    per_shot: int,
    most: int,
) -> tuple[Sequence[FoundShot], Sequence[FoundCandidate]]:
    """Shots and candidates of a film from all its frames in order of time; ``time_base`` is seconds per pts."""
    n = len(pts)
    if n == 0:
        return [], []
    step = int(np.median(np.diff(pts))) if n > 1 else 1
    ends = np.append(pts[1:], pts[-1] + max(1, step))
    seconds = pts * time_base
    shots = lay_out_shots(n, list(boundaries))
    column = {name: signals[:, k] for k, name in enumerate(SIGNALS)}
    found_shots = [
        FoundShot(
            shot_id=index,
            start_pts=int(pts[shot.start]),
            end_pts=int(ends[shot.end - 1]),
            start_seconds=float(seconds[shot.start]),
            end_seconds=float(ends[shot.end - 1] * time_base),
            start_frame=shot.start,
            end_frame=shot.end,
            transition_in=shot.transition_in,
            luma_mean=float(column["luma_mean"][shot.start : shot.end].mean()),
            warmth=float(column["warmth"][shot.start : shot.end].mean()),
            motion=float(column["difference"][shot.start : shot.end - 1].mean()) if shot.end > shot.start + 1 else 0.0,
        )
        for index, shot in enumerate(shots)
    ]
    quality = frame_quality(signals, keyframe)
    bars = film_bars(shots, signals)
    chosen = choose_candidates(shots, seconds, signals, quality, per_shot, most, damaged)
    owner = np.searchsorted([shot.start for shot in shots], chosen, side="right") - 1
    keys = np.append(-1, np.flatnonzero(keyframe))
    entry = keys[np.searchsorted(keys, chosen, side="right") - 1]
    whole = float((ends[-1] - pts[0]) * time_base)
    candidates = [
        FoundCandidate(
            # The first keyframe is the film's beginning, where no index is needed.
            pick=Pick(int(pts[k]), int(pts[e]) if e > 0 else None, float(bars[s, 0]), float(bars[s, 1])),
            seconds=float(seconds[k]),
            shot_id=int(s),
            shot_share=(found_shots[s].end_seconds - found_shots[s].start_seconds) / max(whole, 1e-9),
            position=k / max(1, n - 1),
            camera_motion=float(column["camera_motion"][k]),
            subject_motion=float(column["subject_motion"][k]),
            quality=float(quality[k]),
        )
        for k, s, e in zip(chosen.tolist(), owner.tolist(), entry.tolist(), strict=True)
    ]
    return found_shots, candidates
