"""How soon something new is served as well as it ever is: days from a launch to 90% of its eventual value.

The value of a title's day is the reward of its artworks, each as often as that day showed it. An artwork's reward is
held at what the whole log says of it (inverse propensities), so that hype, weekdays and the audience of a day drop out:
what moves the value is what the policy learned, but for what members' own artwork adds to their level's. The eventual
value is that of the last days; the first day counts from which on the non-decreasing fit through the days (isotonic
regression, Barlow et al. 1972) is at the asked share of it. A artworks, T titles, D days of the log, L launches.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, nan
from typing import Any

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.stats import binom

__all__ = ["SHARE", "TAIL", "Launch", "Log", "days_to_share", "launch_figures", "launches", "median_with_interval"]

SHARE = 0.9
TAIL = 7
"""Days at the end that say what a launch comes to; it is judged when it has lived for twice as many."""
UNSEEN = 10.0
"""Decisions that something old would have had by then: what has none is new, not rare."""
EXPLORED = 0.02
"""Share of its title's decisions that something old would have had at least."""
SMALLEST = 200
"""Decisions of a launch below which nothing is said."""
SURE = 1.64
"""Standard deviations that an eventual gain must be above 0 to be asked when it was reached."""
AGES = (0, 1, 2, 3, 4, 5, 7, 10, 14, 21, 28)
"""Days since launch of the curve."""
FEWEST = 3
"""Launches that a mean of the curve rests on."""


@dataclass(frozen=True)
class Log:
    """Additive cells of the log: decisions by artwork and day, and weighted sums by artwork over all days."""

    title: np.ndarray  # (A,)
    n: np.ndarray  # (A, D) decisions that showed the artwork
    w: np.ndarray  # (A,) sums of 1 / propensity, its square, times the reward, and of the squares of that
    w2: np.ndarray
    wr: np.ndarray
    w2r2: np.ndarray

    def rewards(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean reward (A,) by inverse propensities and its variance (A,); 0 and infinity where nothing was seen."""
        each = np.where(self.w > 0, self.w, 1.0)
        mean = self.wr / each
        spread = self.w2r2 + mean**2 * self.w2 - 2 * mean * self.wr * self.w2 / each
        return mean, np.where(self.w > 0, np.maximum(spread, 0) / each**2, inf)


@dataclass(frozen=True)
class Launch:
    """A title, or new artworks of one, and what became of its value."""

    title: int
    day: int
    """Of the log, the first on which it was seen."""
    kind: str
    """title or artwork."""
    value: np.ndarray  # (days since launch,) NaN where nothing of the title was decided
    decisions: np.ndarray  # (days since launch,)
    eventual: float
    days: float
    """Until the value is at SHARE of the eventual one."""
    gain_days: float
    """Until the gain over an even draw is at SHARE of the eventual one; NaN where there is no gain to speak of."""


def days_to_share(value: np.ndarray, weight: np.ndarray, share: float = SHARE, base: float = 0.0) -> float:
    """First day (from 0) from which on value (D,) minus ``base`` is at ``share`` of its mean over the last TAIL days.

    Days weigh by ``weight`` (D,), those of weight 0 say nothing. NaN where the last days say nothing, or nothing above
    the base.

    >>> days_to_share(np.array([1.0] * 5 + [2.0] * 15), np.ones(20))
    5.0
    """
    known = np.flatnonzero(weight > 0)
    late = known[known >= len(value) - TAIL]
    if not len(late):
        return nan
    eventual = np.average(value[late], weights=weight[late]) - base
    if not eventual > 0:
        return nan
    fitted = isotonic_regression(value[known] - base, weights=weight[known]).x
    return float(known[np.argmax(fitted >= share * eventual * (1 - 1e-9))])


def launches(log: Log) -> list[Launch]:
    """What was first seen within the log, lived for twice TAIL days and has decisions enough.

    New is what would have been seen UNSEEN times before: a title at the pace that it had afterwards, an artwork if it
    had been explored in EXPLORED of the title's decisions. A launch ends with the title's next one.
    """
    mean, variance = log.rewards()
    found: list[Launch] = []
    order = np.argsort(log.title, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(log.title[order])) + 1):
        if len(rows) and log.n[rows].any():
            found += _of_title(log, rows, mean[rows], variance[rows])
    return found


def _of_title(log: Log, rows: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> Iterator[Launch]:
    n = log.n[rows].astype(np.float64)
    of_title, last = n.sum(axis=0), n.shape[1]
    shown = n.any(axis=1)
    first = np.where(shown, np.argmax(n > 0, axis=1), last)
    begin = int(first.min())
    starts = []
    if begin * min(of_title[begin:].mean(), of_title[begin : begin + TAIL].mean()) >= UNSEEN:
        starts.append((begin, "title"))
    for day in sorted({int(day) for day in first[shown] if day > begin}):
        pace = n[first == day][:, day:].sum() / of_title[day:].sum()
        if min(pace, EXPLORED) * of_title[:day].sum() >= UNSEEN:
            starts.append((day, "artwork"))
    for (day, kind), (end, _) in pairwise([*starts, (last, "")]):
        part, total = n[:, day:end], of_title[day:end]
        if end - day < 2 * TAIL or total.sum() < SMALLEST or not total[-TAIL:].any():
            continue
        value = np.divide(mean @ part, total, out=np.full(end - day, nan), where=total > 0)
        there = part.any(axis=1)
        even = there / there.sum()
        gain_days = nan
        if _gains(part[:, -TAIL:].sum(axis=1), even, mean, variance):
            gain_days = days_to_share(value, total, base=float(even @ mean))
        eventual = float(mean @ part[:, -TAIL:].sum(axis=1) / total[-TAIL:].sum())
        yield Launch(
            int(log.title[rows[0]]), day, kind, value, total, eventual, days_to_share(value, total), gain_days
        )  # fmt: skip


def _gains(shown: np.ndarray, even: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> bool:
    """Whether shares ``shown`` (A,) are worth more than even ones, beyond the doubt about rewards and shares."""
    share, there = shown / shown.sum(), even > 0
    value = share @ mean
    doubt = ((share - even)[there] ** 2) @ variance[there] + share @ (mean - value) ** 2 / shown.sum()
    return bool(value - even @ mean > SURE * np.sqrt(doubt))


def median_with_interval(values: np.ndarray) -> tuple[float, float, float]:
    """The median and its 95% interval between two order statistics (David and Nagaraja 2003); infinite of too few.

    >>> median_with_interval(np.arange(1.0, 12.0))
    (6.0, 2.0, 10.0)
    """
    ordered = np.sort(values[np.isfinite(values)])
    count = len(ordered)
    if not count:
        return nan, inf, inf
    below = int(binom.ppf(0.025, count, 0.5))  # P(fewer than below lie under the median) is at most 2.5%
    if below < 1:
        return float(np.median(ordered)), inf, inf
    return float(np.median(ordered)), float(ordered[below - 1]), float(ordered[count - below])


def launch_figures(found: Sequence[Launch]) -> list[dict[str, Any]]:
    """Measures of the log: ``cold_days`` and ``cold_gain_days`` with intervals, ``launches`` and the curve.

    Each is a mapping of measure, segment (*, kind=title, kind=artwork, of the curve day=007) and values (value, lower,
    upper). None without launches.
    """
    rows: list[dict[str, Any]] = []
    for segment, some in _segments(found):
        rows.append({"measure": "launches", "segment": segment, "values": (float(len(some)), inf, inf)})
        for name, column in (("cold_days", "days"), ("cold_gain_days", "gain_days")):
            values = np.array([getattr(one, column) for one in some])
            if np.isfinite(values).any():
                rows.append({"measure": name, "segment": segment, "values": median_with_interval(values)})
    for age in AGES:
        old = [one for one in found if age < len(one.value) and one.eventual > 0]
        reached = np.array([one.value[age] / one.eventual for one in old])
        reached = reached[np.isfinite(reached)]
        if len(reached) >= FEWEST:
            mean, margin = float(reached.mean()), 1.96 * float(reached.std(ddof=1)) / np.sqrt(len(reached))
            ends = (mean, mean - margin, mean + margin)
            rows.append({"measure": "cold_value", "segment": f"day={age:03}", "values": ends})
    return rows


def _segments(found: Sequence[Launch]) -> Iterator[tuple[str, list[Launch]]]:
    if found:
        yield "*", list(found)
    for kind in ("title", "artwork"):
        some = [one for one in found if one.kind == kind]
        if some:
            yield f"kind={kind}", some
