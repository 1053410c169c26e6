"""What a policy does to members and to the catalogue, whether or not it pays: arrays in, figures that add up out.

Every decision is judged by what could have been shown: a behaviour is a distribution over the decision's candidates, so
that exposure needs no luck of the draw; what came of it (takes, abandonment) is weighted by probability / propensity. A
behaviour's figures are ratios of sums over members, with intervals clustered by member.
"""

from dataclasses import dataclass
from math import inf, log, nan, sqrt
from statistics import NormalDist

import numpy as np

from keyart.evaluation.estimators import Functional, Moments, interval, standard_error

__all__ = [
    "COLUMNS",
    "MEASURES",
    "Catalogue",
    "Measure",
    "Shown",
    "calibration",
    "divergence",
    "entropy",
    "gap",
    "measure",
    "member_figures",
    "previous_of",
]


@dataclass(frozen=True)
class Shown:
    """Decisions (n,) of whole members, candidates (k,) laid end to end and cut by ``offsets`` (n + 1,).

    Artworks and titles are positions in the catalogue's lists, -1 where these do not have them.
    """

    member: np.ndarray
    late: np.ndarray  # in the second half of the days
    title: np.ndarray
    served: np.ndarray
    place: np.ndarray  # of what was served among the decision's candidates
    previous: np.ndarray  # what the member saw for the title the time before, -1 for nothing
    propensity: np.ndarray
    offsets: np.ndarray
    candidates: np.ndarray
    take: np.ndarray
    abandoned: np.ndarray
    reward: np.ndarray

    @property
    def owner(self) -> np.ndarray:
        """The decision of each candidate (k,)."""
        return np.repeat(np.arange(len(self.member)), np.diff(self.offsets))

    def weights(self, probabilities: np.ndarray) -> np.ndarray:
        """Probability of what was served, given those of all candidates (k,), over its propensity (n,)."""
        return probabilities[self.offsets[:-1] + self.place] / self.propensity


@dataclass(frozen=True)
class Catalogue:
    """What is known of artworks (A,) and titles (T,), by position; ``role`` and ``prominence`` as ``concentration``'s
    functions of these names have them."""

    look: np.ndarray  # (A,) codes
    role: np.ndarray  # (A,)
    genres: np.ndarray  # (T, G) shares of each title's genres; rows of 0 where unknown
    prominence: np.ndarray  # (A,) NaN where unknown


COLUMNS = (
    "members", "look_entropy", "genre_entropy", "both_halves", "look_drift", "genre_drift", "cast", "small_roles",
    "timed", "prominence", "weight", "takes", "abandoned", "reward", "places", "swaps",
)  # fmt: skip


@dataclass(frozen=True)
class Measure:
    """Sum of ``top`` over sum of ``bottom`` of COLUMNS."""

    top: str
    bottom: str
    about: str


MEASURES: dict[str, Measure] = {
    "look_entropy": Measure("look_entropy", "members", "variety of looks a member sees, 0 one look, 1 all alike often"),
    "genre_entropy": Measure("genre_entropy", "members", "variety of genres a member sees, 0 one, 1 all alike often"),
    "look_drift": Measure("look_drift", "both_halves", "how far the looks a member sees move within the days, [0, 1]"),
    "genre_drift": Measure("genre_drift", "both_halves", "how far the genres a member sees move, [0, 1]"),
    "small_roles": Measure("small_roles", "cast", "of pictures of known people, the share that shows small roles only"),
    "prominence": Measure("prominence", "timed", "screen time of whom the pictures show, over the title's lead's"),
    "abandonment": Measure("abandoned", "takes", "share of takes left within the first part: the picture misled"),
    "take_fraction": Measure("takes", "weight", "takes per decision"),
    "value": Measure("reward", "weight", "take x quality per decision"),
    "swap_rate": Measure("swaps", "places", "share of decisions that show another artwork than the member saw before"),
}


def entropy(shares: np.ndarray) -> np.ndarray:
    """Of rows (n, K) of weights, divided by the log of K: 0 for one kind, 1 for all alike; 0 for empty rows.

    >>> entropy(np.array([[1.0, 1.0], [3.0, 0.0], [0.0, 0.0]])).round(6).tolist()
    [1.0, 0.0, 0.0]
    """
    if shares.shape[1] < 2:
        return np.zeros(len(shares))
    p = _normal(shares)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    return np.abs((p * logs).sum(axis=1)) / np.log(shares.shape[1])


def divergence(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Jensen-Shannon divergence of rows (n, K) of weights, in bits: 0 alike, 1 nothing in common.

    >>> divergence(np.array([[1.0, 0], [1, 1]]), np.array([[0, 1.0], [2, 2]])).round(6).tolist()
    [1.0, 0.0]
    """
    p, q = _normal(one), _normal(other)
    middle = (p + q) / 2

    def against(x: np.ndarray) -> np.ndarray:
        ratio = np.divide(x, middle, out=np.ones_like(x), where=x > 0)
        return (x * np.log2(ratio)).sum(axis=1)

    return np.maximum((against(p) + against(q)) / 2, 0)


def _normal(weights: np.ndarray) -> np.ndarray:
    total = weights.sum(axis=1, keepdims=True)
    return np.divide(weights, total, out=np.zeros_like(weights, dtype=np.float64), where=total > 0)


def member_figures(shown: Shown, probabilities: np.ndarray, catalogue: Catalogue) -> np.ndarray:
    """COLUMNS of each member (m, J) under a behaviour, given as probabilities of the candidates (k,)."""
    m = int(shown.member.max(initial=-1)) + 1
    owner = shown.owner
    member, known = shown.member[owner], shown.candidates >= 0
    looks, genres = int(catalogue.look.max(initial=0)) + 1, catalogue.genres.shape[1]

    def seen_looks(rows: np.ndarray) -> np.ndarray:
        kept = rows[owner] & known
        place = member[kept] * looks + catalogue.look[shown.candidates[kept]]
        return np.bincount(place, probabilities[kept], minlength=m * looks).reshape(m, looks)

    def seen_genres(rows: np.ndarray) -> np.ndarray:
        kept = rows & (shown.title >= 0)
        counts = np.zeros((m, genres))
        np.add.at(counts, shown.member[kept], catalogue.genres[shown.title[kept]])
        return counts

    every = np.ones(len(shown.member), dtype=bool)
    halves = [np.bincount(shown.member[rows], minlength=m) > 0 for rows in (~shown.late, shown.late)]
    both = (halves[0] & halves[1]).astype(np.float64)
    role = np.where(known, catalogue.role[np.maximum(shown.candidates, 0)], 0)
    share = np.where(known, catalogue.prominence[np.maximum(shown.candidates, 0)], np.nan)
    timed = probabilities * np.isfinite(share)
    weight = shown.weights(probabilities)
    again = shown.previous >= 0
    swapped = 1 - _where(shown, probabilities, shown.previous)

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(shown.member, values, minlength=m)

    column = {
        "members": np.ones(m),
        "look_entropy": entropy(seen_looks(every)),
        "genre_entropy": entropy(seen_genres(every)),
        "both_halves": both,
        "look_drift": both * divergence(seen_looks(~shown.late), seen_looks(shown.late)),
        "genre_drift": both * divergence(seen_genres(~shown.late), seen_genres(shown.late)),
        "cast": np.bincount(member, probabilities * (role > 0), minlength=m),
        "small_roles": np.bincount(member, probabilities * (role == 2), minlength=m),
        "timed": np.bincount(member, timed, minlength=m),
        "prominence": np.bincount(member, timed * np.nan_to_num(share), minlength=m),
        "weight": total(weight),
        "takes": total(weight * shown.take),
        "abandoned": total(weight * shown.abandoned),
        "reward": total(weight * shown.reward),
        "places": total(again.astype(np.float64)),
        "swaps": total(np.where(again, swapped, 0.0)),
    }
    return np.stack([column[name] for name in COLUMNS], axis=1)


def _where(shown: Shown, probabilities: np.ndarray, artwork: np.ndarray) -> np.ndarray:
    """Probability of ``artwork`` (n,) in each decision; 0 where it is not among the candidates."""
    owner = shown.owner
    hit = (shown.candidates == artwork[owner]) & (shown.candidates >= 0)
    return np.bincount(owner, probabilities * hit, minlength=len(shown.member))


def measure(moments: Moments, name: str, level: float = 0.95) -> tuple[float, float, float]:
    """A measure and its interval, clustered by member; not a number where its bottom is 0."""
    found = ratio_of(moments, name)
    return (found.value, *interval(found, moments, level))


def ratio_of(moments: Moments, name: str) -> Functional:
    """The measure as a function of the moments of COLUMNS."""
    top, bottom = (np.array([float(c == wanted) for c in COLUMNS]) for wanted in _parts(name))
    below = float(bottom @ moments.sums)
    if below == 0:
        return Functional(float("nan"), np.full(len(COLUMNS), np.nan))
    value = float(top @ moments.sums) / below
    return Functional(value, (top - value * bottom) / below)


def _parts(name: str) -> tuple[str, str]:
    return MEASURES[name].top, MEASURES[name].bottom


def previous_of(member: np.ndarray, title: np.ndarray, day: np.ndarray, served: np.ndarray) -> np.ndarray:
    """What the member saw for the same title the day before that it was shown (n,); -1 where nothing.

    >>> previous_of(np.array([0, 0, 0, 1]), np.array([5, 5, 6, 5]), np.array([2, 1, 3, 9]), np.arange(4)).tolist()
    [1, -1, -1, -1]
    """
    order = np.lexsort((day, title, member))
    same = np.zeros(len(order), dtype=bool)
    same[1:] = (member[order[1:]] == member[order[:-1]]) & (title[order[1:]] == title[order[:-1]])
    before = np.full(len(order), -1, dtype=np.int64)
    before[order[1:]] = np.where(same[1:], served[order[:-1]], -1)
    return before


def gap(found: dict[str, Moments], name: str, level: float = 0.95) -> tuple[float, float, float] | None:
    """Largest minus smallest value of a measure over groups, with an interval; None with fewer than two groups.

    The interval is Bonferroni's over all pairs, because the two groups were picked by their values.
    """
    known = {key: ratio_of(moments, name) for key, moments in found.items()}
    known = {key: value for key, value in known.items() if np.isfinite(value.value) and found[key].members > 1}
    if len(known) < 2:
        return None
    ends = [pick(known, key=lambda key: known[key].value) for pick in (min, max)]
    errors = [standard_error(known[key], found[key]) for key in ends]
    value = known[ends[1]].value - known[ends[0]].value
    pairs = len(known) * (len(known) - 1) / 2
    reach = NormalDist().inv_cdf(1 - (1 - level) / 2 / pairs) * sqrt(errors[0] ** 2 + errors[1] ** 2)
    return value, max(0.0, value - reach), value + reach


def calibration(moments: Moments, level: float = 0.95) -> tuple[float, float, float]:
    """Observed over predicted gain of overrides: 1 where members gain what was promised; with its interval.

    From moments of (decisions with an override, their predicted gains in log reward, reward weighted to what the
    override shows, reward weighted to the level's default).
    """
    n, promised, own, default = moments.sums
    if not n or promised <= 0 or own <= 0 or default <= 0:
        return nan, -inf, inf
    mean = promised / n
    value = log(own / default) / mean
    gradient = np.array([value / n, -value / promised, 1 / own / mean, -1 / default / mean])
    found = Functional(value, gradient)
    return (found.value, *interval(found, moments, level))
