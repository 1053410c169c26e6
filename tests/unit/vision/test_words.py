"""Features have words for people: every one of them, and no two the same but for movement."""

from keyart.vision.features import FEATURE_NAMES
from keyart.vision.words import MOOD, PHRASES, phrase


def test_every_feature_has_a_phrase_and_no_phrase_is_of_no_feature():
    assert set(PHRASES) == {name for name in FEATURE_NAMES if not name.startswith(MOOD)}
    for name in FEATURE_NAMES:
        assert phrase(name) != phrase(name, more=False)
        assert "_" not in phrase(name)


def test_a_phrase_tells_which_feature_it_is_of():
    told = [phrase(name) for name in FEATURE_NAMES if "motion" not in name]
    assert len(told) == len(set(told))
