"""Reasons in words."""

from keyart.selection.reasons import reason
from keyart.vision.features import FEATURE_NAMES

PLAIN = dict.fromkeys(FEATURE_NAMES, 0.3)


def test_a_reason_tells_what_is_seen_what_is_good_and_how_much_of_the_film_it_is():
    said = reason(PLAIN | {"sharpness": 0.95, "symmetry": 0.9}, "medium", 2, ["warm", "epic", "calm"], 0.031)
    assert said == "medium shot of two faces, warm, epic, symmetric, sharp; its shot is 3.1% of the film"


def test_nothing_is_praised_that_is_not_there():
    assert reason(PLAIN, "none", 0, [], 1.0) == "no face; the only shot"
    assert reason(PLAIN, "close-up", 7, [], 0.5).startswith("close-up of several faces;")
