"""Shot boundaries of a film from its luma thumbnails: cuts, dissolves and fades; flashes and freezes are none.

Cuts: the smallest block-matched mismatch over several pairs of a frame before and a frame after, against the motion
around it; a flash leaves one pair that matches. Dissolves: frames in between lie on the line that joins two sharp ones
(a linear blend leaves little residual) and lose detail, and the two differ by far more than either side moves. Fades:
the picture becomes uniform. Inner products of neighbouring frames, one matrix product a stretch, give every blend's
residual without touching pixels again.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from keyart.video.kernels import activity_since, mismatch, pair_mismatches

__all__ = ["Boundary", "find_boundaries"]

GRID = (24, 12)
"""Width and height of the planes that are block-matched."""

PAIRS = 3
"""Frames looked at on either side of a cut: flashes of up to two frames are seen through."""
CUT_RATIO = 1.75
CUT_LEAST = 4.0
"""A cut's mismatch: at least this many grey levels, and this many times the motion around it plus 2."""

HALF_WINDOWS = (4, 5, 6, 7, 8, 10, 12, 14, 17)
"""Half lengths in frames (of at most about 30 a second) of the windows in which a blend is looked for."""
BLEND_SCORE = 1.5
"""Least score of a dissolve; a car before a static camera reaches 1.35, slow pans 0.9, most dissolves 3."""
FLAT = 4.0
"""Standard deviation below which a thumbnail shows nothing: black, white or one colour."""
DULL = 8.0
"""Below this a frame is on its way into a fade and ends no blend."""


@dataclass(frozen=True, order=True)
class Boundary:
    """Where a shot begins (index of its first frame) and how: cut, dissolve or fade."""

    frame: int
    kind: str


def find_boundaries(thumbs: np.ndarray, rate: float = 25.0) -> list[Boundary]:
    """Boundaries in order of time from a film's luma thumbnails (n, 27, 48) uint8; ``rate`` is frames per second."""
    if len(thumbs) < 3:
        return []
    planes = np.stack([cv2.resize(thumb, GRID, interpolation=cv2.INTER_AREA) for thumb in thumbs])
    spread = thumbs.reshape(len(thumbs), -1).std(axis=1)
    fades, uniform = _fades(planes, spread < FLAT)
    cuts = [cut for cut in _cuts(planes) if not uniform[max(0, cut - 3) : cut + 4].any()]
    # Transitions last a time, not a number of frames: fast films are thinned for the search.
    stride = max(1, round(rate / 27))
    thinned = sorted({-(-cut // stride) for cut in cuts})
    blends = [frame * stride for frame in _blends(thumbs[::stride], planes[::stride], spread[::stride], thinned)]
    blends = [blend for blend in blends if all(abs(blend - other) > 12 * stride for other in (*cuts, *fades))]
    found = [*(Boundary(f, "cut") for f in cuts), *(Boundary(f, "fade") for f in fades)]
    return sorted([*found, *(Boundary(f, "dissolve") for f in blends)])


def _cuts(planes: np.ndarray) -> list[int]:
    adjacent, smallest = pair_mismatches(planes, PAIRS)
    n = len(planes)
    padded = np.pad(adjacent, 4, constant_values=-1)
    near = np.stack([padded[4 + k : 4 + k + n] for k in range(-4, 5) if k])
    motion = np.sort(near, axis=0)[-3]  # the third largest: a second cut close by does not hide this one
    motion = np.maximum(motion, _motion_before_freeze(adjacent))
    score = smallest / (np.maximum(motion, 0) + 2)
    strong = (score > CUT_RATIO) & (smallest > CUT_LEAST)
    cuts: list[int] = []
    for frame in np.flatnonzero(strong)[np.argsort(-score[strong], kind="stable")].tolist():
        if all(abs(frame - other) > 3 for other in cuts):
            cuts.append(frame)
    return sorted(cuts)


def _motion_before_freeze(adjacent: np.ndarray) -> np.ndarray:
    """At the end of a run of repeated frames, the motion that the run held back; 0 elsewhere."""
    held = np.zeros(len(adjacent))
    run, before = 0, 0.0
    for frame, value in enumerate(adjacent.tolist()):
        if value < 0.1:
            run += 1
            continue
        if 2 <= run <= 12:
            held[frame] = before * min(run, 4)
        run, before = 0, float(adjacent[max(0, frame - 2) : frame + 1].max())
    return held


def _fades(planes: np.ndarray, flat: np.ndarray) -> tuple[list[int], np.ndarray]:
    """First frames after each uniform run inside the film, and those runs; blinks of a scene that goes on are none."""
    edges = np.flatnonzero(np.diff(np.r_[False, flat, False].astype(np.int8)))
    fades, uniform = [], np.zeros(len(planes), bool)
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        inside = begin > 0 and end < len(planes)
        if inside and end - begin <= 4:
            before, after = planes[max(0, begin - 10)], planes[min(len(planes) - 1, end + 9)]
            blink = planes[begin - 1].std() > 15 and mismatch(planes[begin - 1], planes[end]) < 5
            if blink or mismatch(before, after) < 5:
                continue
        uniform[begin:end] = True
        if inside:
            fades.append(end)
    return fades, uniform


def _blends(thumbs: np.ndarray, planes: np.ndarray, spread: np.ndarray, cuts: list[int]) -> list[int]:
    """Frames at which linear blends are half way, strongest first where windows overlap."""
    n = len(thumbs)
    cut = np.zeros(n + 1, np.int64)
    cut[[c for c in cuts if c < n]] = 1
    cuts_to, dull_to = np.r_[0, np.cumsum(cut)], np.r_[0, np.cumsum(spread < DULL)]
    centred = (
        thumbs.reshape(n, -1).astype(np.float32) - 128
    )  # of single precision: differences of products must not drown
    products, means = _neighbour_products(centred, 2 * max(HALF_WINDOWS) + 1), centred.mean(axis=1, dtype=np.float64)
    activity, detail = activity_since(planes, cut), _detail(thumbs)
    found: list[tuple[float, int]] = []
    for half in HALF_WINDOWS:
        middle = np.arange(half, n - half)
        clear = cuts_to[middle + half + 1] == cuts_to[middle - half + 1]
        clear &= dull_to[middle + half + 1] == dull_to[middle - half]
        middle = middle[clear]
        if not len(middle):
            continue
        fit = _blend_fit(products, means, detail, middle, half)
        plausible = (fit.energy > 15**2) & (fit.jump < 0.34) & (fit.drop > -0.15)
        plausible &= (fit.dip < 0.7) & (fit.residual < 0.2) & (fit.worst < 0.3) & (fit.likeness < 0.85)
        for k in np.flatnonzero(plausible).tolist():
            first, last = int(middle[k]) - half, int(middle[k]) + half
            change = mismatch(planes[first], planes[last])
            still = max(activity[first], activity[min(last + 4, n - 1)])
            score = change / (still + 2) * (1 - fit.residual[k] / 0.2) * (1 - fit.worst[k] / 0.3)
            score *= 1 - max(fit.likeness[k], 0) / 0.9
            score *= 2 * (1 - fit.dip[k])
            if change > 3 and score > BLEND_SCORE:
                found.append((-score, first + int(fit.halfway[k])))
    chosen: list[int] = []
    for _, frame in sorted(found):
        if all(abs(frame - other) > 14 for other in chosen):
            chosen.append(frame)
    return sorted(chosen)


@dataclass(frozen=True)
class _Fit:
    """How well the frames of each window lie on the line from its first to its last, one value a window."""

    energy: np.ndarray
    """Squared difference of the two ends, a pixel."""
    residual: np.ndarray
    """Mean squared distance from the line, as a share of the energy."""
    worst: np.ndarray
    jump: np.ndarray
    """Largest step of the blend's share from one frame to the next: near 1 for a cut."""
    drop: np.ndarray
    likeness: np.ndarray
    """Correlation of the two ends: near 1 where only the light changed."""
    dip: np.ndarray
    """Smallest gradient energy against the line between the ends': two pictures laid over each other cancel detail, and
    a camera that moves keeps it."""
    halfway: np.ndarray
    """Frames from the first to where the blend passes a half."""


def _blend_fit(products: np.ndarray, means: np.ndarray, detail: np.ndarray, middle: np.ndarray, half: int) -> _Fit:
    first, last = middle - half, middle + half

    def inner(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        return products[np.minimum(i, j), np.abs(j - i)]

    aa, bb, ab = inner(first, first), inner(last, last), inner(first, last)
    energy = np.maximum(aa + bb - 2 * ab, 1e-6)
    shares, residuals, dip = [np.zeros(len(middle))], [], np.full(len(middle), np.inf)
    for k in range(1, 2 * half):
        frame = first + k
        ma, mb = inner(frame, first), inner(frame, last)
        share = (mb - ma - ab + aa) / energy
        residuals.append((inner(frame, frame) + aa - 2 * ma) / energy - share**2)
        shares.append(share)
        line = detail[first] + (detail[last] - detail[first]) * k / (2 * half)
        dip = np.minimum(dip, detail[frame] / np.maximum(line, 1e-6))
    share = np.stack([*shares, np.ones(len(middle))])
    residual, steps = np.stack(residuals), np.diff(share, axis=0)
    variance = np.maximum(aa - means[first] ** 2, 1e-6) * np.maximum(bb - means[last] ** 2, 1e-6)
    return _Fit(
        energy=energy,
        residual=residual.mean(axis=0),
        worst=residual.max(axis=0),
        jump=steps.max(axis=0),
        drop=steps.min(axis=0),
        likeness=(ab - means[first] * means[last]) / np.sqrt(variance),
        dip=dip,
        halfway=(share >= 0.5).argmax(axis=0),
    )


def _detail(thumbs: np.ndarray) -> np.ndarray:
    """Mean squared gradient of each thumbnail."""
    across, down = (np.diff(thumbs.astype(np.int16), axis=axis).astype(np.float32) for axis in (2, 1))
    return (across**2).mean(axis=(1, 2)) + (down**2).mean(axis=(1, 2))


def _neighbour_products(centred: np.ndarray, reach: int, stretch: int = 128) -> np.ndarray:
    """Mean products (n, reach) of every frame (n, pixels) with itself and the next ones; 0 past the end."""
    n, pixels = centred.shape
    products = np.zeros((n, reach))
    for begin in range(0, n, stretch):
        block = centred[begin : begin + stretch + reach]
        here = min(stretch, n - begin)
        table = block[:here] @ block.T / pixels
        for k in range(reach):
            line = np.diagonal(table, k)
            products[begin : begin + min(here, len(line)), k] = line[:here]
    return products
