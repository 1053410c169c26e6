"""Signals against pictures whose values are known by construction."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyart.video.exchange import SIGNALS, THUMB
from keyart.video.frame_kernels import MOTION, area_weights
from keyart.video.signals import SignalReader, finish

WIDTH, HEIGHT = 320, 180


def measure(*lumas: np.ndarray, cb: int = 128, cr: int = 128, full: bool = False) -> dict[str, np.ndarray]:
    height, width = lumas[0].shape
    chroma = (height // 2, width // 2)
    reader = SignalReader(width, height)
    blue, red = np.full(chroma, cb, np.uint8), np.full(chroma, cr, np.uint8)
    rows = [reader.read(luma, blue, red, full)[0] for luma in lumas]
    return dict(zip(SIGNALS, finish(np.array(rows)).T, strict=True))


def texture(seed: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return sum(
        cv2.resize(rng.uniform(16, 235, (cells * 9, cells * 16)), (width, height), interpolation=cv2.INTER_CUBIC) / 3
        for cells in (1, 3, 9)
    ).clip(16, 235).astype(np.uint8)  # fmt: skip


@given(st.integers(16, 235), st.integers(16, 240), st.integers(16, 240))
@settings(max_examples=30)
def test_a_plain_colour_measures_as_itself(level, cb, cr):
    seen = measure(np.full((HEIGHT, WIDTH), level, np.uint8), cb=cb, cr=cr)
    blue, red = (cb - 128) / 224, (cr - 128) / 224
    assert seen["luma_mean"][0] == pytest.approx((level - 16) / 219, abs=1e-6)
    assert seen["warmth"][0] == pytest.approx(red - blue, abs=1e-6)
    assert seen["luma_spread"][0] == pytest.approx(0, abs=1e-6)
    assert seen["sharpness"][0] == seen["noise"][0] == seen["contrast"][0] == 0
    if (cb, cr) != (128, 128):
        assert np.cos(np.radians(seen["hue"][0]) - np.arctan2(red, blue)) == pytest.approx(1, abs=1e-6)
    rgb = np.array([1.402 * red, -0.344 * blue - 0.714 * red, 1.772 * blue])
    opponent = 0.3 * np.hypot(rgb[0] - rgb[1], (rgb[0] + rgb[1]) / 2 - rgb[2])
    assert seen["colourfulness"][0] == pytest.approx(min(1, opponent), abs=2e-3)


def test_colourfulness_is_hasler_and_suesstrunks_on_rgb():
    rng = np.random.default_rng(1)
    cb, cr = (rng.integers(60, 200, (HEIGHT // 2, WIDTH // 2)).astype(np.uint8) for _ in range(2))
    reader = SignalReader(WIDTH, HEIGHT)
    seen = dict(zip(SIGNALS, finish(reader.read(texture(1), cb, cr)[0][None])[0], strict=True))
    small = [cv2.resize(plane, (80, 45), interpolation=cv2.INTER_AREA).astype(float) - 128 for plane in (cb, cr)]
    blue, red = (plane / 224 for plane in small)
    r, g, b = 1.402 * red, -0.344 * blue - 0.714 * red, 1.772 * blue
    rg, yb = r - g, (r + g) / 2 - b
    want = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    assert seen["colourfulness"] == pytest.approx(want, rel=0.02)


def test_hue_is_the_dominant_one_not_the_mean_of_opposites():
    """The mean of the three hues points between two of them, where the picture has no colour at all."""
    luma = np.full((HEIGHT, WIDTH), 120, np.uint8)
    cb, cr = (np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8) for _ in range(2))
    cb[:, :60], cr[:, :60] = 128 - 60, 128 + 60  # the largest share
    cb[:, 60:110], cr[:, 60:110] = 128 + 60, 128 + 60
    cb[:, 110:], cr[:, 110:] = 128 + 60, 128 - 60
    seen = finish(SignalReader(WIDTH, HEIGHT).read(luma, cb, cr)[0][None])[0]
    assert seen[SIGNALS.index("hue")] == pytest.approx(135, abs=1)


def test_measures_of_a_frame_do_not_depend_on_those_before_but_for_motion():
    rng = np.random.default_rng(8)
    frames = [texture(seed) for seed in (1, 2, 3)]
    chroma = rng.integers(100, 150, (HEIGHT // 2, WIDTH // 2)).astype(np.uint8)
    together = SignalReader(WIDTH, HEIGHT)
    for frame in frames:
        alone, _ = SignalReader(WIDTH, HEIGHT).read(frame, chroma, chroma)
        row, _ = together.read(frame, chroma, chroma)
        np.testing.assert_array_equal(row[:MOTION], alone[:MOTION])


@pytest.mark.parametrize(("size", "target"), [(90, 27), (160, 48), (27, 27), (48, 27), (8, 27), (135, 27)])
def test_area_weights_cover_every_pixel_once(size, target):
    first, weights = area_weights(size, target)
    cover = np.zeros(size)
    for begin, line in zip(first, weights, strict=True):
        cover[begin : begin + len(line)] += line
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(cover, target / size, atol=1e-6)


def test_thumbnails_are_area_averages():
    picture = texture(9)
    small = cv2.resize(picture, (160, 90), interpolation=cv2.INTER_AREA)
    chroma = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    _, thumb = SignalReader(WIDTH, HEIGHT).read(picture, chroma, chroma)
    want = cv2.resize(small, THUMB, interpolation=cv2.INTER_AREA)
    assert np.abs(thumb.astype(int) - want).max() <= 1


@pytest.mark.parametrize("sigma", [2.0, 5.0, 10.0])
def test_noise_is_the_standard_deviation_that_was_added(sigma):
    rng = np.random.default_rng(2)
    noisy = (np.full((HEIGHT, WIDTH), 120.0) + rng.normal(0, sigma, (HEIGHT, WIDTH))).round().astype(np.uint8)
    assert measure(noisy)["noise"][0] * 219 == pytest.approx(sigma, rel=0.05)


def test_blur_lowers_sharpness_and_motion_blur_is_directional():
    sharp = texture(3)
    soft = cv2.GaussianBlur(sharp, (0, 0), 3)
    smeared = cv2.blur(sharp, (25, 1))
    seen = measure(sharp, soft, smeared)
    assert seen["sharpness"][0] > seen["sharpness"][1] + 0.1
    assert seen["motion_blur"][2] > seen["motion_blur"][1] + 0.3
    assert seen["motion_blur"][0] < 0.4


def test_sharpness_is_the_variance_of_the_laplacian():
    picture = texture(4)
    laplacian = cv2.Laplacian(picture.astype(float), cv2.CV_64F)[1:-1:2, 1:-1]
    want = np.log1p(laplacian.var() * (255 / 219) ** 2) / np.log1p(10_000)
    assert measure(picture)["sharpness"][0] == pytest.approx(want, rel=1e-3)


@given(st.integers(-12, 12), st.integers(-8, 8))
@settings(max_examples=20)
def test_a_shifted_picture_is_camera_motion_and_nothing_else(dx, dy):
    canvas = texture(5, WIDTH * 2, HEIGHT * 2)
    first = canvas[40 : 40 + HEIGHT, 40 : 40 + WIDTH]
    second = canvas[40 - dy : 40 - dy + HEIGHT, 40 - dx : 40 - dx + WIDTH]
    seen = measure(first, second)
    assert seen["camera_motion"][1] == pytest.approx(np.hypot(dx, dy) / WIDTH, abs=1.5 / 160)
    assert seen["subject_motion"][1] <= seen["difference"][1]
    assert seen["difference"][0] == 0


def test_what_moves_before_a_still_camera_is_subject_motion():
    still = texture(6)
    moved = still.copy()
    moved[60:120, 100:180] = 235
    seen = measure(still, moved)
    assert seen["camera_motion"][1] == 0
    assert seen["subject_motion"][1] == pytest.approx(seen["difference"][1])
    assert seen["difference"][1] > 0.02


def test_shadows_highlights_and_full_range():
    half = np.full((HEIGHT, WIDTH), 16, np.uint8)
    half[:, WIDTH // 2 :] = 235
    seen = measure(half)
    assert seen["shadows"][0] == pytest.approx(0.5, abs=0.01)
    assert seen["highlights"][0] == pytest.approx(0.5, abs=0.01)
    assert seen["contrast"][0] == pytest.approx(1)
    assert measure(np.full((HEIGHT, WIDTH), 51, np.uint8), full=True)["luma_mean"][0] == pytest.approx(0.2)


@pytest.mark.parametrize("rows", [0, 10, 22])
def test_black_bars_are_measured_and_a_black_picture_has_none(rows):
    picture = np.clip(texture(7).astype(int), 60, 235).astype(np.uint8)
    picture[:rows] = 16
    picture[HEIGHT - rows :] = 16
    assert measure(picture)["bar_top"][0] == pytest.approx(rows / HEIGHT, abs=1e-9)
    assert measure(picture)["bar_left"][0] == 0
    assert measure(np.full((HEIGHT, WIDTH), 16, np.uint8))["bar_top"][0] == 0


@given(st.integers(16, 900), st.integers(16, 900))
@settings(max_examples=25)
def test_any_size_gives_finite_signals_in_range(width, height):
    rng = np.random.default_rng(width * 1000 + height)
    luma = rng.integers(0, 256, (height, width)).astype(np.uint8)
    chroma = rng.integers(0, 256, ((height + 1) // 2, (width + 1) // 2)).astype(np.uint8)
    reader = SignalReader(width, height)
    row, thumb = reader.read(luma, chroma, chroma)
    values = finish(row[None])[0]
    assert thumb.shape == (THUMB[1], THUMB[0])
    assert np.isfinite(values).all()
    assert (values[[i for i, name in enumerate(SIGNALS) if name not in ("hue", "warmth")]] >= 0).all()
    assert (values[[i for i, name in enumerate(SIGNALS) if name != "hue"]] <= 1).all()
