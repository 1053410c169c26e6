"""What editors ask for: bans, pins and uploads against the choice, by rating; words for pictures of no film."""

import numpy as np

from keyart.selection.asked import Asked, suits, worded
from keyart.selection.editing import edit_title
from keyart.selection.ranking import Candidates
from keyart.vision.features import FEATURE_NAMES


def blurred_and_sharp() -> Candidates:
    """Three unlike pictures; the last is blurred."""
    rng = np.random.default_rng(5)
    features = rng.uniform(0.3, 0.7, (3, len(FEATURE_NAMES)))
    for name, values in (("title_card", 0), ("lettering", 0), ("sharpness", [0.9, 0.8, 0.1]), ("exposure", 0.9)):
        features[:, FEATURE_NAMES.index(name)] = values
    hashes = np.array([0, 2**64 - 1, 2**32 - 1], dtype=np.uint64)
    return Candidates(features, hashes, np.arange(3) * 9.0, np.full(3, 0.3), np.zeros(3), np.ones(3), np.arange(3))


def test_what_an_editor_wants_is_chosen_in_addition_and_last():
    candidates = blurred_and_sharp()
    free = edit_title(candidates, [0] * 3, 1, 0.5, 0.0)
    asked = edit_title(candidates, [0] * 3, 1, 0.5, 0.0, wanted=[2])
    best = free.picks[0].index
    assert [pick.index for pick in free.picks] == [best] and best != 2
    assert [(pick.index, pick.rank) for pick in asked.picks] == [(best, 1), (2, 2)]
    assert "weak" not in asked.picks[1].flags and asked.verdicts[2].startswith("selected: ")
    np.testing.assert_array_equal(free.score, asked.score)
    again = edit_title(candidates, [0] * 3, 1, 0.5, 0.0, wanted=[best])
    assert [pick.index for pick in again.picks] == [best], "what is chosen anyhow is chosen once"


def test_lines_hold_for_their_rating_and_a_ban_somewhere_is_no_ban_everywhere():
    lines = [
        Asked("ban", "gone", None, True), Asked("ban", "abroad", None, False), Asked("ban", "adult", "18", True),
        Asked("upload", "card", "7", True), Asked("pin", "lead", None, False), Asked("pin", "gone", None, True),
    ]  # fmt: skip
    seven, adult = suits(lines, "7"), suits(lines, "18")
    assert seven.banned == {"gone"} and adult.banned == {"gone", "adult"}
    assert seven.wanted == {"card", "lead"} and adult.wanted == {"lead"}
    assert seven.against("uploads", "card") is None
    assert adult.against("uploads", "card") == "uploaded for another rating"
    assert adult.against("scan-1", "card") is None, "a frame of the film is no upload"
    assert seven.against("scan-1", "gone") == "banned by an editor"


def test_words_about_films_are_kept():
    for text in ("wide shot; the only shot", "near-duplicate of 4.0 s"):
        assert worded(text, "scan-1") == text
    assert worded("no face; its shot is 12.5% of the film", "images") == "no face; one of the item's images"
    assert worded("much like 0.0 s", "uploads") == "much like another image"
