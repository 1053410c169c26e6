"""What tells a dissolve from motion, light and things that pass: features of windows of frames.

Two pictures laid over each other lie on the line between them and have less detail than either, by a known amount. As
for cuts, changes across a window stand beside changes on either side of it, both as logarithms.
"""

from dataclasses import dataclass

import numpy as np

from keyart.video.shot_kernels import neighbour_products, pair_matches
from keyart.video.shot_views import FLOOR, Views

__all__ = ["BLEND_FEATURES", "Windows", "blend_windows"]

HALF_WINDOWS = (3, 4, 5, 6, 7, 8, 10, 12, 14, 17)
"""Half lengths in frames (of at most about 30 a second) of the windows in which a blend is looked for."""
LONG_HALF_WINDOWS = (10, 12, 14, 17)
"""The same in every other frame."""
BLOCK = 256
"""Frames whose thumbnails are widened to larger numbers together: memory, not speed."""
FAR_LAGS = (12, 30)
"""Frames past the window's ends at which a scene is looked for that an explosion or a title hid."""

BLEND_FEATURES = (
    "change luma quarter", "change luma all", "change detail quarter", "change detail all",
    "far luma quarter", "far luma all", "far detail quarter", "far detail all",
    "side luma quarter", "side luma all", "side detail quarter", "side detail all",
    "residual", "worst residual", "likeness", "dip", "bow", "misfit", "jump", "drop", "energy",
    "length",
)  # fmt: skip


@dataclass(frozen=True)
class Windows:
    """Windows in which a linear blend is possible, with first and last frame, the frame half way, and features."""

    first: np.ndarray
    last: np.ndarray
    halfway: np.ndarray
    features: np.ndarray


def blend_windows(views: Views, cuts: list[int], rate: float) -> Windows:
    """Windows between cuts whose frames lie near the line from the first to the last."""
    # Transitions last a time, not a number of frames: fast films are thinned for the search.
    stride = max(1, round(rate / 27))
    found = []
    for step, halves in ((stride, HALF_WINDOWS), (2 * stride, LONG_HALF_WINDOWS)):
        thin = views.thinned(step) if step > 1 else views
        if len(thin.thumbs) < 2 * min(halves) + 1:
            continue
        part = _windows(thin, sorted({-(-cut // step) for cut in cuts}), halves)
        features = part.features.copy()
        features[:, -1] += np.log(step / stride)
        found.append(Windows(part.first * step, part.last * step, part.halfway * step, features))
    if not found:
        none = np.zeros(0, np.int64)
        return Windows(none, none, none, np.zeros((0, len(BLEND_FEATURES))))
    names = ("first", "last", "halfway", "features")
    return Windows(*(np.concatenate([getattr(part, name) for part in found]) for name in names))


def _windows(views: Views, cuts: list[int], halves: tuple[int, ...]) -> Windows:
    n = len(views.thumbs)
    cut = np.zeros(n + 1, np.int64)
    cut[[c for c in cuts if c < n]] = 1
    cuts_to = np.r_[0, np.cumsum(cut)]
    # Where the shot that a frame belongs to begins and ends, as far as cuts tell.
    begins = np.maximum.accumulate(np.where(cut[:n] > 0, np.arange(n), 0))
    ends = np.minimum.accumulate(np.where(cut[1 : n + 1] > 0, np.arange(n), n - 1)[::-1])[::-1]
    products, means = _neighbour_products(views.thumbs, 2 * max(halves) + 1)
    detail = _gradient_energy(views.thumbs)
    parts = []
    for half in halves:
        middle = np.arange(half, n - half)
        middle = middle[cuts_to[middle + half + 1] == cuts_to[middle - half + 1]]
        if not len(middle):
            continue
        fit, halfway = _blend_fit(products, means, detail, middle, half)
        energy, residual, worst, likeness, dip, jump, drop, bow, misfit = fit.T
        near = np.maximum(views.spread[middle - half], views.spread[middle + half])
        # Looser than any of the dissolves that the weights were fitted on; the rest need not be matched.
        keep = (energy > 9) & (near > 3) & (residual < 0.3) & (worst < 0.6) & (likeness < 0.85) & (dip < 0.8)
        keep &= (bow < 1) & (misfit < 0.2) & (jump * 2 * half < 6) & (jump < 0.5) & (drop * 2 * half > -1)
        middle, fit, halfway = middle[keep], fit[keep], halfway[keep]
        first, last = middle - half, middle + half
        lag = min(2 * half, 6)
        before, after = np.maximum(first - lag, begins[first]), np.minimum(last + lag, ends[last])
        columns = []
        for planes in (views.luma, views.detail):
            change = pair_matches(planes, first, last)[:, [0, 2]]
            side = np.maximum(pair_matches(planes, before, first), pair_matches(planes, last, after))[:, [0, 2]]
            far = change
            for lag in FAR_LAGS:
                early, late = np.maximum(first - lag, begins[first]), np.minimum(last + lag, ends[last])
                far = np.minimum(far, pair_matches(planes, early, last)[:, [0, 2]])
                far = np.minimum(far, pair_matches(planes, first, late)[:, [0, 2]])
            columns.append(tuple(np.log(part + FLOOR) for part in (change, far, side)))
        energy, residual, worst, likeness, dip, jump, drop, bow, misfit = fit.T
        rest = [
            np.log(residual + 0.005), np.log(worst + 0.005), likeness, dip, bow, misfit,
            jump * 2 * half, drop * 2 * half, np.log(energy) / 2, np.full(len(middle), np.log(2 * half)),
        ]  # fmt: skip
        matches = [columns[channel][part] for part in range(3) for channel in range(2)]
        features = np.concatenate([*matches, np.stack(rest, 1)], 1)
        parts.append(Windows(first, last, first + halfway, features))
    names = ("first", "last", "halfway", "features")
    if not parts:
        none = np.zeros(0, np.int64)
        return Windows(none, none, none, np.zeros((0, len(BLEND_FEATURES))))
    return Windows(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _blend_fit(
    products: np.ndarray, means: np.ndarray, detail: np.ndarray, middle: np.ndarray, half: int
) -> tuple[np.ndarray, np.ndarray]:
    """How well the frames of each window lie on the line from its first to its last, (m, 9), and the frame half way.

    energy: squared difference of the ends, a pixel. residual, worst: mean and largest squared distance from the line,
    as shares of the energy. likeness: correlation of the ends, near 1 where only the light changed. dip: smallest
    gradient energy against the line between the ends': two pictures laid over each other cancel detail, and a camera
    that moves keeps it. bow: its mean; misfit: mean distance from what two unrelated pictures laid over each other
    would have, as a share of the line. jump, drop: largest and smallest step of the blend's share from frame to frame:
    near 1 for a cut.
    """
    first, last = middle - half, middle + half

    def inner(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        return products[np.minimum(i, j), np.abs(j - i)]

    aa, bb, ab = inner(first, first), inner(last, last), inner(first, last)
    energy = np.maximum(aa + bb - 2 * ab, 1e-6)
    shares, residuals, dips, misfits = [np.zeros(len(middle))], [], [], []
    for k in range(1, 2 * half):
        frame = first + k
        ma, mb = inner(frame, first), inner(frame, last)
        share = (mb - ma - ab + aa) / energy
        residuals.append((inner(frame, frame) + aa - 2 * ma) / energy - share**2)
        shares.append(share)
        line = detail[first] + (detail[last] - detail[first]) * k / (2 * half)
        left = np.clip(1 - share, 0, 1)
        laid_over = detail[first] * left**2 + detail[last] * (1 - left) ** 2
        line = np.maximum(line, 1e-6)
        dips.append(detail[frame] / line)
        misfits.append(np.abs(detail[frame] - laid_over) / line)
    share = np.stack([*shares, np.ones(len(middle))])
    residual, steps = np.maximum(np.stack(residuals), 0), np.diff(share, axis=0)
    variance = np.maximum(aa - means[first] ** 2, 1e-6) * np.maximum(bb - means[last] ** 2, 1e-6)
    likeness = (ab - means[first] * means[last]) / np.sqrt(variance)
    columns = [
        energy, residual.mean(axis=0), residual.max(axis=0), likeness, np.min(dips, axis=0), steps.max(axis=0),
        steps.min(axis=0), np.minimum(np.mean(dips, axis=0), 2), np.minimum(np.mean(misfits, axis=0), 2),
    ]  # fmt: skip
    return np.stack(columns, axis=1), (share >= 0.5).argmax(axis=0)


def _gradient_energy(thumbs: np.ndarray) -> np.ndarray:
    """Mean squared gradient of each thumbnail."""
    energy = np.empty(len(thumbs), np.float32)
    for begin in range(0, len(thumbs), BLOCK):
        block = thumbs[begin : begin + BLOCK].astype(np.int16)
        across, down = (np.diff(block, axis=axis).astype(np.float32) for axis in (2, 1))
        energy[begin : begin + BLOCK] = (across**2).mean(axis=(1, 2)) + (down**2).mean(axis=(1, 2))
    return energy


def _neighbour_products(thumbs: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean products (n, reach) of every frame with itself and the next ones, 0 past the end; and means; about 128."""
    # Of single precision, about the middle grey: differences of products must not drown.
    centred = thumbs.reshape(len(thumbs), -1).astype(np.float32) - 128
    return neighbour_products(centred, reach), centred.mean(axis=1, dtype=np.float64)
