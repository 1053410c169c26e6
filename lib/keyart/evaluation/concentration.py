"""What a policy leaves of the catalogue's variety: where exposure goes, and whether pictures come to look alike."""

from collections.abc import Sequence

import numpy as np

__all__ = [
    "alike_scores", "alike_share", "coverage", "gini", "niche_titles", "outlier_share", "prominence", "roles", "spread",
]  # fmt: skip

LARGEST = 4_000_000
"""Distances held at a time."""


def gini(exposure: np.ndarray) -> float:
    """Of exposures (A,): 0 all alike, towards 1 where one has everything; 0 where there is nothing.

    >>> gini(np.array([1.0, 1.0, 1.0])), round(gini(np.array([0.0, 0.0, 3.0])), 4)
    (0.0, 0.6667)
    """
    x = np.sort(np.asarray(exposure, dtype=np.float64))
    if not len(x) or x.sum() <= 0:
        return 0.0
    place = np.arange(1, len(x) + 1)
    return float(((2 * place - len(x) - 1) * x).sum() / (len(x) * x.sum()))


def coverage(exposure: np.ndarray, title: np.ndarray, least: float = 0.01) -> float:
    """Share of artworks (A,) that get at least ``least`` of their title's exposure, among titles that were shown."""
    of_title = np.bincount(title, exposure)[title]
    there = of_title > 0
    return float((exposure[there] >= least * of_title[there]).mean()) if there.any() else 0.0


def spread(features: np.ndarray, exposure: np.ndarray) -> float:
    """Mean squared distance of two pictures met by chance, features (A, F) standardised, over that of even exposure.

    Below 1 the pictures that are shown are more alike than the catalogue's.

    >>> spread(np.array([[0.0], [1.0], [5.0]]), np.array([1.0, 1.0, 0.0])) < 1
    True
    """

    def variance(weights: np.ndarray) -> float:
        p = weights / weights.sum()
        return float((p @ features**2 - (p @ features) ** 2).sum())

    even = variance(np.ones(len(features))) if len(features) else 0.0
    return variance(exposure) / even if even > 0 and exposure.sum() > 0 else float("nan")


def outlier_share(features: np.ndarray, exposure: np.ndarray, share: float = 0.1) -> float:
    """Share of exposure that goes to the ``share`` of artworks farthest from the catalogue's mean, over that share.

    1 where unusual pictures get their part, 0 where they are lost.
    """
    if not len(features) or exposure.sum() <= 0:
        return float("nan")
    far = ((features - features.mean(axis=0)) ** 2).sum(axis=1)
    count = max(1, round(share * len(far)))
    unusual = np.argsort(-far, kind="stable")[:count]
    return float(exposure[unusual].sum() / exposure.sum() / (count / len(far)))


def alike_share(features: np.ndarray, title: np.ndarray, exposure: np.ndarray, seed: int = 7) -> float:
    """Share of titles whose most shown picture has a near twin among other titles' most shown ones.

    Near is nearer than all but 1% of random pairs of the catalogue's artworks. NaN with fewer than two titles shown.
    """
    titles = int(title.max(initial=-1)) + 1
    order = np.lexsort((-exposure, title))
    _, first = np.unique(title[order], return_index=True)
    leading = order[first][exposure[order[first]] > 0]
    if titles < 2 or len(leading) < 2 or not features.shape[1]:
        return float("nan")
    rng = np.random.default_rng(seed)
    pairs = rng.integers(len(features), size=(2, 20_000))
    pairs = pairs[:, title[pairs[0]] != title[pairs[1]]]
    near = np.quantile(((features[pairs[0]] - features[pairs[1]]) ** 2).sum(axis=1), 0.01)
    shown = features[leading]
    squares = (shown**2).sum(axis=1)
    step = max(1, LARGEST // len(shown))
    twins = 0
    for start in range(0, len(shown), step):
        part = slice(start, start + step)
        distance = squares[part, None] + squares[None, :] - 2 * shown[part] @ shown.T
        distance[np.arange(len(distance)), start + np.arange(len(distance))] = np.inf
        twins += int((distance.min(axis=1) <= near).sum())
    return twins / len(shown)


def alike_scores(mean: np.ndarray, sd: np.ndarray, title: np.ndarray) -> float:
    """Share of artworks (A,) that cannot be told from their title's best: within the standard deviation of the gap.

    From posterior means and standard deviations (A,) and the title of each; the best themselves do not count. NaN where
    no title has two.

    >>> alike_scores(np.array([0.3, 0.25, 0.0, 0.1]), np.full(4, 0.05), np.array([0, 0, 0, 1]))
    0.5
    """
    best = np.full(int(title.max(initial=-1)) + 1, -1)
    order = np.argsort(mean, kind="stable")
    best[title[order]] = order  # the largest comes last
    leader = best[title]
    others = np.flatnonzero(leader != np.arange(len(mean)))
    if not len(others):
        return float("nan")
    gap = mean[leader[others]] - mean[others]
    return float((gap <= np.sqrt(sd[leader[others]] ** 2 + sd[others] ** 2)).mean())


def niche_titles(takes: np.ndarray, share: float) -> np.ndarray:
    """Which titles (T,) are niche: the ``share`` of them with fewest takes; equals in their order."""
    niche = np.zeros(len(takes), dtype=bool)
    niche[np.argsort(takes, kind="stable")[: int(share * len(takes))]] = True
    return niche


def prominence(
    clusters: Sequence[Sequence[int]], screen_time: Sequence[Sequence[float] | None], titles: Sequence[str]
) -> np.ndarray:
    """How much of the title one sees whoever an artwork (A,) shows, over the one who is seen most: 1 a lead, towards 0
    a small role; NaN where nobody is known or screen time is not.

    ``clusters`` are the people that each artwork shows and ``screen_time`` the share of each; of several people the
    most prominent counts.

    >>> prominence([[0], [1, 2], [2], []], [[0.6], [0.3, 0.1], [0.1], []], ["t"] * 4).round(2).tolist()
    [1.0, 0.5, 0.17, nan]
    """
    found = np.array([max(times or (), default=np.nan) for times in screen_time], dtype=np.float64)
    found[[not people for people in clusters]] = np.nan
    most: dict[str, float] = {}
    for title, share in zip(titles, found.tolist(), strict=True):
        if share > 0:
            most[title] = max(most.get(title, 0.0), share)
    return found / np.array([most.get(title, np.nan) for title in titles], dtype=np.float64)


def roles(clusters: Sequence[Sequence[int]], titles: Sequence[str], share: np.ndarray | None = None) -> np.ndarray:
    """Whom each artwork (A,) shows: 0 nobody who is known, 1 one of the title's main people, 2 only small roles.

    ``clusters`` are the people of its title that each artwork shows. Of a title's people those count as main who are
    on screen at least half as long as the one who is seen most, by ``share`` (``prominence``); where screen time is not
    known, those in at least half as many of its artworks.

    >>> roles([[0], [0, 1], [0], [0, 2], [2], []], ["t"] * 6).tolist()
    [1, 1, 1, 1, 1, 0]
    >>> roles([[0], [0], [0], [1]], ["t"] * 4).tolist()
    [1, 1, 1, 2]
    """
    seen: dict[tuple[str, int], int] = {}
    for title, people in zip(titles, clusters, strict=True):
        for person in set(people):
            seen[title, person] = seen.get((title, person), 0) + 1
    most: dict[str, int] = {}
    for (title, _), count in seen.items():
        most[title] = max(most.get(title, 0), count)
    counted = np.array(
        [
            0 if not people else 1 if any(2 * seen[title, p] >= most[title] for p in people) else 2
            for title, people in zip(titles, clusters, strict=True)
        ],
        dtype=np.int64,
    )
    if share is None:
        return counted
    return np.where(np.isfinite(share), np.where(share >= 0.5, 1, 2), counted)
