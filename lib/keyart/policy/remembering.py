"""A resolver that remembers what it offered: members are many, what their levels offer is not."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from weakref import ref

import numpy as np

from keyart.policy.contexts import EVERY
from keyart.policy.levels import SEGMENT
from keyart.policy.resolve import ArtworkResolver, Offer, Override, Standing

__all__ = ["RememberingResolver"]


@dataclass(frozen=True)
class RememberingResolver(ArtworkResolver):
    """Answers as ``ArtworkResolver`` does, several times faster, for values that do not change while it lives.

    ``remembered`` bounds how many titles' shelves by region, segment, context and day are kept with their offer, at
    about two kilobytes each, and how many titles' noise, 64 bytes a draw of eight artworks; those asked for longest ago
    go first.
    Offers that depend on a member's own override are as many as members and are made when asked for. Safe to ask from
    several threads.
    """

    remembered: int = 65_536
    _kept: Callable[..., Standing] = field(init=False, repr=False, compare=False)
    _plain: Callable[..., Offer] = field(init=False, repr=False, compare=False)
    _noise: Callable[..., np.ndarray] = field(init=False, repr=False, compare=False)

    contexts: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        named = getattr(self.shelves, "contexts", None) or {key[3] for key in self.shelves}
        object.__setattr__(self, "contexts", frozenset(named))
        # Caches each resolver, not one for the class, and none that keeps its resolver alive: they go when their policy
        # goes, at once, and need no collector that looks for cycles in the midst of answers.
        me, kept = ref(self), lru_cache(self.remembered)
        object.__setattr__(self, "_kept", kept(lambda *asked: me()._made(*asked)))  # type: ignore[union-attr]
        object.__setattr__(self, "_plain", kept(lambda *asked: me()._offered(*asked)))  # type: ignore[union-attr]
        object.__setattr__(self, "_noise", kept(self.policy.exploration.noise))

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
        """As ``ArtworkResolver`` says."""
        where = context if context in self.contexts else EVERY  # what a caller makes up takes no room
        if own is None:
            return self._plain(title_id, region, where, epoch, segment)
        return self._kept(title_id, region, where, epoch, segment).offer(own)

    def noise(self, artwork_ids: tuple[str, ...]) -> np.ndarray:
        """As ``ArtworkResolver`` says; one array for all regions of a title."""
        return self._noise(artwork_ids)

    # Where a segment, or a context, has no shelf of its own it shares what stands, and is offered, without it.

    def _made(self, title_id: str, region: str, context: str, epoch: date, segment: str) -> Standing:
        made = self.standing(title_id, region, context, epoch=epoch, segment=segment)
        if segment and made.level != SEGMENT:
            return self._kept(title_id, region, context, epoch, "")
        if context != EVERY:
            usual = self._kept(title_id, region, EVERY, epoch, segment)
            if made.shelf is usual.shelf:
                return usual
        return made

    def _offered(self, title_id: str, region: str, context: str, epoch: date, segment: str) -> Offer:
        stands = self._kept(title_id, region, context, epoch, segment)
        if segment and stands.level != SEGMENT:
            return self._plain(title_id, region, context, epoch, "")
        if context != EVERY and stands is self._kept(title_id, region, EVERY, epoch, segment):
            return self._plain(title_id, region, EVERY, epoch, segment)
        return stands.offer(None)
