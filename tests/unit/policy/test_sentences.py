"""Sentences for members: one for every reason that can be given, and none that names a sensitive attribute."""

import re
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyart.demo.titles import GENRES
from keyart.policy.exploration import EpsilonGreedy
from keyart.policy.reasons import level_reasons
from keyart.policy.resolve import ArtworkResolver, Override
from keyart.policy.sentences import CHOICE, member_sentence, names_sensitive
from keyart.policy.specification import Policy
from keyart.vision.features import FEATURE_NAMES

# The deny-list of the test, on its own: words of protected grounds as laws on equal treatment list them.
DENIED = re.compile(
    r"\b(race|racial|ethnic\w*|colou?red|black|white|asian|african|latino|hispanic|indigenous|immigrants?|nationality"
    r"|muslim|islam\w*|christian\w*|catholic\w*|jew\w*|hindu\w*|buddh\w*|religi\w*|faith\w*|atheis\w*"
    r"|gender\w*|wom[ae]n\w*|m[ae]n|male|female\w*|gay|lesbian\w*|lgbt\w*|queer|bisexual\w*|trans\w*|sexual\w*"
    r"|disab\w*|deaf|blind|autis\w*|depress\w*|cancer|hiv|pregnan\w*|health\w*|mental\w*"
    r"|old|elderly|teen\w*|young|senior\w*|age|politic\w*|liberal\w*|conservative\w*|union|rich|poor|income|wealth\w*)\b"
)
TOUCHY = [
    "christian", "lgbtq", "black cinema", "women's stories", "faith and family", "senior", "gay romance", "politics",
    "islamic history", "teen drama", "mental health", "latino comedy", "Jewish", "disability", "transgender", "men's",
]  # fmt: skip
TRAITS = [
    *(f"watches {side} {genre} than most" for side in ("more", "less") for genre in [*GENRES, *TOUCHY]),
    "factor 3 above average", "factor 1 below average",
]  # fmt: skip


@pytest.mark.parametrize("feature", FEATURE_NAMES)
def test_every_reason_of_a_member_has_a_sentence(feature):
    for side in ("more", "less"):
        for trait in TRAITS:
            told = member_sentence(f"{side} {feature.replace('_', ' ')}; {trait}", "user")
            assert told.startswith("Because") and told.endswith(".")
            assert not DENIED.search(told.lower()), told
            assert "factor" not in told and "average" not in told


@pytest.mark.parametrize("level", ["segment", "region", "parent", "global"])
def test_every_reason_of_a_level_has_a_sentence(level):
    rng = np.random.default_rng(1)
    n = len(FEATURE_NAMES)
    arrays = {
        "cell_mean": rng.normal(size=(1, n)), "feature_values": rng.normal(size=(n, n)),
        "region_weights": rng.normal(size=(1, n)), "cell_n": np.full((1, n), 900), "cell_takes": np.full((1, n), 30),
    }  # fmt: skip
    reasons = level_reasons(arrays, 0, rng.random(n) < 0.9, FEATURE_NAMES, np.arange(n))
    assert len({reason.split(" ")[0] for reason in reasons}) > 2
    told = [member_sentence(reason, level) for reason in reasons]
    assert all(text[-1] == "." and not DENIED.search(text.lower()) for text in told)
    assert "A new picture for this title." in told
    # What loses somewhere is shown by exploration; its member is not told that it loses.
    assert all(text == CHOICE for text, reason in zip(told, reasons, strict=True) if reason.startswith("loses"))


def test_a_segments_choice_is_told_by_taste_and_its_regions_record_by_region():
    told = member_sentence("gains by more warmth", "segment")
    assert told == "Viewers whose taste is like yours like this picture, shown with warmer colours."
    told = member_sentence("gains by its own record here: 3 takes of 90", "segment")
    assert told.endswith("in your region have liked.")


def test_genres_of_the_catalogue_are_named():
    told = member_sentence(f"more warmth; watches more {next(iter(GENRES))} than most", "user")
    assert told == f"Because you often watch {next(iter(GENRES))}, shown with warmer colours."
    assert not any(names_sensitive(genre) for genre in GENRES)
    assert all(names_sensitive(genre) for genre in TOUCHY)


@given(st.text(max_size=60), st.sampled_from(["user", "segment", "region", "parent", "global"]))
def test_whatever_the_reason_says_there_is_a_sentence(reason, level):
    told = member_sentence(reason, level)
    assert told.endswith(".") and not DENIED.search(told.lower())


def test_whoever_is_served_is_told_why():
    policy = Policy("p", EpsilonGreedy(0.0), "s", 0.02, "t", date(2026, 1, 1))
    row = {"policy_id": "p", "level": "global", "cell": "*", "context": "*", "title_id": "T", "mean": 0.1, "sd": 0.1}
    rows = [
        {**row, "artwork_id": "a", "is_default": True, "reason": "gains by more contrast"},
        {**row, "artwork_id": "b", "is_default": False, "reason": "loses by more noise"},
    ]
    own = {"T": Override("b", 0.5, "more warmth; watches more drama than most")}
    resolver = ArtworkResolver.of(policy, rows, overrides=lambda user: own if user == "u" else {})
    asked = {user: resolver.resolve(user, "T", "SE", epoch=date(2026, 1, 1)).sentence for user in ("u", "v")}
    assert asked["u"] == "Because you often watch drama, shown with warmer colours."
    assert asked["v"] == "A picture that viewers everywhere have liked, shown with stronger contrast."
