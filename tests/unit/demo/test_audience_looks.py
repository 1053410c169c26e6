"""What the audience sees in an image is in its pixels."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyart.demo.looks import DESCRIPTORS, read_look, shoutiness, standardise
from keyart.errors import InputError


def encoded(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", np.clip(pixels, 0, 255).astype(np.uint8))[1].tobytes()


def flat(red: float, green: float, blue: float) -> np.ndarray:
    return np.full((180, 320, 3), (blue, green, red), dtype=np.float64)


def checks(size: int, low: float = 60, high: float = 200) -> np.ndarray:
    y, x = np.mgrid[0:180, 0:320]
    return np.where(((y // size + x // size) % 2)[..., None], high, low) * np.ones(3)


def centred(detail: np.ndarray, inside: bool) -> np.ndarray:
    y, x = np.mgrid[0:180, 0:320]
    middle = (abs(y - 90) < 40) & (abs(x - 160) < 75)
    return np.where((middle == inside)[..., None], detail, 128.0)


@pytest.mark.parametrize(
    ("name", "less", "more"),
    [
        ("warmth", flat(80, 80, 200), flat(200, 80, 80)),
        ("brightness", flat(40, 40, 40), flat(200, 200, 200)),
        ("contrast", checks(20, 110, 140), checks(20, 20, 240)),
        ("saturation", flat(120, 120, 120), flat(220, 120, 40)),
        ("closeness", centred(checks(8), False), centred(checks(8), True)),
        ("calmness", checks(8), checks(60)),
    ],
)
def test_each_descriptor_rises_with_what_it_names(name, less, more):
    at = DESCRIPTORS.index(name)
    assert read_look(encoded(more))[at] > read_look(encoded(less))[at] + 0.02


@pytest.mark.parametrize("broken", [b"", b"not an image"])
def test_bytes_that_are_no_image_are_refused(broken):
    with pytest.raises(InputError):
        read_look(broken)


@given(st.integers(0, 10_000), st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_looks_are_relative_to_the_title(seed, sizes):
    title_of = np.repeat(np.arange(len(sizes)), sizes)
    raw = np.random.default_rng(seed).normal(3.0, 2.0, (len(title_of), len(DESCRIPTORS)))
    raw[:, 2] = 7.0
    looks, loud = standardise(raw, title_of), shoutiness(raw, title_of)
    for title in range(len(sizes)):
        assert looks[title_of == title].sum(axis=0) == pytest.approx(np.zeros(len(DESCRIPTORS)), abs=1e-9)
        assert loud[title_of == title].sum() == pytest.approx(0.0, abs=1e-9)
    assert not looks[:, 2].any()
    assert np.isfinite(looks).all()
