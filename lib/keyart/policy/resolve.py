"""Which artwork a member sees for a title, now: from the most specific level that knows, saying which."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import compress
from typing import Any, NamedTuple

import numpy as np

from keyart import seeding
from keyart.errors import LimitError, TableError
from keyart.policy.contexts import EVERY, moved
from keyart.policy.floors import mixed
from keyart.policy.levels import GLOBAL, SEGMENT, segment_cell
from keyart.policy.limits import Window, is_available, is_personalised, masked
from keyart.policy.placement import EVERYWHERE, Placement
from keyart.policy.sentences import member_sentence
from keyart.policy.specification import Policy
from keyart.policy.staying import drawn_for

__all__ = [
    "NO_OVERRIDES", "ArtworkResolver", "Offer", "Override", "OwnChoices", "Resolution", "Shelf", "Standing",
    "segment_of",
]  # fmt: skip

USER = "user"


class Override(NamedTuple):
    """A member's own choice for a title."""

    artwork_id: str
    gain: float
    reason: str = ""


class OwnChoices(dict[str, Override]):
    """A member's overrides by title, and the segment that the member is in."""

    def __init__(self, choices: Mapping[str, Override] | None = None, segment: str = "") -> None:
        super().__init__(choices or {})
        self.segment = segment


def segment_of(own: Mapping[str, Override]) -> str:
    """The segment of the member whose overrides these are; "" where that is none, as of any mapping that says nothing
    of one."""
    return getattr(own, "segment", "")


class Resolution(NamedTuple):  # made in a fifth of the time of a frozen dataclass, as are the others here
    """What is served and everything the log must hold to learn from it; probabilities in the order of candidate_set."""

    artwork_id: str
    level: str
    cell: str
    propensity: float
    policy_id: str
    candidate_set: tuple[str, ...]
    probabilities: tuple[float, ...]
    reason: str
    segment: str = ""
    """The member's; "" where they are in none, and where nothing personal counts."""

    @property
    def sentence(self) -> str:
        """What the member may be told."""
        return member_sentence(self.reason, self.level)


class Offer(NamedTuple):
    """What may be served of a title to members who are alike to the policy; the draw alone depends on who it is."""

    policy: Policy
    title_id: str
    epoch: date
    level: str
    cell: str
    artwork_ids: tuple[str, ...]
    probabilities: tuple[float, ...]
    reasons: tuple[str, ...]
    segment: str = ""

    def of(self, segment: str) -> "Offer":
        """The same to a member of a segment, whether its level answered or not: the log should say so."""
        return self._replace(segment=segment) if segment else self

    def drawn(self, user_key: str, surface: str = "") -> Resolution:
        """What a member is served, by the keyed hash of member, title and period (none on a steady surface)."""
        policy, title_id, epoch, level, cell, artwork_ids, probabilities, reasons, segment = self
        time = drawn_for(policy.salt, user_key, epoch, policy.stay_days, surface)
        served = _fallen(probabilities, seeding.uniform(policy.salt, user_key, title_id, time))
        return Resolution(
            artwork_ids[served],
            level,
            user_key if level == USER else cell,
            probabilities[served],
            policy.policy_id,
            artwork_ids,
            probabilities,
            reasons[served],
            segment,
        )


def _fallen(probabilities: Sequence[float], number: float) -> int:
    """Which of the probabilities' stretches the number falls on: ``exploration.draw`` of one number."""
    reached = 0.0
    for place, probability in enumerate(probabilities):
        reached += probability
        if number < reached:
            return place
    return max(place for place, probability in enumerate(probabilities) if probability > 0)


class Shelf(NamedTuple):
    """A level's view of one title: artworks in the order of their ids, scores (A,) of which the default's is highest,
    standard deviations (A,)."""

    artwork_ids: tuple[str, ...]
    scores: np.ndarray
    sds: np.ndarray
    reasons: tuple[str, ...]


class Standing(NamedTuple):
    """A title's shelf where and when it is asked for: ``allowed`` (A,) says what may be shown, ``scores`` (A,) are
    minus infinity elsewhere, ``top`` is the shelf's highest, ``noise`` (A, M) the exploration's and ``even`` the share
    of decisions drawn evenly."""

    policy: Policy
    title_id: str
    epoch: date
    level: str
    cell: str
    shelf: Shelf
    artwork_ids: tuple[str, ...]  # those that may be shown
    allowed: np.ndarray
    scores: np.ndarray
    top: float
    noise: np.ndarray
    even: float

    @classmethod
    def of(
        cls,
        policy: Policy,
        title_id: str,
        epoch: date,
        found: tuple[str, str, Shelf],
        may: Sequence[bool],
        noise: np.ndarray,
    ) -> "Standing":
        """From the level, cell and shelf that answer, and which of its artworks may be shown."""
        (level, cell, shelf), allowed = found, np.array(may)
        artwork_ids, scores, top = shelf.artwork_ids, shelf.scores, max(shelf.scores.tolist())
        if not all(may):
            artwork_ids, scores = tuple(compress(artwork_ids, may)), masked(scores, allowed)
        even = policy.floor.share(title_id, len(artwork_ids))
        return cls(policy, title_id, epoch, level, cell, shelf, artwork_ids, allowed, scores, top, noise, even)

    def offer(self, own: Override | None) -> Offer:
        """What may be served, given a member's override."""
        policy, title_id, epoch, level, cell, shelf, artwork_ids, allowed, scores, top, noise, even = self
        reasons = shelf.reasons
        if own is not None and own.artwork_id in artwork_ids:
            level, cell, i = USER, "", shelf.artwork_ids.index(own.artwork_id)
            scores = scores.copy()
            scores[i] = math.nextafter(top + own.gain, math.inf)
            reasons = (*reasons[:i], own.reason, *reasons[i + 1 :])
        probabilities = mixed(policy.exploration.propensities(scores, shelf.sds, noise), allowed, even)
        if len(artwork_ids) < len(reasons):
            probabilities, reasons = probabilities[allowed], tuple(compress(reasons, allowed))
        return Offer(policy, title_id, epoch, level, cell, artwork_ids, tuple(probabilities.tolist()), reasons)


NO_OVERRIDES: Callable[[str], Mapping[str, Override]] = lambda _: {}  # noqa: E731


@dataclass(frozen=True)
class ArtworkResolver:
    """Answers for one policy from its region_assignments and a lookup of a member's overrides by title, which also says
    the member's segment (``OwnChoices``).

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
        if not is_personalised(kids):
            return self.offer(title_id, region, context, epoch=epoch)
        known = self.overrides(user_key)
        segment = segment_of(known)
        offer = self.offer(title_id, region, context, known.get(title_id), epoch=epoch, segment=segment)
        return offer.of(segment)

    def offer(
        self,
        title_id: str,
        region: str,
        context: str = "*",
        own: Override | None = None,
        *,
        epoch: date,
        segment: str = "",
    ) -> Offer:
        """What may be served for the title to a member of a segment ("": of none), and how probably, given the override
        ``own``; errors as ``resolve``."""
        return self.standing(title_id, region, context, epoch=epoch, segment=segment).offer(own)

    def standing(self, title_id: str, region: str, context: str = "*", *, epoch: date, segment: str = "") -> Standing:
        """What stands for a title in a region on a day, before a member's override; errors as ``resolve``."""
        if title_id in self.titles and not is_available(*self.titles[title_id], region, epoch):
            raise LimitError(f"title {title_id} may not be shown in {region} on {epoch}")
        found = self._find(title_id, region, context, segment)
        shelf = found[2]
        may = [artwork not in self.inactive for artwork in shelf.artwork_ids]
        if not any(may):
            raise LimitError(f"no active artwork is left for title {title_id}; run assign-artwork")
        if title_id in self.placement.titles:
            places = (region, self.policy.parents.get(region, "other"))
            placed = self.placement.allowed(title_id, shelf.artwork_ids, places, epoch).tolist()
            may = [one and other for one, other in zip(may, placed, strict=True)]
        if not any(may):
            raise LimitError(f"no artwork of title {title_id} may be shown in {region} on {epoch}")
        return Standing.of(self.policy, title_id, epoch, found, may, self.noise(shelf.artwork_ids))

    def noise(self, artwork_ids: tuple[str, ...]) -> np.ndarray:
        """The exploration's, (A, M)."""
        return self.policy.exploration.noise(artwork_ids)

    def _find(self, title_id: str, region: str, context: str, segment: str) -> tuple[str, str, Shelf]:
        """The shelf that answers: of the first cell that has one, and of what a stream moved if it moved that cell, the
        most special; of who is in a segment and in a context that of both, which is there wherever either has one."""
        parent = self.policy.parents.get(region, "other")
        contexts = (EVERY,) if context == EVERY else (context, EVERY)
        for level, cell in (("region", region), ("parent", parent), GLOBAL):
            name = segment_cell(level, cell, segment)
            for named in (moved, str):
                for place, where in enumerate(contexts):
                    shelf = self.shelves.get((title_id, level, cell, named(where)))
                    if shelf is None:
                        continue
                    for special in contexts[: place + 1] if segment else ():
                        narrower = self.shelves.get((title_id, SEGMENT, name, named(special)))
                        if narrower is not None:
                            return (SEGMENT, name, narrower)
                    return (level, cell, shelf)
        raise TableError(f"policy {self.policy.policy_id} has no artwork for title {title_id}; run assign-artwork")


def _shelf(rows: Sequence[Mapping[str, Any]]) -> Shelf:
    """A title's artworks in the order of their ids, so that a draw can be recomputed from the logged candidate set."""
    ordered = sorted(rows, key=lambda row: row["artwork_id"])
    scores = np.array([row["mean"] for row in ordered], dtype=np.float64)
    top = np.nextafter(scores.max(), np.inf)  # equals were decided when the assignment was written
    scores = np.where([row["is_default"] for row in ordered], top, scores)
    ids, sds = tuple(row["artwork_id"] for row in ordered), np.array([row["sd"] for row in ordered], dtype=np.float64)
    return Shelf(ids, scores, sds, tuple(row["reason"] for row in ordered))
