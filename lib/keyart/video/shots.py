"""Shot boundaries of a film from its luma thumbnails: cuts, dissolves and fades; flashes and freezes are none.

Cuts: two scenes that differ in every part, in light and in texture, over every pair of a frame before and one after, by
more than either changes by itself over as many frames. Dissolves: frames in between lie on the line that joins two
pictures (a linear blend leaves little residual) and lose detail. Both are weighed by a logistic score of such features
(shot_cuts, shot_blends), whose weights were fitted on composed films (shot_weights). Fades: the picture becomes
uniform.
"""

import numpy as np

from keyart.video.exchange import Boundary
from keyart.video.shot_blends import blend_windows
from keyart.video.shot_cuts import CUT_FEATURES, cut_candidates
from keyart.video.shot_kernels import NEAR, pair_matches
from keyart.video.shot_views import Views, content, look
from keyart.video.shot_weights import BLEND, CUT

__all__ = ["find_boundaries"]

STRETCH = 4096
"""Frames looked at together; what is held beside the thumbnails does not grow with the film."""
OVERLAP = 256
"""Frames that a stretch sees past either end of those it decides about."""
CUT_SCORE = -1.5
BLEND_SCORE = 0.0
"""Least log odds of a cut and of a dissolve. The films that the weights were fitted on hold several times as many
things that only look like a cut as others do: hence below 0 for cuts."""
AFTER_FREEZE = ("near luma quarter", "near luma all", "held motion")
"""A jump after a freeze is no cut where the motion held back explains half of it and a part of the scene stayed."""
FLAT, FLAT_SPAN, FLAT_SHARE = 4.0, 24.0, 0.25
"""A picture shows nothing below this standard deviation and distance of brightest and darkest (small lettering on black
has little deviation), and this share of the deviation on both sides."""
DIP_SHARE = 0.26
"""A picture is on its way through a colour below this share of the spread on both sides within half a second."""
FLASH = 5
"""Frames that a flash may last."""
SAME_SCENE, SAME_SHARE = 6.0, 0.3
"""Match in grey levels of luma and of detail, and share of the luma's deviation, below which two frames show the same
scene."""
STILL_ALIKE = 0.4
"""Correlation of a picture that fades with what is left of it, motion allowed for."""


def find_boundaries(thumbs: np.ndarray, rate: float = 25.0) -> list[Boundary]:
    """Boundaries in order of time from a film's luma thumbnails (n, 27, 48) uint8; ``rate`` is frames per second."""
    n = len(thumbs)
    if n < 3:
        return []
    window = content(thumbs)
    found: list[Boundary] = []
    for begin in range(0, n, STRETCH):
        end = min(n, begin + STRETCH)
        first = max(0, begin - OVERLAP)
        views = look(thumbs[first : end + OVERLAP], window)
        here = [Boundary(b.frame + first, b.kind) for b in _in_stretch(views, rate, at_start=first == 0)]
        found.extend(b for b in here if begin <= b.frame < end and (not found or b.frame - found[-1].frame > 3))
    return found


def _in_stretch(views: Views, rate: float, at_start: bool) -> list[Boundary]:
    fades, uniform = _fades(views, rate, at_start)
    cuts = [cut for cut in _cuts(views) if not uniform[max(0, cut - 3) : cut + 4].any()]
    blends = _blends(views, cuts, uniform, rate)
    found = [*(Boundary(f, "cut") for f in cuts), *(Boundary(f, "fade") for f in fades)]
    return sorted([*found, *(Boundary(f, "dissolve") for f in blends)])


def _cuts(views: Views) -> list[int]:
    """First frames after cuts, the surest of those closer than four frames to each other."""
    frames, features = cut_candidates(views)
    score = features @ np.array(CUT.weights) + CUT.bias
    part, whole, held = (np.exp(features[:, CUT_FEATURES.index(name)]) for name in AFTER_FREEZE)
    score[(held > whole / 2) & (part < whole / 3)] = -np.inf
    chosen: list[int] = []
    for k in np.argsort(-score, kind="stable").tolist():
        if score[k] <= CUT_SCORE:
            break
        if all(abs(frames[k] - other) > 3 for other in chosen):
            chosen.append(int(frames[k]))
    return sorted(chosen)


def _fades(views: Views, rate: float, at_start: bool) -> tuple[list[int], np.ndarray]:
    """First frames after each uniform run inside the film, and those runs; blinks of a scene that goes on are none."""
    n, plain, fades, uniform = len(views.spread), _is_plain(views), [], np.zeros(len(views.spread), bool)
    half = max(4, round(0.6 * rate))
    for begin, end in _uniform_runs(views, plain, rate):
        if begin > 0 and end < n:
            away = (np.arange(begin - 1, max(-1, begin - 1 - half), -1), np.arange(end, min(n, end + half)))
            if not plain[begin:end].any() and not all(_fades_away(views, frames) for frames in away):
                continue
            if end - begin <= FLASH and _is_sudden(views.spread, begin, end):
                continue  # what is a cut is seen through it
        uniform[begin:end] = True
        within = end < n and not (begin == 0 and at_start)
        if within and (begin == 0 or end - begin > rate / 2 or not _goes_on(views, begin, end)):
            fades.append(end)
    return fades, uniform


def _is_plain(views: Views) -> np.ndarray:
    return (views.spread < FLAT) & (views.span < FLAT_SPAN)


def _uniform_runs(views: Views, plain: np.ndarray, rate: float) -> list[tuple[int, int]]:
    """Runs of frames that show nothing, or far less than what is seen on both sides, half open."""
    spread, long, short = views.spread, max(8, round(1.5 * rate)), max(4, round(0.6 * rate))
    before, after = _peak_before(spread, long), _peak_before(spread[::-1], long)[::-1]
    # Where nothing is seen on one side for long, the picture is judged by itself.
    flat = plain & ((spread < FLAT_SHARE * np.minimum(before, after)) | (before < FLAT) | (after < FLAT))
    flat |= spread < DIP_SHARE * np.minimum(_peak_before(spread, short), _peak_before(spread[::-1], short)[::-1])
    edges = np.flatnonzero(np.diff(np.r_[False, flat, False].astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _is_sudden(spread: np.ndarray, begin: int, end: int) -> bool:
    """Whether the picture goes and comes at once: no ramp on either side of the run."""
    before, after = spread[max(0, begin - FLASH) : begin], spread[end : end + FLASH]
    return bool(before[-1] > before.max() / 2 and after[0] > after.max() / 2)


def _peak_before(values: np.ndarray, reach: int) -> np.ndarray:
    """Largest of the ``reach`` values up to each."""
    padded = np.pad(values, (reach - 1, 0), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, reach).max(axis=1)


def _fades_away(views: Views, frames: np.ndarray) -> bool:
    """Whether a picture ends at once or only loses contrast towards the uniform run that ``frames`` lead away from.

    Where the camera turns to a plain wall or the sky, another picture is seen before it is uniform.
    """
    spread = views.spread[frames]
    clear = int((spread > 0.8 * spread.max()).argmax())
    dim = int((spread > 0.4 * spread.max()).argmax())
    if clear <= 1 or dim == clear:
        return True
    one, other = (views.luma[frames[k]].astype(np.float64).ravel() for k in (clear, dim))
    return bool(np.corrcoef(one, other)[0, 1] > STILL_ALIKE)


def _goes_on(views: Views, begin: int, end: int) -> bool:
    """Whether the scene after a uniform run is that before it."""
    away = np.array([0, 1, 3, 7, 11])
    first, last = np.maximum(begin - 1 - away, 0), np.minimum(end + away, len(views.spread) - 1)
    luma, detail = (pair_matches(planes, first, last)[:, 1] for planes in (views.luma, views.detail))
    one, other = views.spread[first], views.spread[last]
    seen = (one > one.max() / 2) & (other > other.max() / 2)  # what is half faded away resembles anything
    alike = np.minimum(SAME_SCENE, SAME_SHARE * np.minimum(one, other))
    return bool((seen & (luma < alike) & (detail < SAME_SCENE)).any())


def _blends(views: Views, cuts: list[int], uniform: np.ndarray, rate: float) -> list[int]:
    """Frames at which linear blends are half way, surest first where windows overlap."""
    windows = blend_windows(views, cuts, rate)
    score = windows.features @ np.array(BLEND.weights) + BLEND.bias
    margin = 2 * max(1, round(rate / 27))
    nothing = np.r_[0, np.cumsum(uniform)]
    n, apart = len(uniform), np.array(cuts)
    chosen: list[tuple[int, int]] = []
    found = []
    for k in np.argsort(-score, kind="stable").tolist():
        if score[k] <= BLEND_SCORE:
            break
        first, last, frame = int(windows.first[k]), int(windows.last[k]), int(windows.halfway[k])
        if nothing[min(n, last + 3 * margin)] > nothing[max(0, first - 3 * margin)]:
            continue
        if len(apart) and np.abs(apart - frame).min() <= NEAR + margin:
            continue
        if all(last <= a + margin or first >= b - margin for a, b in chosen):
            chosen.append((first, last))
            found.append(frame)
    return sorted(found)
