"""Selection on real films, three frames a second: no title card first in the trailer, no two chosen pictures alike."""

from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from keyart.selection.editing import Edit, edit_title
from keyart.selection.ranking import Candidates
from keyart.vision.faces import build_detector, find_model
from keyart.vision.features import look

TRAILER = "sintel_trailer-480p.mp4"
CARDS = {*range(10, 12), *range(40, 53)}
"""Seconds of the Sintel trailer, watched: the studio, the title fading in and out, the credits, black."""

pytestmark = pytest.mark.shared


RATE = 3
"""Frames a second: neighbours are near-duplicates then."""


def moments(path: Path) -> list[np.ndarray]:
    """RATE frames for every second of a film."""
    shown: list[np.ndarray] = []
    with av.open(str(path)) as film:
        for frame in film.decode(video=0):
            if frame.time is not None and frame.time >= len(shown) / RATE:
                shown.append(frame.to_ndarray(format="bgr24"))
    return shown


def edited(frames: list[np.ndarray], models: Path, most: int) -> Edit:
    """What an editor chooses of these; every frame a shot of its own, so that nothing but looks keeps them apart."""
    detector = build_detector(find_model(models, "face_detection_yunet_2023mar.onnx"))
    seen = [look(bgr, 0.0, 0.0, detector) for bgr in frames]
    n = len(frames)
    candidates = Candidates(
        features=np.array([one.features for one in seen]),
        hashes=np.array([one.hash for one in seen], np.uint64),
        seconds=np.arange(n) / RATE,
        shot_share=np.full(n, 1 / n),
        position=np.arange(n) / n,
        quality=np.ones(n),
        shot=np.arange(n),
    )
    return edit_title(candidates, [len(one.faces) for one in seen], most, 0.5, 0.1)


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of two pictures' small colour images, whatever their hash and features say."""
    small = [cv2.resize(bgr, (32, 18), interpolation=cv2.INTER_AREA).astype(float).ravel() for bgr in (one, other)]
    one, other = (values - values.mean() for values in small)
    return float(one @ other / max(1.0, np.linalg.norm(one) * np.linalg.norm(other)))


@pytest.fixture(scope="module", params=[TRAILER, "tears-of-steel-battle-clip.webm"])
def film(request, shared):
    cv2.setNumThreads(1)
    frames = moments(shared / "media" / request.param)
    return frames, edited(frames, shared / "models", 12)


@pytest.mark.parametrize("film", [TRAILER], indirect=True)
def test_no_title_card_ranks_among_the_first_of_the_trailer(film):
    frames, edit = film
    assert len(frames) >= 52 * RATE and len(edit.picks) >= 8
    assert not CARDS & {pick.index // RATE for pick in edit.picks}, "not even among 12"
    first = np.lexsort((np.arange(len(frames)), -edit.score))[:8]
    assert not CARDS & set((first // RATE).tolist()), "nor by score alone"


def test_no_two_chosen_pictures_are_alike(film):
    frames, edit = film
    assert len(edit.picks) >= 8
    pairs = [(a.index, b.index) for k, a in enumerate(edit.picks) for b in edit.picks[:k]]
    alike = {pair: round(likeness(frames[pair[0]], frames[pair[1]]), 3) for pair in pairs}
    assert max(alike.values()) < 0.95, {pair: how for pair, how in alike.items() if how >= 0.95}
    neighbours = [likeness(one, other) for one, other in pairwise(frames)]
    assert sum(how >= 0.95 for how in neighbours) >= 20, "there are near-duplicates to choose"
