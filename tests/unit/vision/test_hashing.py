"""Perceptual hash: stays under what a viewer would not notice, changes with the picture."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import data as photographs

from keyart.vision.hashing import hamming, perceptual_hash

LUMA = {
    name: cv2.cvtColor(np.ascontiguousarray(getattr(photographs, name)()), cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    for name in ("astronaut", "chelsea", "coffee", "rocket")
}


def apart(left: np.ndarray, right: np.ndarray) -> int:
    return int(hamming(np.uint64(perceptual_hash(left)), np.uint64(perceptual_hash(right))))


@pytest.mark.parametrize("name", sorted(LUMA))
def test_small_changes_move_few_bits(name):
    luma = LUMA[name]
    coded = cv2.imdecode(cv2.imencode(".jpg", (luma * 255).astype(np.uint8), [1, 40])[1], 0).astype(np.float32) / 255
    assert apart(luma, coded) <= 4
    assert apart(luma, cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)) <= 4
    assert apart(luma, np.clip(0.9 * luma + 0.05, 0, 1)) <= 4


def test_other_pictures_differ_in_many_bits():
    names = sorted(LUMA)
    distances = [apart(LUMA[a], LUMA[b]) for i, a in enumerate(names) for b in names[i + 1 :]]
    assert min(distances) >= 16


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_hamming_counts_bits(left, right):
    assert int(hamming(np.uint64(left), np.uint64(right))) == bin(left ^ right).count("1")
