"""A resolver that remembers what it offered: members are many, what they can be offered is not."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache

from keyart.policy.resolve import ArtworkResolver, Offer, Override, Standing

__all__ = ["RememberingResolver"]


@dataclass(frozen=True)
class RememberingResolver(ArtworkResolver):
    """Answers as ``ArtworkResolver`` does, many times faster, for values that do not change while it lives.

    ``remembered`` bounds how many offers are kept, at one to two kilobytes each; those asked for longest ago go first.
    Safe to ask from several threads.
    """

    remembered: int = 65_536
    _offers: Callable[..., Offer] = field(init=False, repr=False, compare=False)
    _standings: Callable[..., Standing] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # A cache each resolver, not one for the class: it goes when its policy goes.
        object.__setattr__(self, "_standings", lru_cache(max(1, self.remembered // 4))(self._stands))
        object.__setattr__(self, "_offers", lru_cache(self.remembered)(self._offered))

    def offer(
        self, title_id: str, region: str, context: str = "*", own: Override | None = None, *, epoch: date
    ) -> Offer:
        """As ``ArtworkResolver`` says."""
        if own is None:
            return self._offers(title_id, region, context, epoch, None)
        if self.policy.exploration.reads_gaps:
            # Gains are as many as members, so what depends on them is not worth keeping.
            return self._standings(title_id, region, context, epoch).offer(own)
        if own.gain > 0:  # it is the best by whatever gain: one offer for all who have it
            own = replace(own, gain=1.0)
        return self._offers(title_id, region, context, epoch, own)

    def _offered(self, title_id: str, region: str, context: str, epoch: date, own: Override | None) -> Offer:
        return self._standings(title_id, region, context, epoch).offer(own)

    def _stands(self, title_id: str, region: str, context: str, epoch: date) -> Standing:
        return self.standing(title_id, region, context, epoch=epoch)
