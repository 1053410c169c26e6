"""The learned text detector: what strokes miss and what it must leave alone; no title card wins in a real trailer."""

import av
import cv2
import numpy as np
import pytest
from skimage import data as photographs

from keyart.selection.ranking import Candidates, rank
from keyart.vision.features import FEATURE_NAMES, look
from keyart.vision.ocr import build_reader, describe_lines, reads
from keyart.vision.text import find_lettering

pytestmark = pytest.mark.skipif(not reads("rapidocr"), reason="extra text is not installed")


@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket"])
def test_captions_are_found_and_bare_photographs_are_left_alone(name):
    read = build_reader("rapidocr")
    bgr = cv2.resize(cv2.cvtColor(getattr(photographs, name)(), cv2.COLOR_RGB2BGR), (640, 400))
    bare = read(bgr)
    for ink, thick in (((0, 0, 0), 9), ((255, 255, 255), 3)):
        cv2.putText(bgr, "What did you say?", (150, 370), cv2.FONT_HERSHEY_SIMPLEX, 1.1, ink, thick, cv2.LINE_AA)
    lines = read(bgr)
    new = [line for line in lines if line[1] > 0.8 and line[0] < 0.35 and line[0] + line[2] > 0.6]
    assert len(new) == 1
    assert len(bare) == 0


def test_more_and_larger_lines_are_more_lettering_and_credits_are_cards():
    line = np.array([[0.3, 0.4, 0.3, 0.06]])
    few, many = describe_lines(line, 0.5), describe_lines(np.repeat(line, 8, axis=0), 0.5)
    assert few[0] < many[0] and few[1] < 0.5 <= many[1]
    assert describe_lines(line, 0.95)[1] > 0.5, "a few words on nothing are a card"
    assert describe_lines(np.zeros((0, 4)), 1.0) == (0.0, 0.0)


@pytest.mark.shared
def test_no_title_card_is_among_the_best_eight_of_the_trailer(shared):
    cards = {10, 11, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50}  # watched: the studio, the title, the credits
    read, rows, seconds, due = build_reader("rapidocr"), [], [], 0
    with av.open(str(shared / "media/sintel_trailer-480p.mp4")) as film:
        for frame in film.decode(video=0):
            if frame.time < due:
                continue
            due += 1
            bgr = frame.to_ndarray(format="bgr24")
            features = look(bgr, 0, 0, lambda _: []).features
            lettering, card = describe_lines(read(bgr), find_lettering(bgr).plain)
            for name, value in (("lettering", lettering), ("title_card", card)):
                at = FEATURE_NAMES.index(name)
                features[at] = max(features[at], value)
            rows.append(features)
            seconds.append(round(frame.time))
    n = len(rows)
    even = np.full(n, 1 / n)
    candidates = Candidates(
        np.array(rows), np.zeros(n, np.uint64), np.array(seconds, float), even, np.linspace(0, 1, n), even, np.arange(n)
    )
    ranking = rank(candidates, 0.0)
    best = [seconds[i] for i in np.argsort(-ranking.score)[:8]]
    assert not cards & set(best), best
    assert all(ranking.problem[i] or ranking.score[i] < 0.3 for i in range(n) if seconds[i] in cards)
