"""From a question to an answer's fields, of one bundle; no HTTP here."""

from datetime import date
from typing import Any

from keyart.errors import InputError, LimitError, TableError
from keyart.policy.page import drawn_page
from keyart.policy.resolve import Resolution
from keyart.serving.exposures import Exposures
from keyart.serving.messages import AskPage, AskTitle
from keyart.serving.policy_bundle import PolicyBundle

__all__ = ["page", "title"]


def title(bundle: PolicyBundle, exposures: Exposures | None, asked: AskTitle, epoch: date) -> dict[str, Any]:
    """Fields of ``messages.Answer``; InputError without a key for a raw id, else errors as ``resolve``."""
    user_key = _key(exposures, asked)
    # Whoever opted out gets what a kids' profile gets: the level's own artwork.
    plain = True if asked.opted_out else asked.kids
    served = bundle.resolver.resolve(
        user_key, asked.title_id, asked.region, asked.context, epoch=epoch, kids=plain, surface=asked.surface
    )
    return _answer(bundle, exposures, asked, user_key, asked.title_id, epoch, served)


def page(bundle: PolicyBundle, exposures: Exposures | None, asked: AskPage, epoch: date) -> dict[str, Any]:
    """Fields of ``messages.PageAnswer``; titles that may not be shown are left out of the page and named."""
    user_key = _key(exposures, asked)
    plain = True if asked.opted_out else asked.kids
    shown, offers, refused = [], [], []
    for one in asked.title_ids:
        try:
            offers.append(bundle.resolver.offered(user_key, one, asked.region, asked.context, epoch=epoch, kids=plain))
            shown.append(one)
        except (LimitError, TableError) as error:
            refused.append({"title_id": one, "error": str(error)})
    found = drawn_page(offers, user_key, asked.surface, alike=bundle.alike, columns=asked.columns)
    return {
        "policy_id": bundle.manifest.policy.policy_id,
        "bundle": bundle.manifest.name,
        "epoch": epoch.isoformat(),
        "artworks": [
            _answer(bundle, exposures, asked, user_key, one, epoch, served)
            for one, served in zip(shown, found.served, strict=True)
        ],
        "refused": refused,
    }


def _key(exposures: Exposures | None, asked: AskTitle | AskPage) -> str:
    if asked.user_id is None:
        return str(asked.user_key)
    if exposures is None:
        raise InputError("this service has no key for members' ids: ask by user_key, or start it with the key")
    return exposures.user_key(asked.user_id)


def _answer(
    bundle: PolicyBundle,
    exposures: Exposures | None,
    asked: AskTitle | AskPage,
    user_key: str,
    title_id: str,
    epoch: date,
    served: Resolution,
) -> dict[str, Any]:
    image = bundle.images.get(served.artwork_id)
    may_log = exposures is not None and not asked.opted_out
    return {
        "title_id": title_id,
        "artwork_id": served.artwork_id,
        "image": f"/images/{image}" if image else None,
        "level": served.level,
        "propensity": served.propensity,
        "candidate_set": served.candidate_set,
        "candidate_propensities": served.probabilities,
        "reason": served.reason,
        "sentence": served.sentence,
        "policy_id": served.policy_id,
        "segment": served.segment or None,
        "bundle": bundle.manifest.name,
        "epoch": epoch.isoformat(),
        "exposure": exposures.token(user_key, title_id, asked.region, epoch, asked.kids, served)
        if exposures is not None and may_log
        else None,
    }
