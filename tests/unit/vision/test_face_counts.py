"""How many people? YuNet on photographs of one to four people, and on montages of them that show up to eight."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from matplotlib import cbook
from skimage import data as photographs

from keyart.vision.faces import build_detector, find_model

YUNET = "face_detection_yunet_2023mar.onnx"
HEIGHT = 300

pytestmark = pytest.mark.shared


def astronaut() -> np.ndarray:
    return cv2.cvtColor(photographs.astronaut(), cv2.COLOR_RGB2BGR)


def admiral() -> np.ndarray:
    return cv2.imread(str(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))


def moment(film: Path, seconds: float) -> np.ndarray:
    """The first frame of a film at or after a time."""
    with av.open(str(film)) as container:
        return next(
            frame.to_ndarray(format="bgr24") for frame in container.decode(video=0) if frame.time >= seconds - 1e-6
        )


def beside(*pictures: np.ndarray) -> np.ndarray:
    """Pictures of one height, side by side."""
    return np.hstack(
        [
            cv2.resize(p, (round(p.shape[1] * HEIGHT / p.shape[0]), HEIGHT), interpolation=cv2.INTER_AREA)
            for p in pictures
        ]
    )


def test_at_least_eight_of_nine_counts_are_right(shared):
    media = shared / "media"
    pair, four = moment(media / "intel_hp_face.gif", 1.0), moment(media / "intel_classroom.gif", 1.0)
    actor = moment(media / "tears-of-steel-battle-clip.webm", 21.0)
    table = four[int(0.42 * len(four)) : int(0.85 * len(four)), : int(0.75 * four.shape[1])]
    wide = cv2.resize(table, (720, round(720 * table.shape[0] / table.shape[1])), interpolation=cv2.INTER_AREA)
    rest = cv2.resize(beside(astronaut(), pair, admiral()), (720, 240), interpolation=cv2.INTER_AREA)
    pictures = {
        "the astronaut": (astronaut(), 1),
        "the admiral": (admiral(), 1),
        "an actor": (actor, 1),
        "a pair": (pair, 2),
        "a pair and the admiral": (beside(pair, admiral()), 3),
        "a classroom": (four, 4),
        "two pairs and the astronaut": (beside(pair, astronaut(), pair[:, ::-1]), 5),
        "a table and a pair": (np.vstack([wide, cv2.resize(pair, (720, 405))]), 6),
        "a table, a pair, the astronaut, the admiral": (np.vstack([wide, rest]), 8),
    }
    detect = build_detector(find_model(shared / "models", YUNET))
    counted = {name: len(detect(np.ascontiguousarray(bgr))) for name, (bgr, _) in pictures.items()}
    wrong = {name: found for name, found in counted.items() if found != pictures[name][1]}
    assert len(pictures) == 9 and len(wrong) <= 1, wrong
