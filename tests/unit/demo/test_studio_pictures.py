"""What the films show: photographs with faces, looks that differ, steady moves, screenplays for every taste."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyart.demo import photographs
from keyart.demo.camera import Layer, Move, Shot, Window, shoot
from keyart.demo.grading import GRADES, grade
from keyart.demo.photographs import NAMES, matte, photograph
from keyart.demo.screenplay import FPS, MOST_FILMS, film, truth
from keyart.demo.setups import SETUPS, mirrored
from keyart.errors import InputError, SetupError

SIZE = (640, 360)


def first_frame(setup: str, look: str) -> np.ndarray:
    return next(shoot(Shot(SETUPS[setup].layers, Move(), look, 1), SIZE))


def faces(frame: np.ndarray) -> np.ndarray:
    cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_default.xml")
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return np.array(cascade.detectMultiScale(grey, 1.1, 5, minSize=(90, 90)))


@pytest.mark.parametrize("look", ["daylight", "golden", "silver", "night"])
@pytest.mark.parametrize("setup", ["commander close", "commander among stars", "admiral at her desk"])
def test_a_close_face_is_found_as_one(setup, look):
    found = faces(first_frame(setup, look))
    assert len(found) == 1
    assert found[0][3] > 0.3 * SIZE[1]


@pytest.mark.parametrize("setup", ["pagoda", "launch site", "deep field", "motorcycle"])
def test_a_place_shows_no_face(setup):
    assert len(faces(first_frame(setup, "daylight"))) == 0


def test_two_people_stand_in_one_picture():
    assert len(faces(first_frame("two by the pagoda", "daylight"))) == 2


@pytest.mark.parametrize("name", NAMES)
def test_every_photograph_is_there_and_has_a_matte_of_its_size(name):
    picture = photograph(name)
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    assert matte(name).shape == picture.shape[:2]


@pytest.mark.parametrize("name, low, high", [("astronaut", 0.35, 0.65), ("horse", 0.2, 0.4), ("red planet", 0.6, 0.7)])
def test_mattes_hold_the_subject_and_leave_the_ground(name, low, high):
    assert low < matte(name).mean() / 255 < high
    assert matte(name)[:10, :10].max() < 10, "the corner is ground"


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(photographs, "find_spec", lambda name: None)
    photographs._read.cache_clear()
    with pytest.raises(SetupError, match=r"need sklearn: pip install 'keyart\[demo\]'"):
        photograph("pagoda")


def test_looks_differ_as_their_tones_say():
    for name in ("astronaut", "pagoda", "motorcycle", "coffee"):
        seen = {look: grade(photograph(name), settings).astype(float) for look, settings in GRADES.items()}
        light = {look: image.mean() for look, image in seen.items()}
        warmth = {look: image[..., 0].mean() - image[..., 2].mean() for look, image in seen.items()}
        tones = {look: GRADES[look].tones for look in GRADES}
        assert min(light[k] for k in seen if "bright" in tones[k]) > max(light[k] for k in seen if "dark" in tones[k])
        for warm in (k for k in seen if "warm" in tones[k] and "mono" not in tones[k]):
            assert all(warmth[warm] > warmth[cold] for cold in seen if "cold" in tones[cold])
        assert np.ptp(seen["noir"], axis=2).max() == 0


@settings(max_examples=30)
@given(
    st.sampled_from(sorted(GRADES)),
    st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=20),
)
def test_grading_never_turns_a_lighter_grey_darker(look, colours):
    greys = np.sort([sum(colour) // 3 for colour in colours]).astype(np.uint8)
    strip = np.repeat(greys[None, :, None], 3, axis=2)
    luma = grade(strip, GRADES[look]).astype(float) @ (0.299, 0.587, 0.114)
    assert (np.diff(luma[0]) >= -1.5).all()  # rounding of three channels


@pytest.mark.parametrize("move", [Move(zoom=-0.2), Move(zoom=0.2), Move(right=0.1), Move(down=-0.1)], ids=str)
def test_a_move_goes_on_without_stutter(move):
    shot = Shot((Layer("pagoda", Window(0.45, 0.5, 0.6)),), move, "daylight", 24)
    frames = [frame.astype(float) for frame in shoot(shot, (320, 180))]
    steps = np.array([np.abs(b - a).mean() for a, b in pairwise(frames)])
    assert len(frames) == 24 and frames[0].shape == (180, 320, 3)
    assert steps.min() > 0.25 * steps.max() > 0


def test_pushing_in_shows_the_middle_larger():
    layers = (Layer("dahlia", Window(0.51, 0.45, 0.6)),)
    first, *_, last = shoot(Shot(layers, Move(zoom=-0.4), "daylight", 5), SIZE)
    # Ends of the move: the first picture's middle, enlarged by exp(0.4), is the last picture.
    shrink = np.exp(-0.4)
    part = cv2.getRectSubPix(first, (round(SIZE[0] * shrink), round(SIZE[1] * shrink)), (319.5, 179.5))
    wanted = cv2.resize(part, SIZE, interpolation=cv2.INTER_CUBIC)
    inner = np.s_[60:-60, 100:-100]  # away from the vignette
    same = np.corrcoef(wanted[inner].ravel(), last[inner].ravel())[0, 1]
    assert same > 0.97 > np.corrcoef(first[inner].ravel(), last[inner].ravel())[0, 1]


@pytest.mark.parametrize("seed", [1, 7])
def test_every_film_has_something_for_everyone(seed):
    stories = [film(seed, index) for index in range(MOST_FILMS)]
    assert len({story.title_id for story in stories}) == MOST_FILMS
    kinds = {setup.layers: setup.kind for setup in SETUPS.values()}
    kinds |= {tuple(mirrored(layer) for layer in layers): kind for layers, kind in kinds.items()}
    for story in stories:
        assert 20 <= story.frames / FPS <= 40
        opening, *middle, credits = story.shots
        assert opening.card and credits.card and opening.card.headline.lower() == story.name.lower()
        assert 6 <= len(middle) <= 12 and len({shot.grade for shot in middle}) >= 8
        assert len({shot.layers for shot in middle}) == len(middle)
        assert 3 <= [kinds[shot.layers] for shot in middle].count("face") <= len(middle) - 4
        tones = {tone for shot in middle for tone in GRADES[shot.grade].tones}
        assert {"bright", "dark", "warm", "cold", "mono", "vivid"} <= tones
        assert story.cast and len(story.genres) == 2 and story.genres[0] != story.genres[1]


def test_the_first_eight_films_are_of_eight_genres_and_the_seed_orders_them():
    assert len({film(7, index).genres[0] for index in range(8)}) == 8
    assert [film(7, k).name for k in range(8)] != [film(8, k).name for k in range(8)]
    assert film(7, 3) == film(7, 3)


def test_boundaries_lie_in_order_between_the_shots():
    for index in range(MOST_FILMS):
        story = film(7, index)
        facts = truth(story)
        spans = sorted([(cut, cut) for cut in facts["cuts"]] + [tuple(span) for span in facts["gradual"]])
        assert len(spans) == len(story.shots) - 1
        assert all(before[1] + 8 < after[0] for before, after in pairwise(spans))
        assert spans[0][0] > 12 and spans[-1][1] + 12 < facts["frames"]
        assert all(10 <= whole - first <= 24 for first, whole in facts["gradual"])


def test_there_are_no_more_films_than_names():
    with pytest.raises(InputError, match="64"):
        film(7, MOST_FILMS)
