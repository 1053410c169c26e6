"""Which artwork a member sees for a title, now: from the most specific level that knows, saying which."""

import math
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from itertools import accumulate, compress
from typing import Any

import numpy as np

from keyart import seeding
from keyart.errors import LimitError, TableError
from keyart.policy.floors import mixed
from keyart.policy.levels import GLOBAL, ONLINE
from keyart.policy.limits import Window, is_available, is_personalised, masked
from keyart.policy.placement import EVERYWHERE, Placement
from keyart.policy.sentences import member_sentence
from keyart.policy.specification import Policy
from keyart.policy.staying import drawn_for

__all__ = ["NO_OVERRIDES", "ArtworkResolver", "Offer", "Override", "Resolution", "Shelf", "Standing"]

USER = "user"


@dataclass(frozen=True)
class Override:
    """A member's own choice for a title."""

    artwork_id: str
    gain: float
    reason: str = ""


@dataclass(frozen=True)
class Resolution:
    """What is served and everything the log must hold to learn from it; probabilities in the order of candidate_set."""

    artwork_id: str
    level: str
    cell: str
    propensity: float
    policy_id: str
    candidate_set: tuple[str, ...]
    probabilities: tuple[float, ...]
    reason: str

    @property
    def sentence(self) -> str:
        """What the member may be told."""
        return member_sentence(self.reason, self.level)


@dataclass(frozen=True)
class Offer:
    """What may be served of a title to members who are alike to the policy; the draw alone depends on who it is."""

    policy: Policy
    title_id: str
    epoch: date
    level: str
    cell: str
    artwork_ids: tuple[str, ...]
    probabilities: np.ndarray
    reasons: tuple[str, ...]

    def drawn(self, user_key: str, surface: str = "") -> Resolution:
        """What a member is served, by the keyed hash of member, title and period (none on a steady surface)."""
        (propensities, cumulative, last), policy = self._table, self.policy
        time = drawn_for(policy.salt, user_key, self.epoch, policy.stay_days, surface)
        number = seeding.uniform(policy.salt, user_key, self.title_id, time)
        served = min(bisect_right(cumulative, number), last)
        return Resolution(
            self.artwork_ids[served],
            self.level,
            user_key if self.level == USER else self.cell,
            propensities[served],
            policy.policy_id,
            self.artwork_ids,
            propensities,
            self.reasons[served],
        )

    @cached_property
    def _table(self) -> tuple[tuple[float, ...], list[float], int]:
        """Probabilities, their running sum and the last artwork that has any: ``exploration.draw`` for one number, in a
        fraction of the time where an offer is drawn from often."""
        propensities = tuple(self.probabilities.tolist())
        last = len(propensities) - 1
        while not propensities[last] > 0:
            last -= 1
        return propensities, list(accumulate(propensities)), last


@dataclass(frozen=True)
class Shelf:
    """A level's view of one title: artworks in the order of their ids, scores (A,) of which the default's is highest,
    standard deviations (A,)."""

    artwork_ids: tuple[str, ...]
    scores: np.ndarray
    sds: np.ndarray
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """A title's shelf where and when it is asked for: ``allowed`` (A,) says what may be shown, ``noise`` (A, M) is the
    exploration's."""

    policy: Policy
    title_id: str
    epoch: date
    level: str
    cell: str
    shelf: Shelf
    allowed: np.ndarray
    noise: np.ndarray

    def offer(self, own: Override | None) -> Offer:
        """What may be served, given a member's override."""
        shelf, level, cell, all_may = self.shelf, self.level, self.cell, self._all_may
        scores, reasons = shelf.scores.copy() if all_may else masked(shelf.scores, self.allowed), shelf.reasons
        if own is not None and own.artwork_id in shelf.artwork_ids:
            i = shelf.artwork_ids.index(own.artwork_id)
            if self.allowed[i]:
                level, cell = USER, ""
                scores[i] = math.nextafter(self._top + own.gain, math.inf)
                reasons = (*reasons[:i], own.reason, *reasons[i + 1 :])
        probabilities = self.policy.exploration.propensities(scores, shelf.sds, self.noise)
        probabilities = mixed(probabilities, self.allowed, self._even)
        if not all_may:
            probabilities, reasons = probabilities[self.allowed], tuple(compress(reasons, self.allowed))
        return Offer(self.policy, self.title_id, self.epoch, level, cell, self._artwork_ids, probabilities, reasons)

    @cached_property
    def plain(self) -> Offer:
        """What may be served to whoever has no override."""
        return self.offer(None)

    @cached_property
    def _top(self) -> float:
        return float(self.shelf.scores.max())

    @cached_property
    def _all_may(self) -> bool:
        return bool(self.allowed.all())

    @cached_property
    def _even(self) -> float:
        """Share of decisions drawn evenly."""
        return float(self.policy.floor.shares([self.title_id], self.allowed.sum(keepdims=True))[0])

    @cached_property
    def _artwork_ids(self) -> tuple[str, ...]:
        return tuple(compress(self.shelf.artwork_ids, self.allowed))


NO_OVERRIDES: Callable[[str], Mapping[str, Override]] = lambda _: {}  # noqa: E731


@dataclass(frozen=True)
class ArtworkResolver:
    """Answers for one policy from its region_assignments and a lookup of a member's overrides by title.

    ``inactive`` artworks are withdrawn since the policy was written; ``titles`` gives regions and rights windows where
    they are known, ``placement`` where and when artworks may be shown. Limits apply before the draw, and the propensity
    is of what is served.
    """

    policy: Policy
    shelves: Mapping[tuple[str, str, str, str], Shelf]
    overrides: Callable[[str], Mapping[str, Override]] = NO_OVERRIDES
    inactive: Collection[str] = frozenset()
    titles: Mapping[str, tuple[Sequence[str], Sequence[Window]]] = field(default_factory=dict)
    placement: Placement = EVERYWHERE

    @classmethod
    def of(cls, policy: Policy, rows: Iterable[Mapping[str, Any]], **options: Any) -> "ArtworkResolver":
        """From rows of region_assignments (those of other policies are passed over)."""
        grouped: dict[tuple[str, str, str, str], list[Mapping[str, Any]]] = {}
        for row in rows:
            if row["policy_id"] == policy.policy_id:
                grouped.setdefault((row["title_id"], row["level"], row["cell"], row["context"]), []).append(row)
        return cls(policy, {key: _shelf(found) for key, found in grouped.items()}, **options)

    def resolve(
        self,
        user_key: str,
        title_id: str,
        region: str,
        context: str = "*",
        *,
        epoch: date,
        kids: bool | None = None,
        surface: str = "",
    ) -> Resolution:
        """What the member sees for the title on the day ``epoch``; the same whenever and wherever it is asked.

        On the ``surface`` continue_watching the draw does not change from day to day (``staying.STEADY``).
        LimitError where the title may not be shown or nothing is left to show; TableError where the policy has no word
        on the title.
        """
        return self.offered(user_key, title_id, region, context, epoch=epoch, kids=kids).drawn(user_key, surface)

    def offered(
        self,
        user_key: str,
        title_id: str,
        region: str,
        context: str = "*",
        *,
        epoch: date,
        kids: bool | None = None,
    ) -> Offer:
        """What ``resolve`` draws from."""
        own = self.overrides(user_key).get(title_id) if is_personalised(kids) else None
        return self.offer(title_id, region, context, own, epoch=epoch)

    def offer(
        self, title_id: str, region: str, context: str = "*", own: Override | None = None, *, epoch: date
    ) -> Offer:
        """What may be served for the title, and how probably, given the override ``own``; errors as ``resolve``."""
        return self.standing(title_id, region, context, epoch=epoch).offer(own)

    def standing(self, title_id: str, region: str, context: str = "*", *, epoch: date) -> Standing:
        """What stands for a title in a region on a day, before a member's override; errors as ``resolve``."""
        if title_id in self.titles and not is_available(*self.titles[title_id], region, epoch):
            raise LimitError(f"title {title_id} may not be shown in {region} on {epoch}")
        level, cell, shelf = self._find(title_id, region, context)
        allowed = np.array([artwork not in self.inactive for artwork in shelf.artwork_ids])
        if not allowed.any():
            raise LimitError(f"no active artwork is left for title {title_id}; run assign-artwork")
        places = (region, self.policy.parents.get(region, "other"))
        allowed &= self.placement.allowed(title_id, shelf.artwork_ids, places, epoch)
        if not allowed.any():
            raise LimitError(f"no artwork of title {title_id} may be shown in {region} on {epoch}")
        noise = self.policy.exploration.noise(shelf.artwork_ids)
        return Standing(self.policy, title_id, epoch, level, cell, shelf, allowed, noise)

    def _find(self, title_id: str, region: str, context: str) -> tuple[str, str, Shelf]:
        parent = self.policy.parents.get(region, "other")
        for level, cell in (("region", region), ("parent", parent), GLOBAL):
            for where in dict.fromkeys((context, ONLINE, "*")):
                shelf = self.shelves.get((title_id, level, cell, where))
                if shelf is not None:
                    return level, cell, shelf
        raise TableError(f"policy {self.policy.policy_id} has no artwork for title {title_id}; run assign-artwork")


def _shelf(rows: Sequence[Mapping[str, Any]]) -> Shelf:
    """A title's artworks in the order of their ids, so that a draw can be recomputed from the logged candidate set."""
    ordered = sorted(rows, key=lambda row: row["artwork_id"])
    scores = np.array([row["mean"] for row in ordered], dtype=np.float64)
    top = np.nextafter(scores.max(), np.inf)  # equals were decided when the assignment was written
    scores = np.where([row["is_default"] for row in ordered], top, scores)
    ids, sds = tuple(row["artwork_id"] for row in ordered), np.array([row["sd"] for row in ordered], dtype=np.float64)
    return Shelf(ids, scores, sds, tuple(row["reason"] for row in ordered))
