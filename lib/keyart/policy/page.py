"""A page's artworks so that neighbours do not look alike: drawn one after the other, each given those before it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from keyart.policy.resolve import ArtworkResolver, Offer, Resolution

__all__ = ["PageResolution", "apart", "drawn_page", "resolve_page"]

Alike = Callable[[str, str], bool]
"""Whether two artworks, by id, look too much alike to stand side by side."""


@dataclass(frozen=True)
class PageResolution:
    """What a page shows, in the order of its titles. Each propensity is of what was served given the places before it;
    their product is the whole page's."""

    served: tuple[Resolution, ...]

    @property
    def joint_propensity(self) -> float:
        """Probability of this page among all that the policy could have served."""
        return float(np.prod([one.propensity for one in self.served]))


def apart(features: Mapping[str, np.ndarray], most: float) -> Alike:
    """Two artworks are alike where their feature vectors' cosine exceeds ``most``; those without a vector never are."""
    unit = {name: vector / max(float(np.linalg.norm(vector)), 1e-12) for name, vector in features.items()}
    return lambda one, other: one in unit and other in unit and float(unit[one] @ unit[other]) > most


def resolve_page(
    resolver: ArtworkResolver,
    user_key: str,
    titles: Sequence[str],
    region: str,
    context: str = "*",
    *,
    epoch: date,
    kids: bool | None = None,
    surface: str = "",
    alike: Alike,
    columns: int | None = None,
) -> PageResolution:
    """What a member sees on a page of titles; see ``drawn_page``. Errors as ``resolve``."""
    offers = [resolver.offered(user_key, title, region, context, epoch=epoch, kids=kids) for title in titles]
    return drawn_page(offers, user_key, surface, alike=alike, columns=columns)


def drawn_page(
    offers: Sequence[Offer], user_key: str, surface: str = "", *, alike: Alike, columns: int | None = None
) -> PageResolution:
    """What a member sees of titles' offers in reading order, ``columns`` to a row (one row without it).

    A title's artworks that look like the neighbour to the left or above are taken out of its draw and the rest's
    probabilities scaled up; where that leaves nothing, the title is drawn as if it stood alone. The numbers drawn with
    are those of ``resolve``, so that a page is the same wherever it is asked.
    """
    served: list[Resolution] = []
    for place, offer in enumerate(offers):
        near = [] if place == 0 or (columns and place % columns == 0) else [served[place - 1].artwork_id]
        if columns and place >= columns:
            near.append(served[place - columns].artwork_id)
        served.append(_beside(offer, near, alike).drawn(user_key, surface))
    return PageResolution(tuple(served))


def _beside(offer: Offer, neighbours: Sequence[str], alike: Alike) -> Offer:
    free = np.array([not any(alike(artwork, near) for near in neighbours) for artwork in offer.artwork_ids])
    if free.all():
        return offer  # as it is, to the last bit
    left = np.where(free, offer.probabilities, 0.0)
    return offer._replace(probabilities=tuple((left / left.sum()).tolist())) if left.sum() > 0 else offer
