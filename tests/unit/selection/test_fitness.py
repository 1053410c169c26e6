"""Policy rules: what they cost, where, for which rating; and that an excluded picture is never chosen."""

import numpy as np
import pytest

from keyart.errors import ConfigError
from keyart.selection.editing import edit_title
from keyart.selection.fitness import Fitness, judge, read_rules
from keyart.selection.ranking import Candidates
from keyart.vision.features import FEATURE_NAMES


def look_alikes(groups: list[int]) -> Candidates:
    """Different pictures of like quality, one a group."""
    n, rng = len(groups), np.random.default_rng(11)
    features = rng.uniform(0.3, 0.9, (n, len(FEATURE_NAMES)))
    for name in ("title_card", "lettering", "noise", "motion_blur", "face_cut_off"):
        features[:, FEATURE_NAMES.index(name)] = 0
    hashes = rng.integers(0, 2**63, n, dtype=np.uint64)
    even = np.full(n, 1 / n)
    return Candidates(features, hashes, np.arange(n) * 9.0, even, np.arange(n) / n, even, np.arange(n))


RULES = read_rules(["gore:blood * 7+ exclude", "gore:blood DE * exclude", "text * * 0.5", "spoiler * * 0.4"])


@pytest.mark.parametrize(
    ("flags", "rating", "expected"),
    [
        (set(), "7+", Fitness("", 1.0, ())),
        ({"text"}, None, Fitness("", 0.5, ())),
        ({"text", "spoiler"}, "18", Fitness("", 0.2, ())),
        ({"gore:blood"}, "18", Fitness("", 1.0, ("DE",))),
        ({"gore:blood"}, "7+", Fitness("gore:blood", 1.0, ("DE",))),
    ],
)
def test_rules_hold_for_their_flag_region_and_rating(flags, rating, expected):
    assert judge(RULES, flags, rating) == expected


@pytest.mark.parametrize("line", ["text", "text * * maybe", "text * * 1.5", "text SE * 0.5"])
def test_a_rule_that_means_nothing_is_refused(line):
    with pytest.raises(ConfigError, match=r"select\.policy"):
        read_rules([line])


def test_excluded_pictures_are_not_chosen_and_say_why():
    candidates = look_alikes([0, 1, 2, 3])
    free = edit_title(candidates, [0] * 4, 4, 0.5, 0.0)
    best = free.picks[0].index
    sightings = [["gore:blood"] if i == best else [] for i in range(4)]
    held = edit_title(candidates, [0] * 4, 4, 0.5, 0.0, RULES, "7+", sightings)
    assert best not in [pick.index for pick in held.picks]
    assert held.verdicts[best] == "not usable: policy: gore:blood"
    abroad = edit_title(candidates, [0] * 4, 4, 0.5, 0.0, RULES, "18", sightings)
    (shown,) = [pick for pick in abroad.picks if pick.index == best]
    assert shown.excluded_regions == ("DE",) and "gore:blood" in shown.flags


def test_a_factor_lowers_the_score_of_what_it_names_alone():
    candidates = look_alikes([0, 1, 2])
    marked = [["text"], [], []]
    free = edit_title(candidates, [0] * 3, 3, 0.5, 0.0).score
    held = edit_title(candidates, [0] * 3, 3, 0.5, 0.0, read_rules(["text * * 0.5"]), None, marked).score
    assert np.allclose(held, free * [0.5, 1, 1])
