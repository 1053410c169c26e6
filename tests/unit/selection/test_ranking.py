"""Ranking: whatever makes a picture worse lowers its score, and what cannot be shown is named."""

import cv2
import numpy as np
import pytest
from skimage import data as photographs
from sklearn.datasets import load_sample_image

from keyart.selection.ranking import Candidates, rank
from keyart.vision.faces import Face
from keyart.vision.features import FEATURE_NAMES, look


def nobody(bgr: np.ndarray) -> list[Face]:
    return []


def photograph(name: str) -> np.ndarray:
    rgb = load_sample_image(f"{name}.jpg") if name in ("china", "flower") else getattr(photographs, name)()
    return cv2.resize(
        cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGR), (640, 400), interpolation=cv2.INTER_AREA
    )


def candidates(pictures: list[np.ndarray], faces=nobody, **columns) -> Candidates:
    """Candidates of one film from pictures; columns default to one shot each, spread over the film."""
    seen = [look(bgr, 0.0, 0.0, faces) for bgr in pictures]
    n = len(pictures)
    values = {
        "seconds": np.arange(n) * 5.0,
        "shot_share": np.full(n, 1 / n),
        "position": np.arange(n) / (2 * n),
        "quality": np.ones(n),
        "shot": np.arange(n),
    } | {name: np.asarray(value, float) for name, value in columns.items()}
    return Candidates(
        np.array([one.features for one in seen]), np.array([one.hash for one in seen], np.uint64), **values
    )


def scores(pictures: list[np.ndarray], faces=nobody, spoiler_share=0.1, **columns) -> np.ndarray:
    return rank(candidates(pictures, faces, **columns), spoiler_share).score


NAMES = ("astronaut", "chelsea", "coffee", "china", "flower")


@pytest.mark.parametrize("name", NAMES)
def test_more_blur_noise_and_wrong_exposure_rank_lower(name):
    bgr = photograph(name)
    grain = np.random.default_rng(1).normal(0, 1, (*bgr.shape[:2], 1))
    blurred = [cv2.GaussianBlur(bgr, (0, 0), sigma) for sigma in (2, 4, 8)]
    noised = [np.clip(bgr + sigma * grain, 0, 255).astype(np.uint8) for sigma in (15, 35, 70)]
    dark = [(bgr * factor).astype(np.uint8) for factor in (0.4, 0.2, 0.08)]
    burnt = [np.clip(bgr.astype(float) * factor, 0, 255).astype(np.uint8) for factor in (3, 5, 9)]
    for worse in (blurred, noised, dark, burnt):
        found = scores([bgr, *worse])
        assert found.argmax() == 0, found
        assert found[-1] < 0.75 * found[0] and found[-1] < found[1], found


@pytest.mark.parametrize("name", NAMES)
def test_mirror_images_score_alike(name):
    bgr = photograph(name)
    one, other = scores([bgr, np.ascontiguousarray(bgr[:, ::-1])])
    assert one == pytest.approx(other, rel=0.06)


def test_a_clear_face_lifts_a_picture_and_a_cut_one_less():
    bgr = photograph("china")
    plain = scores([bgr])[0]
    ahead = (0.43, 0.38, 0.52, 0.38, 0.475, 0.48, 0.44, 0.56, 0.51, 0.56)
    whole = scores([bgr], lambda _: [Face(0.38, 0.25, 0.2, 0.4, 0.9, ahead)])[0]
    cut = scores([bgr], lambda _: [Face(0.38, -0.2, 0.2, 0.4, 0.9)])[0]
    assert whole > 1.1 * plain
    assert cut < whole


def test_the_end_of_the_film_is_marked_and_scores_less():
    bgr = photograph("coffee")
    ranking = rank(candidates([bgr, bgr], position=[0.5, 0.97]), 0.1)
    assert ranking.score[1] < 0.7 * ranking.score[0]
    assert ranking.flags == [[], ["spoiler"]] and ranking.usable.all()
    assert rank(candidates([bgr, bgr], position=[0.5, 1.0]), 0.0).flags == [[], []], "0 switches the zone off"


def test_a_fleeting_shot_promises_what_the_film_is_not():
    bgr = photograph("coffee")
    found = scores([bgr] * 4, shot_share=[0.001, 0.2, 0.3, 0.5], position=[0.1] * 4)
    assert (np.diff(found) > 0).all()
    assert found[0] < 0.85 * found[-1]


def test_what_the_scan_thought_of_the_frame_counts():
    bgr = photograph("coffee")
    found = scores([bgr, bgr], quality=[0.2, 0.9], position=[0.1, 0.1])
    assert found[0] < found[1]


def test_what_cannot_be_shown_is_named():
    card = np.full((360, 640, 3), 10, np.uint8)
    cv2.putText(card, "THE END OF IT", (150, 190), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (230, 230, 230), 2, cv2.LINE_AA)
    bgr = photograph("chelsea")
    pictures = [bgr, card, np.zeros_like(bgr), cv2.GaussianBlur(bgr, (0, 0), 12), (bgr * 0.04).astype(np.uint8)]
    ranking = rank(candidates(pictures), 0.1)
    assert ranking.problem == ["", "title card", "blank", "blurred", ranking.problem[4]]
    assert ranking.problem[4] in ("too dark or burnt out", "blank")
    assert ranking.usable.tolist() == [True, False, False, False, False]
    assert "title-card" in ranking.flags[1]
    assert ((ranking.score >= 0) & (ranking.score <= 1)).all() and ranking.score.argmax() == 0


def test_no_candidates_are_no_exception():
    ranking = rank(Candidates(np.empty((0, len(FEATURE_NAMES))), np.empty(0, np.uint64), *[np.empty(0)] * 5), 0.1)
    assert ranking.score.shape == (0,) and ranking.usable.shape == (0,)
