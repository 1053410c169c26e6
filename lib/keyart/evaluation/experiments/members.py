"""From members' days to one row of figures a member: what happened since they were first exposed, and before.

Exposure is the first decision a member was shown within the experiment; members without one are not in it, and days
before it do not count. Who is exposed does not depend on the variant, so that leaving them out costs no validity.
"""

from dataclasses import dataclass

import numpy as np

from keyart.evaluation.experiments.metrics import BEFORE, COLUMNS, FACTS, Metric

__all__ = ["Exposed", "MemberDays", "by_day", "exposed_members"]

NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class MemberDays:
    """Days of whole members: codes of members (n,) from 0, days (n,) as whole numbers, FACTS (n, F).

    ``titles`` (members,) counts the different titles a member took within the experiment.
    """

    member: np.ndarray
    day: np.ndarray
    facts: np.ndarray
    titles: np.ndarray

    def fact(self, name: str) -> np.ndarray:
        """One of FACTS by day (n,)."""
        return self.facts[:, FACTS.index(name)]


@dataclass(frozen=True)
class Exposed:
    """Members who were exposed: their codes (m,), first day (m,) and COLUMNS (m, J)."""

    member: np.ndarray
    first: np.ndarray
    columns: np.ndarray


def exposed_members(days: MemberDays, start: int, end: int, before: int) -> Exposed:
    """Figures over [first exposure, ``end``) and over the ``before`` days that end with ``start``."""
    members = len(days.titles)
    first = np.full(members, NEVER, dtype=np.int64)
    shown = (days.fact("decisions") > 0) & (days.day >= start) & (days.day < end)
    np.minimum.at(first, days.member[shown], days.day[shown])
    since = (days.day >= first[days.member]) & (days.day < end)
    earlier = (days.day >= start - before) & (days.day < start)

    def total(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return np.bincount(days.member[rows], values[rows], minlength=members)

    column = {fact: total(days.fact(fact), since) for fact in FACTS}
    column |= {f"before_{fact}": total(days.fact(fact), earlier) for fact in BEFORE}
    later = since & (days.day > first[days.member]) & (days.fact("active_days") > 0)
    column["members"] = np.ones(members)
    column["could_return"] = (first < end - 1).astype(np.float64)
    column["returned"] = (total(np.ones(len(days.day)), later) > 0).astype(np.float64)
    column["cancelled"] = (column["cancels"] > 0).astype(np.float64)
    column["titles"] = days.titles.astype(np.float64)
    column["days"] = total((days.fact("decisions") > 0).astype(np.float64), since)
    column["weighted_totals"] = total(days.fact("weight") * days.fact("reward"), since)
    kept = np.flatnonzero(first < NEVER)
    return Exposed(kept, first[kept], np.stack([column[name][kept] for name in COLUMNS], axis=1))


def by_day(days: MemberDays, exposed: Exposed, metric: Metric, end: int, most: int) -> np.ndarray | None:
    """A metric's top and bottom by day since exposure, (m, 2 x most), for days that were observed; tops come first.

    None for a metric that is no sum over days.
    """
    if metric.top not in FACTS or metric.bottom not in ("members", *FACTS):
        return None
    row = np.full(len(days.titles), -1)
    row[exposed.member] = np.arange(len(exposed.member))
    owner = row[days.member]
    since = days.day - exposed.first[np.maximum(owner, 0)]
    kept = (owner >= 0) & (since >= 0) & (since < most) & (days.day < end)

    def spread(values: np.ndarray) -> np.ndarray:
        matrix = np.zeros((len(exposed.member), most))
        np.add.at(matrix, (owner[kept], since[kept]), values[kept])
        return matrix

    if metric.bottom == "members":
        bottom = (exposed.first[:, None] + np.arange(most) < end).astype(np.float64)
    else:
        bottom = spread(days.fact(metric.bottom))
    return np.concatenate([spread(days.fact(metric.top)), bottom], axis=1)
