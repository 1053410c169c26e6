"""Lettering: title cards and credits are found, pictures without letters are left alone."""

import av
import cv2
import numpy as np
import pytest
from skimage import data as photographs
from sklearn.datasets import load_sample_image

from keyart.vision.text import find_lettering


def frames(path, every: float) -> list[tuple[float, np.ndarray]]:
    """(seconds, BGR) of about one frame in ``every`` seconds."""
    taken, due = [], 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time >= due:
                taken.append((frame.time, frame.to_ndarray(format="bgr24")))
                due += every
    return taken


def card(words: list[str], ink: int, ground: int, size: float = 1.0) -> np.ndarray:
    bgr = np.full((360, 640, 3), ground, np.uint8)
    for row, line in enumerate(words):
        at = (60, round(120 + 55 * size * row))
        cv2.putText(
            bgr, line, at, cv2.FONT_HERSHEY_SIMPLEX, size, (ink, ink, ink), max(1, round(2 * size)), cv2.LINE_AA
        )
    return bgr


@pytest.mark.parametrize(
    ("words", "ink", "ground", "size"),
    [
        (["COMING SOON"], 230, 0, 0.6),
        (["Directed by", "Somebody Else"], 20, 240, 1.0),
        (["THE LONG FILM"], 200, 60, 2.0),
        ([f"Gaffer number {n}, Best boy number {n}" for n in range(9)], 220, 10, 0.5),
    ],
)
def test_cards_are_found(words, ink, ground, size):
    found = find_lettering(card(words, ink, ground, size))
    assert found.title_card >= 0.5
    assert len(found.lines) >= 1 and found.plain > 0.9
    assert found.lines[:, 0].min() < 0.15 and (found.lines >= 0).all() and (found.lines <= 1).all()


def test_words_on_a_photograph_are_lettering_but_no_title_card():
    bgr = cv2.resize(cv2.cvtColor(photographs.chelsea(), cv2.COLOR_RGB2BGR), (640, 426))
    bare = find_lettering(bgr)
    cv2.rectangle(bgr, (150, 370), (490, 410), (0, 0, 0), -1)
    cv2.putText(bgr, "What did you say?", (165, 398), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255, 255, 255), 2, cv2.LINE_AA)
    captioned = find_lettering(bgr)
    assert captioned.share > bare.share + 0.01
    assert captioned.title_card < 0.5


@pytest.mark.parametrize(
    "name", ["astronaut", "chelsea", "coffee", "rocket", "grass", "gravel", "brick", "china", "flower"]
)
def test_photographs_are_no_title_cards(name):
    rgb = load_sample_image(f"{name}.jpg") if name in ("china", "flower") else getattr(photographs, name)()
    bgr = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGR if rgb.ndim == 3 else cv2.COLOR_GRAY2BGR)
    assert find_lettering(bgr).title_card < 0.5


def test_a_blank_picture_bears_no_lettering():
    found = find_lettering(np.zeros((360, 640, 3), np.uint8))
    assert found.share == 0 and found.title_card == 0 and found.lines.shape == (0, 4)


@pytest.mark.shared
def test_the_title_cards_of_a_real_trailer_and_only_they(shared):
    said = {
        round(t): find_lettering(bgr).title_card >= 0.5
        for t, bgr in frames(shared / "media/sintel_trailer-480p.mp4", 1)
    }
    cards = {
        10,
        11,
        41,
        42,
        43,
        44,
        45,
        46,
        48,
        49,
        50,
    }  # watched: the studio, the title fading in and out, the credits
    fading = {47, 51, 52}  # all but black
    assert {second for second, card_seen in said.items() if card_seen} - fading == cards
