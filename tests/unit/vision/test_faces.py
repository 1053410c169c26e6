"""Faces: YuNet where its file is, the cascade elsewhere, and what faces say about a shot."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import cbook
from skimage import data as photographs

from keyart.errors import ModelError
from keyart.vision.faces import Face, FaceModel, build_detector, find_model
from keyart.vision.people import believable, describe, shot_type, within
from keyart.vision.picture import prepare

YUNET = "face_detection_yunet_2023mar.onnx"


def astronaut() -> np.ndarray:
    return cv2.cvtColor(photographs.astronaut(), cv2.COLOR_RGB2BGR)


def hopper() -> np.ndarray:
    return cv2.imread(str(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))


def holds(face: Face, x: float, y: float) -> bool:
    return face.x < x < face.x + face.width and face.y < y < face.y + face.height


@pytest.mark.shared
@pytest.mark.parametrize(("picture", "nose"), [(astronaut, (0.44, 0.24)), (hopper, (0.48, 0.4))])
def test_yunet_finds_the_face_and_its_nose(shared, picture, nose):
    model = find_model(shared / "models", YUNET)
    assert model.kind == "yunet"
    (face,) = build_detector(model)(picture())
    assert holds(face, *nose) and face.score > 0.8
    assert face.landmarks[4:6] == pytest.approx(nose, abs=0.05)
    mirrored = build_detector(model)(np.ascontiguousarray(picture()[:, ::-1]))
    assert mirrored[0].x + mirrored[0].width / 2 == pytest.approx(1 - face.x - face.width / 2, abs=0.03)


def test_an_unsure_face_must_be_in_focus():
    sure, unsure = Face(0.3, 0.2, 0.3, 0.5, 0.9), Face(0.3, 0.2, 0.3, 0.5, 0.75)
    sharp, soft = hopper(), cv2.GaussianBlur(hopper(), (0, 0), 12)
    assert believable([sure, unsure], prepare(sharp)) == [sure, unsure]
    assert believable([sure, unsure], prepare(soft)) == [sure]
    assert believable([Face(1.2, 0.2, 0.1, 0.1, 0.7)], prepare(sharp)) == [], "outside of the picture"


@pytest.mark.shared
def test_yunet_leaves_faceless_pictures_alone(shared):
    detect = build_detector(find_model(shared / "models", YUNET))
    for bgr in (photographs.coffee(), photographs.rocket(), photographs.stereo_motorcycle()[0]):
        assert detect(cv2.cvtColor(bgr, cv2.COLOR_RGB2BGR)) == []
    assert detect(np.zeros((40, 60, 3), np.uint8)) == []


def test_without_the_file_the_cascade_finds_faces_and_one_line_says_so(tmp_path, capsys):
    model = find_model(tmp_path, YUNET)
    said = capsys.readouterr().err
    assert model == FaceModel("cascade") and said.count("\n") == 1 and YUNET in said
    faces = build_detector(model)(hopper())
    assert any(holds(face, 0.48, 0.4) for face in faces)
    assert build_detector(model)(np.zeros((40, 60, 3), np.uint8)) == []


def test_a_broken_model_file_is_refused_in_one_line(tmp_path):
    (tmp_path / YUNET).write_bytes(b"<html>not found</html>")
    with pytest.raises(ModelError, match="fetch it again"):
        find_model(tmp_path, YUNET)
    with pytest.raises(ModelError, match="known are yunet, cascade"):
        build_detector(FaceModel("guess"))


def face(x=0.4, y=0.3, width=0.15, height=0.3, landmarks=()) -> Face:
    return Face(x, y, width, height, 0.9, landmarks)


def test_closer_shots_have_larger_faces():
    order = [shot_type(height) for height in (0.0, 0.03, 0.1, 0.25, 0.5, 0.9)]
    assert order == ["none", "wide", "full", "medium", "close-up", "extreme close-up"]
    closeness = [describe([face(height=h, width=h / 2)]).closeness for h in (0.03, 0.1, 0.25, 0.5)]
    assert (np.diff(closeness) > 0).all()


def test_a_face_at_the_edge_is_cut_off():
    assert describe([face()]).cut_off == 0
    assert describe([face(x=-0.07)]).cut_off > 0.4
    assert describe([face(y=-0.02)]).cut_off < describe([face(y=-0.15)]).cut_off


def test_two_faces_of_like_size_side_by_side_are_together():
    pair = describe([face(x=0.3), face(x=0.5)]).together
    assert pair > 0.8
    assert describe([face(x=0.3), face(x=0.9)]).together < pair
    assert describe([face(x=0.3), face(x=0.5, width=0.05, height=0.1)]).together < pair
    assert describe([face()]).together == 0


def test_the_nose_tells_a_frontal_face_from_a_profile():
    ahead = (0.44, 0.4, 0.51, 0.4, 0.475, 0.48, 0.45, 0.55, 0.5, 0.55)
    turned = (0.44, 0.4, 0.51, 0.4, 0.445, 0.48, 0.45, 0.55, 0.5, 0.55)
    assert describe([face(landmarks=ahead)]).frontal > 0.9 > 0.5 > describe([face(landmarks=turned)]).frontal


shares = st.floats(0.0, 0.9)


@given(shares, shares, st.floats(0.02, 0.5), st.floats(0.02, 0.5))
def test_moving_into_a_window_keeps_the_place_in_pixels(x, y, width, height):
    window = (0.1, 0.12, 0.8, 0.76)
    (moved,) = within([Face(x, y, width, height, 0.9, (x, y))], window)
    assert moved.x * 0.8 + 0.1 == pytest.approx(x) and moved.width * 0.8 == pytest.approx(width)
    assert moved.y * 0.76 + 0.12 == pytest.approx(y) and moved.height * 0.76 == pytest.approx(height)
    assert moved.landmarks == pytest.approx((moved.x, moved.y))
