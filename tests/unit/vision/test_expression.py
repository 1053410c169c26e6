"""What a face says: pose, eyes and smile, against photographs that were altered in one thing."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from matplotlib import cbook
from skimage import data as photographs

from keyart.vision.expression import CLOSED, aligned, express
from keyart.vision.faces import Face, build_detector, find_model

YUNET = "face_detection_yunet_2023mar.onnx"
pytestmark = pytest.mark.shared


@pytest.fixture(scope="module", params=["astronaut", "hopper"])
def portrait(request, shared) -> tuple[np.ndarray, Face]:
    if request.param == "astronaut":
        bgr = cv2.cvtColor(photographs.astronaut(), cv2.COLOR_RGB2BGR)
    else:
        bgr = cv2.imread(str(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))
    return bgr, build_detector(find_model(shared / "models", YUNET))(bgr)[0]


def with_closed_eyes(bgr: np.ndarray, face: Face) -> np.ndarray:
    """Lids painted in the colour of the cheek, with a thin line of lashes."""
    shut = bgr.copy()
    points = np.array(face.landmarks).reshape(-1, 2) * (bgr.shape[1], bgr.shape[0])
    apart = np.hypot(*(points[1] - points[0]))
    for x, y in points[:2]:
        cheek = bgr[round(y + 0.45 * apart) - 2 : round(y + 0.45 * apart) + 3, round(x) - 2 : round(x) + 3]
        colour = tuple(float(v) for v in cheek.reshape(-1, 3).mean(axis=0))
        at, size = (round(x), round(y)), (round(0.27 * apart), round(0.17 * apart))
        cv2.ellipse(shut, at, size, 0, 0, 360, colour, -1, cv2.LINE_AA)
        lashes = (round(0.2 * apart), round(0.06 * apart))
        cv2.ellipse(shut, at, lashes, 0, 10, 170, (40, 40, 50), max(1, round(0.025 * apart)), cv2.LINE_AA)
    return shut


def test_open_eyes_are_open_and_painted_lids_are_closed(portrait):
    bgr, face = portrait
    assert express(bgr, face).eyes_open > 0.5
    assert express(with_closed_eyes(bgr, face), face).eyes_open < CLOSED


def test_a_wider_mouth_is_more_of_a_smile(portrait):
    bgr, face = portrait
    marks = np.array(face.landmarks).reshape(5, 2)
    smiles = []
    for wider in (0.7, 1.0, 1.3):
        moved = marks.copy()
        moved[3:] = marks[3:].mean(axis=0) + wider * (marks[3:] - marks[3:].mean(axis=0))
        smiles.append(express(bgr, replace(face, landmarks=tuple(moved.ravel()))).smile)
    assert smiles[0] < smiles[1] <= smiles[2] and smiles[0] < smiles[2] - 0.2


def test_the_astronaut_smiles(shared):
    bgr = cv2.cvtColor(photographs.astronaut(), cv2.COLOR_RGB2BGR)
    face = build_detector(find_model(shared / "models", YUNET))(bgr)[0]
    said = express(bgr, face)
    assert said.smile > 0.6 and said.pose in ("frontal", "three-quarter")


def test_a_mirrored_or_tilted_face_says_the_same(portrait):
    bgr, face = portrait
    marks = np.array(face.landmarks).reshape(5, 2)
    flipped = marks[[1, 0, 2, 4, 3]] * (-1, 1) + (1, 0)
    mirrored = replace(face, x=1 - face.x - face.width, landmarks=tuple(flipped.ravel()))
    one, other = express(bgr, face), express(np.ascontiguousarray(bgr[:, ::-1]), mirrored)
    assert one.pose == other.pose and one.frontal == pytest.approx(other.frontal, abs=0.02)
    assert one.eyes_open == pytest.approx(other.eyes_open, abs=0.2)
    assert one.smile == pytest.approx(other.smile, abs=0.1)


def test_a_nose_beside_the_eyes_is_a_profile(portrait):
    bgr, face = portrait
    marks = np.array(face.landmarks).reshape(5, 2)
    marks[2] = marks[0] - 0.1 * (marks[1] - marks[0])
    said = express(bgr, replace(face, landmarks=tuple(marks.ravel())))
    assert said.pose == "profile" and said.eyes_open is None and said.smile is None


def test_small_faces_and_faces_without_landmarks_are_not_judged():
    grey = np.full((90, 160, 3), 128, np.uint8)
    assert express(grey, Face(0.1, 0.1, 0.1, 0.1, 0.9)).pose == "unknown"
    tiny = Face(0.1, 0.1, 0.1, 0.1, 0.9, (0.12, 0.12, 0.16, 0.12, 0.14, 0.14, 0.12, 0.16, 0.16, 0.16))
    assert aligned(grey, tiny) is None and express(grey, tiny).eyes_open is None
