"""Which artwork a member sees for a title, now: from the most specific level that knows, saying which."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np

from keyart.errors import LimitError, TableError
from keyart.policy.exploration import draw, hashed_uniforms
from keyart.policy.floors import mixed
from keyart.policy.levels import GLOBAL
from keyart.policy.limits import Window, is_available, is_personalised, masked
from keyart.policy.placement import EVERYWHERE, Placement
from keyart.policy.sentences import member_sentence
from keyart.policy.specification import Policy
from keyart.policy.staying import drawn_for

__all__ = ["NO_OVERRIDES", "ArtworkResolver", "Offer", "Override", "Resolution"]

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
        policy = self.policy
        time = drawn_for(policy.salt, user_key, self.epoch, policy.stay_days, surface)
        number = hashed_uniforms(policy.salt, [(user_key, self.title_id, time)])[0]
        served = int(draw(self.probabilities, number))
        return Resolution(
            self.artwork_ids[served],
            self.level,
            user_key if self.level == USER else self.cell,
            float(self.probabilities[served]),
            policy.policy_id,
            self.artwork_ids,
            tuple(float(p) for p in self.probabilities),
            self.reasons[served],
        )


@dataclass(frozen=True)
class _Shelf:
    """A level's view of one title."""

    artwork_ids: tuple[str, ...]
    scores: np.ndarray
    sds: np.ndarray
    reasons: tuple[str, ...]


NO_OVERRIDES: Callable[[str], Mapping[str, Override]] = lambda _: {}  # noqa: E731


@dataclass(frozen=True)
class ArtworkResolver:
    """Answers for one policy from its region_assignments and a lookup of a member's overrides by title.

    ``inactive`` artworks are withdrawn since the policy was written; ``titles`` gives regions and rights windows where
    they are known, ``placement`` where and when artworks may be shown. Limits apply before the draw, and the propensity
    is of what is served.
    """

    policy: Policy
    shelves: Mapping[tuple[str, str, str, str], _Shelf]
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
        scores, reasons = masked(shelf.scores, allowed), shelf.reasons
        if own is not None and own.artwork_id in shelf.artwork_ids:
            i = shelf.artwork_ids.index(own.artwork_id)
            if allowed[i]:
                level, cell = USER, ""
                scores[i] = np.nextafter(shelf.scores.max() + own.gain, np.inf)
                reasons = (*reasons[:i], own.reason, *reasons[i + 1 :])
        exploration = self.policy.exploration
        probabilities = exploration.propensities(scores, shelf.sds, exploration.noise(shelf.artwork_ids))
        share = self.policy.floor.shares([title_id], allowed.sum(keepdims=True))[0]
        probabilities = mixed(probabilities, allowed, float(share))
        return Offer(
            self.policy,
            title_id,
            epoch,
            level,
            cell,
            tuple(artwork for artwork, may in zip(shelf.artwork_ids, allowed, strict=True) if may),
            probabilities[allowed],
            tuple(reason for reason, may in zip(reasons, allowed, strict=True) if may),
        )

    def _find(self, title_id: str, region: str, context: str) -> tuple[str, str, _Shelf]:
        parent = self.policy.parents.get(region, "other")
        for level, cell in (("region", region), ("parent", parent), GLOBAL):
            for where in dict.fromkeys((context, "*")):
                shelf = self.shelves.get((title_id, level, cell, where))
                if shelf is not None:
                    return level, cell, shelf
        raise TableError(f"policy {self.policy.policy_id} has no artwork for title {title_id}; run assign-artwork")


def _shelf(rows: Sequence[Mapping[str, Any]]) -> _Shelf:
    """A title's artworks in the order of their ids, so that a draw can be recomputed from the logged candidate set."""
    ordered = sorted(rows, key=lambda row: row["artwork_id"])
    scores = np.array([row["mean"] for row in ordered], dtype=np.float64)
    top = np.nextafter(scores.max(), np.inf)  # equals were decided when the assignment was written
    scores = np.where([row["is_default"] for row in ordered], top, scores)
    ids, sds = tuple(row["artwork_id"] for row in ordered), np.array([row["sd"] for row in ordered], dtype=np.float64)
    return _Shelf(ids, scores, sds, tuple(row["reason"] for row in ordered))
