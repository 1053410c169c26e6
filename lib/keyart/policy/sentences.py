"""What a member is told about a picture they see: one plain sentence that names nothing about who they are.

Sentences are made from the reasons in the assignments. They speak of what was watched and of how the picture looks; a
trait or genre that could point at who somebody is (origin, faith, gender, orientation, health, age, politics, money) is
never named, and a latent factor has no name to give.
"""

import re
from functools import partial

from keyart.vision.words import MOOD, phrase

__all__ = ["SENSITIVE", "member_sentence", "names_sensitive"]

SENSITIVE = (
    "aids", "arab", "asian", "atheis", "autis", "baptis", "bible", "bisexual", "black", "blind", "bollywood", "buddh",
    "cancer", "caste", "cathol", "child", "christ", "church", "communis", "conservativ", "creed", "deaf", "debt",
    "depress", "diabet", "disab", "divorc", "drag", "elder", "ethnic", "evangel", "faith", "femal", "femin", "gay",
    "gender", "gospel", "health", "hebrew", "hindu", "hispan", "hiv", "immigra", "incom", "indigen", "islam", "israel",
    "jesus", "jew", "jewish", "koran", "kosher", "latin", "lesbian", "lgbt", "liberal", "male", "man", "marri", "men",
    "mental", "migra", "minorit", "mormon", "mosque", "mother", "muslim", "nation", "nativ", "old", "orient",
    "orthodox", "palestin", "parent", "politic", "poor", "pregnan", "pride", "protest", "queer", "quran", "race",
    "racial", "refugee", "religi", "rich", "roma", "senior", "sex", "sikh", "skin", "spirit", "straight", "teen",
    "torah", "trans", "transgender", "union", "vote", "wealth", "white", "widow", "woman", "women", "young", "youth",
)  # fmt: skip
"""Beginnings of words that could point at who somebody is; short ones must be the whole word."""
WHOLE = {
    "aids", "drag", "gay", "hiv", "jew", "male", "man", "men", "old", "poor", "pride", "race", "rich", "roma", "sex",
    "trans", "union", "vote",
}  # fmt: skip
"""Those that count as a whole word only: romantic is no people, and sextet no gender."""
_STEMS = "|".join(stem for stem in SENSITIVE if stem not in WHOLE)
_PATTERN = re.compile(rf"(?<![a-z])(?:(?:{_STEMS})[a-z]*|(?:{'|'.join(sorted(WHOLE))})s?(?:'s|ian|ual)?)(?![a-z])")

TOLD = {
    "brightness", "contrast", "saturation", "colourfulness", "warmth", "sharpness", "motion_blur", "camera_motion",
    "subject_motion", "detail", "negative_space", "symmetry", "thirds", "face_count", "face_size", "face_frontal",
    "faces_together", "closeness", "lettering",
}  # fmt: skip
"""Features that are named to members; of others they hear that the look fits."""
ANY_LOOK = "a look that fits"
OWN = "Because of what you have watched"
CHOICE = "One of several pictures that are shown for this title."
_MEMBER = re.compile(r"^(more|less) (.+); (.+)$")
_TRAIT = re.compile(r"^watches (more|less) (.+) than most$")
_LEVEL = re.compile(r"^gains by (more|less) (.+)$")


def names_sensitive(text: str) -> bool:
    """Whether a text has a word that could point at who somebody is.

    >>> names_sensitive("christian drama"), names_sensitive("romantic comedy")
    (True, False)
    """
    return bool(_PATTERN.search(text.lower()))


def member_sentence(reason: str, level: str) -> str:
    """The sentence for an assignment's reason, as ``reasons`` words it, at a level of an answer.

    >>> member_sentence("more warmth; watches more drama than most", "user")
    'Because you often watch drama, shown with warmer colours.'
    """
    made = {"user": _own, "segment": _alike}.get(level, partial(_shared, level=level))(reason)
    # What a catalogue calls a genre or a feature is not ours to foresee: when in doubt, say less.
    return CHOICE if names_sensitive(made) else made


def _own(reason: str) -> str:
    found = _MEMBER.match(reason)
    if not found:
        return f"{OWN}."
    more, feature, trait = found.groups()
    watches = _TRAIT.match(trait)
    because = OWN
    if watches and not names_sensitive(watches[2]):
        because = f"Because you {'often' if watches[1] == 'more' else 'seldom'} watch {watches[2]}"
    return f"{because}, shown with {_look(feature, more == 'more')}."


def _alike(reason: str) -> str:
    found = _LEVEL.match(reason)
    if found:
        return f"Viewers whose taste is like yours like this picture, shown with {_look(found[2], found[1] == 'more')}."
    return _shared(reason, "region")


def _shared(reason: str, level: str) -> str:
    where = "in your region" if level in ("region", "parent") else "everywhere"
    if reason.startswith("new:"):
        return "A new picture for this title."
    if reason.startswith("gains by its own record"):
        return f"A picture that viewers {where} have liked."
    found = _LEVEL.match(reason)
    if found:
        return f"A picture that viewers {where} have liked, shown with {_look(found[2], found[1] == 'more')}."
    return CHOICE


def _look(feature: str, more: bool) -> str:
    name = feature.replace(" ", "_")
    return phrase(name, more) if name in TOLD or name.startswith(MOOD) else ANY_LOOK
