"""The feature vector: names, ranges, independence of size, and what moods mean."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage import data as photographs

from keyart.vision.faces import Face
from keyart.vision.features import FEATURE_NAMES, SIGNED, glance, look, named
from keyart.vision.moods import MOODS, mood_labels


def nobody(bgr: np.ndarray) -> list[Face]:
    return []


def couple(bgr: np.ndarray) -> list[Face]:
    return [Face(0.3, 0.3, 0.15, 0.3, 0.9), Face(0.5, 0.3, 0.15, 0.3, 0.8)]


def photograph(name: str) -> np.ndarray:
    return cv2.cvtColor(np.ascontiguousarray(getattr(photographs, name)()), cv2.COLOR_RGB2BGR)


def signals(bgr: np.ndarray, camera=0.0, subject=0.0, detector=nobody) -> dict[str, float]:
    return dict(named(look(bgr, camera, subject, detector).features))


def test_names_are_unique_and_about_fifty():
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES) and 40 <= len(FEATURE_NAMES) <= 55
    assert set(FEATURE_NAMES) > SIGNED


pixels = arrays(np.uint8, st.tuples(st.integers(8, 60), st.integers(8, 60), st.just(3)))


@settings(max_examples=40)
@given(pixels, st.floats(0, 1), st.floats(0, 1))
def test_any_picture_gives_finite_features_in_their_range(bgr, camera, subject):
    seen = look(bgr, camera, subject, couple)
    low = np.array([-1.0 if name in SIGNED else 0.0 for name in FEATURE_NAMES])
    assert seen.features.shape == (len(FEATURE_NAMES),) and np.isfinite(seen.features).all()
    assert (seen.features >= low).all() and (seen.features <= 1).all()
    assert seen.attention.sum() == pytest.approx(1) and 0 <= seen.hash < 2**64


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_single_colour_is_no_exception(level):
    assert np.isfinite(look(np.full((90, 160, 3), level, np.uint8), 0, 0, nobody).features).all()


@pytest.mark.parametrize("name", ["astronaut", "coffee", "rocket"])
def test_size_matters_little(name):
    bgr = photograph(name)
    small = cv2.resize(bgr, (0, 0), fx=384 / max(bgr.shape), fy=384 / max(bgr.shape), interpolation=cv2.INTER_AREA)
    large = cv2.resize(bgr, (0, 0), fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    one, other = look(small, 0, 0, nobody).features, look(large, 0, 0, nobody).features
    assert np.abs(one - other).mean() < 0.03
    assert np.abs(one - other).max() < 0.35


def test_coding_blocks_are_dirt_as_noise_is():
    clean = cv2.GaussianBlur(photograph("coffee"), (0, 0), 1)
    coarse = cv2.imdecode(cv2.imencode(".jpg", clean, [cv2.IMWRITE_JPEG_QUALITY, 12])[1], cv2.IMREAD_COLOR)
    assert signals(coarse)["noise"] > signals(clean)["noise"] + 0.25


def test_the_same_picture_gives_the_same_vector_and_a_glance_the_same_hash():
    bgr = photograph("chelsea")
    one, other = look(bgr, 0.01, 0.02, couple), look(bgr.copy(), 0.01, 0.02, couple)
    assert (one.features == other.features).all()
    again = glance(bgr, one.faces)
    assert again.hash == one.hash and (again.attention == one.attention).all() and again.window == one.window


def test_where_a_picture_lies_in_memory_does_not_matter():
    bgr = cv2.GaussianBlur(np.random.default_rng(5).integers(0, 256, (361, 641, 3)).astype(np.uint8), (0, 0), 3)
    memory, found = np.empty(bgr.size + 64, np.uint8), set()
    for offset in range(64):
        moved = memory[offset : offset + bgr.size].reshape(bgr.shape)
        moved[:] = bgr
        found.add(look(moved, 0, 0, nobody).features.tobytes())
    assert len(found) == 1


def test_faces_draw_half_of_the_attention():
    bgr = photograph("rocket")
    alone, face = look(bgr, 0, 0, nobody), look(bgr, 0, 0, lambda _: [Face(0.8, 0.1, 0.1, 0.2, 0.9)])
    right = slice(int(0.75 * alone.attention.shape[1]), None)
    assert face.attention[:, right].sum() > alone.attention[:, right].sum() + 0.25
    assert named(face.features)["face_x"] > 0.6 and named(alone.features)["face_count"] == 0


def test_moods_follow_the_signals_they_are_made_of():
    bgr = photograph("coffee")
    assert signals(bgr)["mood_warm"] > 0.5
    cold = np.clip(bgr * [1.6, 1.0, 0.5], 0, 255).astype(np.uint8)
    assert signals(cold)["mood_warm"] < 0.1
    assert signals(bgr, subject=0.08)["mood_action"] > 0.5 > signals(bgr)["mood_action"]
    assert signals(bgr, detector=couple)["mood_romantic"] > 0.5 > signals(bgr)["mood_romantic"]
    night = (photograph("rocket") * 0.15).astype(np.uint8)
    assert max(signals(night)[f"mood_{mood}"] for mood in ("tense", "suspense")) > 0.4
    assert signals(night)["mood_comic"] == 0
    bright = np.clip(photograph("chelsea") * [0.8, 1.2, 1.5], 0, 255).astype(np.uint8)
    assert signals(bright)["mood_comic"] > signals(photograph("chelsea"))["mood_comic"]


def test_labels_are_the_strongest_moods_and_at_most_three():
    scores = {f"mood_{mood}": 0.0 for mood in MOODS} | {"mood_epic": 0.9, "mood_warm": 0.6, "mood_calm": 0.49}
    assert mood_labels(scores) == ["epic", "warm"]
    assert len(mood_labels({f"mood_{mood}": 0.8 for mood in MOODS})) == 3
