"""Which frames of a film are worth a closer look: sharp, well exposed, still, outside transitions, spread over time."""

import math
from dataclasses import dataclass

import numpy as np

from keyart.video.exchange import SIGNALS, Boundary

__all__ = ["Shot", "choose_candidates", "film_bars", "frame_quality", "lay_out_shots"]

COLUMN = {name: k for k, name in enumerate(SIGNALS)}
SLOT_SECONDS = 4.0
"""A long shot gives a candidate for every so many seconds."""
LEAST = 12
"""Candidates that every film of enough frames gives: short films and single takes are divided more finely."""
MARGIN_SECONDS = {"cut": 0.1, "start": 0.0, "dissolve": 0.5, "fade": 0.7}
"""Frames this near a boundary are still under its transition."""


@dataclass(frozen=True)
class Shot:
    """A shot as frame indices [start, end) and how it begins: start, cut, dissolve or fade."""

    start: int
    end: int
    transition_in: str


def lay_out_shots(frames: int, boundaries: list[Boundary]) -> list[Shot]:
    """The shots that the boundaries cut a film of so many frames into."""
    if frames == 0:
        return []
    starts = [Boundary(0, "start"), *(b for b in boundaries if 0 < b.frame < frames)]
    ends = [*(b.frame for b in starts[1:]), frames]
    return [Shot(begin.frame, end, begin.kind) for begin, end in zip(starts, ends, strict=True)]


def frame_quality(signals: np.ndarray, keyframe: np.ndarray) -> np.ndarray:
    """Technical quality of frames (n,) in [0, 1] from their signals (n, 16); comparable within a film.

    The product of sharpness (against the film's sharpest), exposure, contrast, stillness and even focus.
    """
    if not len(signals):
        return np.zeros(0)
    sharpness, blur = signals[:, COLUMN["sharpness"]], signals[:, COLUMN["motion_blur"]]
    sharp = np.clip(sharpness / max(float(np.quantile(sharpness, 0.95)), 1e-3), 0, 1)
    exposed = np.clip(1 - np.abs(signals[:, COLUMN["luma_mean"]] - 0.45) / 0.6, 0.05, 1)
    exposed *= 1 - np.clip(signals[:, COLUMN["shadows"]] + signals[:, COLUMN["highlights"]] - 0.3, 0, 0.7)
    contrast = np.clip(signals[:, COLUMN["luma_spread"]] / 0.15, 0.02, 1)
    still = np.exp(-signals[:, COLUMN["subject_motion"]] / 0.05 - signals[:, COLUMN["camera_motion"]] / 0.05)
    focused = 1 - np.clip(blur - 0.5, 0, 0.5)
    # An encoder spends most bits on keyframes: of two alike, the keyframe is cleaner and cheaper to fetch.
    return sharp * exposed * contrast**0.5 * still * focused * np.where(keyframe, 1.0, 0.97)


def choose_candidates(
    shots: list[Shot],
    seconds: np.ndarray,
    signals: np.ndarray,
    quality: np.ndarray,
    per_shot: int,
    most: int,
    damaged: np.ndarray | None = None,
) -> np.ndarray:
    """Frame indices of the candidates, ascending.

    Every shot is divided into at least ``per_shot`` stretches and the best frame of each is taken, at most ``most`` a
    film, shared out over its running time. Frames under a transition or showing nothing are left out, unless all are.
    """
    if not shots:
        return np.zeros(0, np.int64)
    usable = _outside_transitions(shots, seconds) & (signals[:, COLUMN["luma_spread"]] > 0.03)
    if damaged is not None:
        usable &= ~damaged
    if not usable.any():
        usable[:] = True
    length = _lasting(seconds)
    slot = min(SLOT_SECONDS, float(length.sum()) / LEAST)
    picks: dict[int, int] = {}
    for index, shot in enumerate(shots):
        own = np.arange(shot.start, shot.end)[usable[shot.start : shot.end]]
        lasting = float(length[shot.start : shot.end].sum())
        slots = min(len(own), max(per_shot, math.ceil(lasting / max(slot, 1e-6) - 1e-6)))
        for stretch in np.array_split(own, slots) if slots else []:
            picks[int(stretch[np.argmax(quality[stretch])])] = index
    chosen, owner = np.array(list(picks), np.int64), np.array(list(picks.values()), np.int64)
    return _spread_over_time(chosen, owner, seconds, quality, most) if len(chosen) > most else chosen


def _spread_over_time(
    chosen: np.ndarray, shot: np.ndarray, seconds: np.ndarray, quality: np.ndarray, most: int
) -> np.ndarray:
    """Of every part of the film the best, then the second best, until ``most``; in a part, shots take turns."""
    parts = max(1, most // 3)
    when = seconds[chosen] - seconds[0]
    part = np.minimum((when / max(float(seconds[-1] - seconds[0]), 1e-6) * parts).astype(int), parts - 1)
    turn = _rank_within(shot, -quality[chosen])
    rank = _rank_within(part, turn - quality[chosen] / 2)
    order = np.lexsort((-quality[chosen], rank))
    return np.sort(chosen[order[:most]])


def _rank_within(group: np.ndarray, value: np.ndarray) -> np.ndarray:
    """0 for the smallest value of each group, 1 for the next, ..."""
    order = np.lexsort((value, group))
    rank = np.empty(len(group), np.int64)
    rank[order] = np.arange(len(group)) - np.searchsorted(group[order], group[order])
    return rank


def film_bars(shots: list[Shot], signals: np.ndarray) -> np.ndarray:
    """Black bars to cut off each shot's pictures (shots, 2): shares of height and width.

    A bar counts where the shot keeps it throughout and half of the film has it; a dark sky is no bar.
    """
    bars = signals[:, [COLUMN["bar_top"], COLUMN["bar_left"]]]
    lit = signals[:, COLUMN["luma_mean"]] > 0.04
    if not lit.any():
        return np.zeros((len(shots), 2))
    usual = np.median(bars[lit], axis=0)
    kept = [
        np.quantile(own, 0.1, axis=0) if len(own) else np.zeros(2)
        for own in (bars[shot.start : shot.end][lit[shot.start : shot.end]] for shot in shots)
    ]
    return np.minimum(np.array(kept).reshape(-1, 2), usual)


def _outside_transitions(shots: list[Shot], seconds: np.ndarray) -> np.ndarray:
    usable = np.zeros(len(seconds), bool)
    kinds_after = [shot.transition_in for shot in shots[1:]] + ["start"]
    for shot, after in zip(shots, kinds_after, strict=True):
        own = seconds[shot.start : shot.end]
        quarter = float(own[-1] - own[0]) / 4  # short shots keep their middle
        begin = own[0] + min(MARGIN_SECONDS[shot.transition_in], quarter)
        end = own[-1] - min(MARGIN_SECONDS[after], quarter)
        usable[shot.start : shot.end] = (own >= begin) & (own <= end)
    return usable


def _lasting(seconds: np.ndarray) -> np.ndarray:
    """How long each frame is shown; the last as long as the one before."""
    if len(seconds) < 2:
        return np.full(len(seconds), 0.04)
    steps = np.diff(seconds)
    return np.append(steps, steps[-1])
