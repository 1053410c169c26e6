"""Segments of members with a like taste: found, named, joined, and what a level shows to one of them.

A member's score of an artwork is their level's plus taste x features, linear in the member's vector, so the score of
a segment's centre is the mean of its members' scores: a segment needs no statistics of its own. Members are alike where
they like the same artworks, not where they watched the same titles: distances are between tastes, each coordinate
weighted by how much artworks differ in it. n members, K segments, V components of a vector, D coordinates, A artworks,
C cells, T titles.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.cluster.vq import kmeans2

from keyart import seeding
from keyart.learning.members import standardised
from keyart.policy.assignment import Slate, best_of_title
from keyart.policy.leaning import departed, pull_of

__all__ = ["NOBODY", "Segments", "clusters", "named", "segment_defaults"]

RESTARTS, ROUNDS = 4, 50
"""Starts of k-means, of which the tightest is kept, and Lloyd's rounds of each."""
PLAIN = 0.15
"""Of a standard deviation: a component or a liking below it is not worth a word."""
GENRE = "genre "
WORDS = 2
"""Most genres and most features in a description."""


@dataclass(frozen=True)
class Segments:
    """The segments of a policy; none of them without segments."""

    names: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()  # of the members they were found among
    centres: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))  # (K, V) mean standardised vectors
    tastes: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))  # (K, D) the centres'
    spread: np.ndarray = field(default_factory=lambda: np.empty(0))  # (D,) of the trained artworks' coordinates

    @classmethod
    def of(
        cls,
        arrays: Mapping[str, np.ndarray],
        names: Sequence[str],
        descriptions: Sequence[str],
        shares: Sequence[float],
        centres: np.ndarray,
    ) -> "Segments":
        """From what is stored, and the response model's own arrays: the same wherever the model is the same."""
        weights, features = np.asarray(arrays["weights"]), np.asarray(arrays["features"])
        said = (tuple(names), tuple(descriptions), tuple(shares))
        return cls(*said, centres, centres @ weights, features.std(axis=0))

    def __len__(self) -> int:
        return len(self.names)

    def joined(self, taste: np.ndarray, history: np.ndarray) -> np.ndarray:
        """(n,) the segment each member is in, by taste (n, D); -1 of members of whose history (n,) nothing is known."""
        if not self.names:
            return np.full(len(taste), -1)
        points, centres = taste * self.spread, self.tastes * self.spread
        # Squares of the points themselves are the same for every centre.
        distance = (centres**2).sum(axis=1) - 2 * points @ centres.T
        return np.where(np.asarray(history) > 0, distance.argmin(axis=1), -1)


NOBODY = Segments()


def clusters(
    vectors: np.ndarray, arrays: Mapping[str, np.ndarray], most: int, smallest: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Centres (K, V) of at most ``most`` clusters of raw member vectors (n, V), and each one's members (K,).

    The largest comes first. k-means on tastes (Lloyd 1982; starts by Arthur and Vassilvitskii 2007). A cluster of fewer
    than ``smallest`` members is dissolved: it would say too much of them. None where members' vectors say nothing of
    artworks, or one cluster is all there is: that is the level.
    """
    standard = standardised(arrays, vectors)
    points = standard @ np.asarray(arrays["weights"]) * np.asarray(arrays["features"]).std(axis=0)
    different = len(np.unique(points, axis=0))
    if most < 2 or different < 2 or np.ptp(points, axis=0).max(initial=0.0) < 1e-9:
        return np.empty((0, vectors.shape[1])), np.empty(0, dtype=np.int64)
    rng = seeding.rng(seed, "segments")
    tried = [_kmeans(points, min(most, different), rng) for _ in range(RESTARTS)]
    centre = min(tried, key=lambda found: _scatter(points, found))
    while True:
        label, _ = _nearest(points, centre)
        size = np.bincount(label, minlength=len(centre))
        least = int(size.argmin())
        if size[least] >= smallest or len(centre) < 2:
            break
        centre = np.delete(centre, least, axis=0)
    if len(centre) < 2:
        return np.empty((0, vectors.shape[1])), np.empty(0, dtype=np.int64)
    centres = np.stack([standard[label == k].mean(axis=0) for k in range(len(centre))])
    order = np.lexsort((centres[:, 0], -size))
    return centres[order], size[order]


def _kmeans(points: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Centres, those of nobody left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a centre that lost all its members: it is left out
        centre, label = kmeans2(points, k, ROUNDS, minit="++", rng=rng)
    return centre[np.bincount(label, minlength=k) > 0]


def _nearest(points: np.ndarray, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    squares = (points**2).sum(axis=1)[:, None] + (centre**2).sum(axis=1) - 2 * points @ centre.T
    return squares.argmin(axis=1), squares.min(axis=1)


def _scatter(points: np.ndarray, centre: np.ndarray) -> float:
    return float(_nearest(points, centre)[1].sum())


def named(
    arrays: Mapping[str, np.ndarray], centres: np.ndarray, member_names: Sequence[str], feature_names: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A name and a description of each centre (K, V): the genres they watch more of than most, and what they like more
    or less of in artworks, the strongest first."""
    likings = (centres @ np.asarray(arrays["weights"])) @ np.asarray(arrays["loadings"]).T  # (K, F)
    usual = np.sqrt(np.sum(likings**2) / max(likings.size, 1)) or 1.0
    found = []
    for centre, liking in zip(centres, likings / usual, strict=True):
        genres = [i for i in np.argsort(-centre, kind="stable") if member_names[i].startswith(GENRE)][:WORDS]
        watched = [member_names[i].removeprefix(GENRE) for i in genres if centre[i] > PLAIN]
        features = [i for i in np.argsort(-np.abs(liking), kind="stable") if abs(liking[i]) > PLAIN][:WORDS]
        liked = [f"{'more' if liking[i] > 0 else 'less'} {feature_names[i].replace('_', ' ')}" for i in features]
        said = [f"watches more {' and '.join(watched)} than most"] * bool(watched)
        said += [f"likes {' and '.join(liked)}"] * bool(liked)
        found.append("; ".join(said) or "near the average member")
    return tuple(f"taste-{k + 1}" for k in range(len(centres))), tuple(found)


def segment_defaults(slate: Slate, segments: Segments, minimum_gain: float) -> np.ndarray:
    """(C, 1 + K, T) what each cell shows: first to members of no segment, then to those of each.

    A segment leaves its cell's default where its members gain at least ``minimum_gain`` on average, as a member does.
    """
    means = np.asarray(slate.arrays["cell_mean"])
    shown = np.repeat(best_of_title(means, slate).astype(np.int32)[:, None], 1 + len(segments), axis=1)
    pull = pull_of(segments.tastes, slate) if segments.names else np.empty((0, len(slate.known)))
    for k in range(len(segments)):
        for c, mean in enumerate(means):  # a cell at a time: all of them would be as large as cells x segments x A
            shown[c, 1 + k] = departed(mean + pull[k], shown[c, 0], slate, minimum_gain)
    return shown
