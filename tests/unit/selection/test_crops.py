"""Crops: the right shape, inside the picture, on the subject, faces whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyart.selection.crops import ASPECTS, crop, crops
from keyart.vision.faces import Face

WHOLE = (0.0, 0.0, 1.0, 1.0)


def spot(x: float, y: float) -> np.ndarray:
    rows, columns = np.mgrid[0:36, 0:64]
    mass = np.exp(-(((columns + 0.5) / 64 - x) ** 2 + ((rows + 0.5) / 36 - y) ** 2) / 0.002)
    return mass / mass.sum()


sides = st.integers(64, 4000)
places = st.floats(0.02, 0.98)


@given(sides, sides, places, places, st.floats(0, 0.2), st.floats(0, 0.2))
def test_every_crop_has_its_shape_lies_inside_and_is_as_large_as_can_be(width, height, x, y, left, top):
    window = (left, top, 1 - 2 * left, 1 - 2 * top)
    found = crops(spot(x, y), window, [Face(x, y, 0.1, 0.1, 0.9)], width, height)
    assert [one.aspect for one in found] == list(ASPECTS)
    for one in found:
        assert one.width * width / (one.height * height) == pytest.approx(ASPECTS[one.aspect])
        assert one.x >= left - 1e-9 and one.x + one.width <= 1 - left + 1e-9
        assert one.y >= top - 1e-9 and one.y + one.height <= 1 - top + 1e-9
        assert one.width == pytest.approx(window[2]) or one.height == pytest.approx(window[3])


@given(places)
def test_a_narrow_crop_holds_the_subject_wherever_it_is(x):
    found = crop("2:3", spot(x, 0.5), WHOLE, [], 1280, 720)
    assert found.x - 1e-6 <= min(max(x, 0.03), 0.97) <= found.x + found.width + 1e-6


@given(st.floats(0.0, 0.8), st.floats(0.02, 0.98))
def test_a_face_is_not_cut_though_the_eye_goes_elsewhere(face_x, subject_x):
    face = Face(face_x, 0.3, 0.15, 0.3, 0.9)
    found = crop("1:1", spot(subject_x, 0.5), WHOLE, [face], 1280, 720)
    assert found.x <= face.x + 0.006 and face.x + face.width <= found.x + found.width + 0.006


def test_a_banner_keeps_the_eyes_of_a_face_higher_than_itself():
    face = Face(0.4, 0.2, 0.3, 0.7, 0.95)
    found = crop("4:1", spot(0.5, 0.9), WHOLE, [face], 1280, 720)
    eyes = face.y + 0.4 * face.height
    assert found.y < eyes < found.y + found.height


def test_without_a_subject_the_middle_is_taken():
    even = np.full((36, 64), 1 / (36 * 64))
    found = crop("1:1", even, WHOLE, [], 1280, 720)
    assert found.x + found.width / 2 == pytest.approx(0.5, abs=0.01)
