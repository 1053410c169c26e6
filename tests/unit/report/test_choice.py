"""A member's artwork of a title explained, in a terminal and on a page."""

from dataclasses import replace
from datetime import date

import cv2
import numpy as np

from keyart.policy.exploration import EpsilonGreedy
from keyart.policy.resolve import ArtworkResolver, Override, OwnChoices
from keyart.policy.specification import Policy
from keyart.report.choice import choice_of, choice_page, choice_text

DAY = date(2026, 2, 1)
ROWS = {
    name: {
        "policy_id": "p", "level": "region", "cell": "SE", "context": "*", "title_id": "T", "artwork_id": name,
        "mean": mean, "sd": 0.05, "is_default": name == "a", "reason": "gains by more warmth",
    }
    for name, mean in (("a", 0.2), ("b", 0.1), ("c", 0.0))
}  # fmt: skip
POLICY = Policy("p", EpsilonGreedy(0.1), "salt", 0.02, "t", DAY)
OWN = {"T": Override("b", 0.3, "more smile; watches more romance than most")}


def choice(user="u", resolver=None):
    own = resolver or ArtworkResolver.of(POLICY, ROWS.values(), overrides=lambda user: OWN)
    offer = own.offered(user, "T", "SE", epoch=DAY)
    return choice_of("The Film", offer, offer.drawn(user), ROWS, {"b": "close-up, warm <joy>"})


def test_the_members_own_artwork_comes_first_with_its_level_and_words():
    said = list(choice_text(choice()))
    assert said[0] == "The Film"
    assert "level user" in said[1] and "propensity of 0.9333 under policy p" in said[1]
    assert (
        said[2] == "  the member may be told: Because you often watch romance, shown with a smile."
        or "romance" in said[2]
    )
    assert said[3].startswith("  > b   93.33%  close-up, warm")
    assert any("watches more romance than most" in line for line in said)
    assert sum(line.startswith("  >") for line in said) == 1


def test_exploration_and_levels_are_called_so():
    level = ArtworkResolver.of(POLICY, ROWS.values())
    assert "decided by the region SE" in choice(resolver=level).verdict
    always = replace(level, policy=replace(POLICY, exploration=EpsilonGreedy(1.0)))
    found = [choice(f"u{i}", always) for i in range(20)]
    off = [one for one in found if not one.sides[0].served]
    assert off and all("exploration" in one.verdict for one in off)


def test_a_segments_choice_is_told_with_its_description():
    narrower = [{**row, "level": "segment", "cell": "SE/taste-2", "mean": -row["mean"], "is_default": name == "c"}
                for name, row in ROWS.items()]  # fmt: skip
    own = ArtworkResolver.of(POLICY, [*ROWS.values(), *narrower], overrides=lambda user: OwnChoices({}, "taste-2"))
    offer = own.offered("u", "T", "SE", epoch=DAY)
    rows = {row["artwork_id"]: row for row in narrower}
    among = {"taste-2": "watches more drama than most"}
    found = choice_of("The Film", offer, offer.drawn("u"), rows, {}, among)
    assert "level segment" in found.verdict and found.sides[0].artwork_id == "c"
    told = "members of SE whose taste is like this member's (taste-2: watches more drama than most)"
    assert told in found.verdict
    assert found.sides[0].gain.endswith("to SE/taste-2")


def test_a_page_shows_pictures_side_by_side_and_says_which_are_missing():
    picture = cv2.imencode(".jpg", np.full((90, 160, 3), 120, np.uint8))[1].tobytes()
    html = choice_page(choice(), {"a": picture, "b": picture})
    assert html.count("data:image/jpeg;base64,") == 2 and html.count("not in the table images") == 1
    assert html.count('class="side served"') == 1 and "&lt;joy&gt;" in html
