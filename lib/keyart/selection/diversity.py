"""A small set of good pictures that differ: near-duplicates off, then maximal marginal relevance."""

from dataclasses import dataclass

import numpy as np

from keyart.selection.ranking import Candidates, Ranking, column
from keyart.vision.hashing import hamming

__all__ = ["Choice", "choose", "distances", "without_near_duplicates"]

PARTS: tuple[tuple[float, float, tuple[tuple[str, float], ...]], ...] = (
    # weight of the part, root mean square that counts as wholly different, features with their scale
    (
        0.28,
        0.25,
        (
            *(("brightness", 1), ("contrast", 1), ("saturation", 1), ("colourfulness", 1)),
            *(("warmth", 1), ("hue_x", 0.5), ("hue_y", 0.5)),
        ),
    ),
    (0.20, 0.30, (("face_count", 1), ("closeness", 1), ("face_x", 0.5))),
    (
        0.18,
        0.25,
        (
            *(("negative_space", 1), ("negative_side", 0.5), ("subject_x", 0.5), ("subject_y", 0.5)),
            *(("detail", 2), ("depth_of_field", 0.5)),
        ),
    ),
)
HASH_WEIGHT, HASH_SCALE = 0.20, 28
"""Bits of 64 that differ between unrelated pictures: about 28."""
TIME_WEIGHT, TIME_SHARE = 0.14, 1 / 8
"""Share of the film's length after which two moments count as wholly different."""
TIME_SECONDS = 10.0
"""They never do sooner: in a film of seconds all is one moment."""
SAME_BITS = 7
"""Hash bits that may differ between pictures that are the same to a viewer, whatever their features say."""
NEAR_BITS, NEAR_DISTANCE = 18, 0.22
"""Looser bound on the bits where the distance is small too: the same shot a moment later."""
LEAST_DISTANCE = 0.36
"""A picture nearer than this to a chosen one adds nothing, even if there is room. Measured: moments of one shot are
0.1 to 0.37 apart, different shots 0.5 to 1."""
SAME_SHOT_DISTANCE = 0.55
"""The same within one shot, where the film has shots enough to choose from."""
LEAST_SHARE = 0.45
"""Share of the best score below which a picture is not shown for being different alone."""


@dataclass(frozen=True)
class Choice:
    """Indices chosen, best score first; a verdict in words for each of the N candidates; least_bad: none was usable."""

    chosen: list[int]
    verdicts: list[str]
    least_bad: bool


def distances(candidates: Candidates, index: int) -> np.ndarray:
    """(N,) how different each candidate looks from ``index``, [0, 1]: palette, faces, composition, hash, time."""
    total = np.zeros(len(candidates.hashes))
    for weight, scale, names in PARTS:
        squares = [
            ((column(candidates.features, n) - column(candidates.features, n)[index]) * s) ** 2 for n, s in names
        ]
        total += weight * np.minimum(1, np.sqrt(np.mean(squares, axis=0)) / scale)
    bits = hamming(candidates.hashes, candidates.hashes[index])
    length = float(np.ptp(candidates.seconds))
    apart = np.abs(candidates.seconds - candidates.seconds[index]) / max(length * TIME_SHARE, TIME_SECONDS)
    return total + HASH_WEIGHT * np.minimum(1, bits / HASH_SCALE) + TIME_WEIGHT * np.minimum(1, apart)


def choose(candidates: Candidates, ranking: Ranking, most: int, diversity: float) -> Choice:
    """At most ``most`` of the usable candidates; the least bad one where none is usable, so that a title has a picture.

    Maximal marginal relevance (Carbonell and Goldstein 1998): the next picture maximises
    (1 - diversity) x score + diversity x distance to the nearest chosen. Ties go to the earlier moment.
    """
    verdicts = [f"not usable: {problem}" if problem else "" for problem in ranking.problem]
    if not len(ranking.score):
        return Choice([], verdicts, False)
    if not ranking.usable.any():
        best = int(np.lexsort((candidates.seconds, -ranking.score))[0])
        return Choice([best], verdicts, True)
    pool = without_near_duplicates(candidates, ranking, verdicts)
    relative = ranking.score / max(float(ranking.score[ranking.usable].max()), 1e-9)
    weak = pool & (relative < LEAST_SHARE)
    for index in np.flatnonzero(weak):
        verdicts[index] = "scored far less than the best"
    pool &= ~weak
    order = np.lexsort((candidates.seconds, -ranking.score))
    scale = _spread(candidates, order[pool[order]])
    chosen: list[int] = []
    nearest = np.ones(len(pool))
    many_shots = len(np.unique(candidates.shot[pool])) >= most
    while pool.any() and len(chosen) < most:
        gain = np.where(pool, (1 - diversity) * relative + diversity * np.minimum(1, nearest / scale), -1.0)
        # Without a chosen one all are equally different: the best score comes first.
        pick = int(order[gain[order].argmax()]) if chosen else int(next(i for i in order if pool[i]))
        chosen.append(pick)
        pool[pick] = False
        apart = distances(candidates, pick)
        nearest = np.minimum(nearest, apart)
        same_shot = many_shots & (candidates.shot == candidates.shot[pick]) & (apart < SAME_SHOT_DISTANCE)
        for index in np.flatnonzero(pool & (same_shot | (apart < LEAST_DISTANCE))):
            verdicts[index] = f"much like {candidates.seconds[pick]:.1f} s"
            pool[index] = False
    lowest = min((ranking.score[index] for index in chosen), default=0.0)
    for index in np.flatnonzero(pool):
        less = "scored less" if ranking.score[index] < lowest else "less different"
        verdicts[index] = f"{less} than those chosen"
    return Choice(sorted(chosen, key=lambda i: (-ranking.score[i], candidates.seconds[i])), verdicts, False)


def _spread(candidates: Candidates, indices: np.ndarray) -> float:
    """A large distance in this title: what counts as different in a film of one room is little elsewhere."""
    sample = indices[:: max(1, len(indices) // 40)]
    return float(np.percentile([distances(candidates, int(index))[indices] for index in sample], 90)) or 1.0


def without_near_duplicates(candidates: Candidates, ranking: Ranking, verdicts: list[str]) -> np.ndarray:
    """(N,) booleans: the usable candidates, of near-duplicates only the best; the others' verdict says of which."""
    left = ranking.usable.copy()
    kept = np.zeros(len(left), bool)
    for index in np.lexsort((candidates.seconds, -ranking.score)):
        if not left[index]:
            continue
        left[index], kept[index] = False, True
        bits = hamming(candidates.hashes, candidates.hashes[index])
        same = left & (bits <= NEAR_BITS)
        same &= (bits <= SAME_BITS) | (distances(candidates, int(index)) < NEAR_DISTANCE)
        for other in np.flatnonzero(same):
            verdicts[other] = f"near-duplicate of {candidates.seconds[index]:.1f} s"
        left &= ~same
    return kept
