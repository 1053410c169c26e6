"""Colour, technical and composition signals against pictures whose order is known."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import cbook
from skimage import data as photographs
from sklearn.datasets import load_sample_image

from keyart.vision import colour, composition, technical
from keyart.vision.picture import FINE_SIDE, black_bars, decode, prepare

PHOTOGRAPHS = {
    "astronaut": photographs.astronaut,
    "cat": photographs.chelsea,
    "coffee": photographs.coffee,
    "rocket": photographs.rocket,
    "temple": lambda: load_sample_image("china.jpg"),
    "flower": lambda: load_sample_image("flower.jpg"),
    "hopper": lambda: cv2.cvtColor(
        cv2.imread(str(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))), cv2.COLOR_BGR2RGB
    ),
}


@pytest.fixture(params=sorted(PHOTOGRAPHS))
def photograph(request) -> np.ndarray:
    return cv2.cvtColor(np.ascontiguousarray(PHOTOGRAPHS[request.param]()), cv2.COLOR_RGB2BGR)


def technical_of(bgr: np.ndarray) -> technical.Technical:
    picture = prepare(bgr)
    return technical.measure(picture.fine, picture.bgr)


def colour_of(bgr: np.ndarray) -> colour.Colour:
    picture = prepare(bgr)
    return colour.measure(picture.thumb, picture.lab)


def composition_of(bgr: np.ndarray) -> composition.Composition:
    picture = prepare(bgr)
    return composition.measure(picture.luma, composition.saliency(picture.luma, picture.lab), picture.fine)


def exposed(bgr: np.ndarray, stops: float) -> np.ndarray:
    """As a camera would have it with so many stops more light: gain on linear light, then clipped."""
    linear = (bgr / 255.0) ** 2.2 * 2.0**stops
    return (255 * np.clip(linear, 0, 1) ** (1 / 2.2)).astype(np.uint8)


def noisy(bgr: np.ndarray, sigma: float) -> np.ndarray:
    grain = np.random.default_rng(3).normal(0, sigma, (*bgr.shape[:2], 1))
    return np.clip(bgr + grain, 0, 255).astype(np.uint8)


def strictly(values: list[float], rising: bool) -> bool:
    steps = np.diff(values)
    return bool((steps > 0).all() if rising else (steps < 0).all())


def test_more_blur_is_less_sharp(photograph):
    scale = max(photograph.shape) / FINE_SIDE
    sharpness = [
        technical_of(cv2.GaussianBlur(photograph, (0, 0), sigma * scale) if sigma else photograph).sharpness
        for sigma in (0, 1, 2, 4, 8)
    ]
    assert strictly(sharpness, rising=False)
    assert sharpness[0] > 0.6 and sharpness[-1] < 0.2


def test_noise_is_seen_and_does_not_pass_for_sharpness(photograph):
    scale = FINE_SIDE / max(photograph.shape)
    small = cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    found = [technical_of(noisy(cv2.GaussianBlur(small, (0, 0), 3), sigma)) for sigma in (0, 4, 8, 12)]
    assert strictly([one.noise for one in found], rising=True)
    # sigma 8 of 255, and texture adds little: the scale is NOISE_SCALE
    assert found[2].noise * technical.NOISE_SCALE == pytest.approx(8 / 255, rel=0.25)
    assert found[3].sharpness < technical_of(small).sharpness


def test_exposure_falls_on_both_sides(photograph):
    darker = [technical_of(exposed(photograph, stops)).exposure for stops in (0, -2.5, -4, -6)]
    brighter = [technical_of(exposed(photograph, stops)).exposure for stops in (2, 3, 4, 5)]
    assert darker[0] > 0.8
    assert strictly(darker, rising=False) and darker[-1] < 0.5 * darker[0]
    assert (np.diff(brighter) <= 0).all() and brighter[-1] < darker[0] - 0.2


def test_motion_blur_is_told_from_a_still_picture(photograph):
    kernel = np.zeros((1, 41), np.float32) + 1 / 41
    assert technical_of(cv2.filter2D(photograph, -1, kernel)).motion_blur > 2 * technical_of(photograph).motion_blur


def test_a_warm_filter_raises_warmth_and_a_cold_one_lowers_it(photograph):
    warm = np.clip(photograph * [0.7, 1.0, 1.3], 0, 255).astype(np.uint8)
    cold = np.clip(photograph * [1.3, 1.0, 0.7], 0, 255).astype(np.uint8)
    assert strictly([colour_of(bgr).warmth for bgr in (cold, photograph, warm)], rising=True)


def test_grey_has_no_colour(photograph):
    grey = cv2.cvtColor(cv2.cvtColor(photograph, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    found = colour_of(grey)
    assert found.saturation < 0.01 and found.colourfulness < 0.01 and found.harmony == 0.5
    assert abs(found.warmth) < 0.01 and abs(found.hue_x) < 0.02 and abs(found.hue_y) < 0.02
    assert colour_of(photograph).brightness == pytest.approx(found.brightness, abs=0.01)


@given(st.integers(0, 359))
def test_one_hue_or_two_opposite_ones_are_more_harmonious_than_all(turn):
    degrees = np.arange(360)

    def wheel(hues: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        radians = np.radians(hues + turn)[None]
        return 0.3 * np.cos(radians), 0.3 * np.sin(radians)

    one = colour.harmony(*wheel(degrees * 0.05))
    two = colour.harmony(*wheel(np.where(degrees % 2 == 0, 0, 180)))
    every = colour.harmony(*wheel(degrees))
    assert one > every + 0.3 and two > every + 0.3


def test_the_palette_finds_the_colours_a_picture_is_made_of():
    bgr = np.zeros((90, 160, 3), np.uint8)
    bgr[:, :80], bgr[:, 80:120], bgr[:, 120:] = (0, 0, 255), (0, 255, 0), (255, 0, 0)
    picture = prepare(bgr)
    centres, shares = colour.palette(picture.lab, 3)
    assert shares == pytest.approx([0.5, 0.25, 0.25], abs=0.02)
    expected = picture.lab[45, [20, 100, 140]]
    assert np.abs(centres[0] - expected[0]).max() < 0.02
    assert {int(np.abs(expected - centre).sum(axis=1).argmin()) for centre in centres} == {0, 1, 2}


def test_mirror_images_score_alike_and_sides_change_sign(photograph):
    one, other = composition_of(photograph), composition_of(np.ascontiguousarray(photograph[:, ::-1]))
    for name in ("thirds", "symmetry", "balance", "simplicity", "negative_space", "subject_spread", "detail"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=0.08), name
    for name in ("subject_x", "negative_side"):
        assert getattr(one, name) == pytest.approx(-getattr(other, name), abs=0.1), name


def test_a_picture_beside_its_mirror_image_is_symmetric(photograph):
    both = np.concatenate([photograph, photograph[:, ::-1]], axis=1)
    assert composition_of(both).symmetry > 0.8
    assert composition_of(both).symmetry > composition_of(photograph).symmetry


def ball(x: float, y: float) -> np.ndarray:
    """A red ball on a slightly uneven grey ground, at shares of the picture."""
    rows, columns = np.mgrid[0:216, 0:384]
    ground = 120 + 6 * np.sin(rows / 40) + 6 * np.sin(columns / 60)
    bgr = np.repeat(ground[..., None], 3, axis=2).astype(np.uint8)
    cv2.circle(bgr, (round(x * 384), round(y * 216)), 22, (30, 30, 220), -1, cv2.LINE_AA)
    return bgr


@pytest.mark.parametrize(("x", "y"), [(1 / 3, 1 / 3), (2 / 3, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 2 / 3)])
def test_a_subject_on_a_crossing_of_the_thirds_scores_highest(x, y):
    assert composition_of(ball(x, y)).thirds > composition_of(ball(0.5, 0.5)).thirds + 0.2
    assert composition_of(ball(x, y)).thirds > composition_of(ball(0.1, 0.12)).thirds + 0.2


def test_the_eye_goes_to_the_ball_and_the_room_lies_on_the_other_side():
    found = composition_of(ball(0.25, 0.5))
    assert found.subject_x < -0.5 and found.negative_side > 0 and found.negative_space > 0.6
    assert found.subject_strength > 0.7 and found.simplicity > 0.5
    assert composition_of(ball(0.5, 0.5)).balance > found.balance


def test_depth_of_field_needs_a_soft_ground():
    rng = np.random.default_rng(5)
    texture = cv2.resize(
        rng.integers(60, 200, (54, 96, 3), dtype=np.uint8), (384, 216), interpolation=cv2.INTER_NEAREST
    )
    soft = cv2.GaussianBlur(texture, (0, 0), 6)
    cv2.rectangle(texture, (150, 60), (240, 160), (20, 20, 230), -1)
    subject = texture[60:160, 150:240].copy()
    subject[::8] = 255
    sharp_all, sharp_subject = texture.copy(), soft.copy()
    sharp_all[60:160, 150:240] = subject
    sharp_subject[60:160, 150:240] = subject
    assert composition_of(sharp_subject).depth_of_field > composition_of(sharp_all).depth_of_field + 0.3


@pytest.mark.parametrize("degrees", [-9, -4, 4, 9])
def test_tilt_is_measured_in_degrees(degrees):
    rows = np.zeros((432, 768), np.uint8)
    for y in range(40, 432, 80):
        rows[y : y + 6] = 255
    turned = cv2.warpAffine(rows, cv2.getRotationMatrix2D((384, 216), -degrees, 1.4), (768, 432))
    lean, trust = composition.horizon_tilt(turned.astype(np.float32) / 255)
    assert lean == pytest.approx(degrees, abs=1) and trust > 0.9


def test_a_picture_without_directions_leans_nowhere():
    grass = cv2.GaussianBlur(np.random.default_rng(2).normal(0.5, 0.3, (360, 640)).astype(np.float32), (0, 0), 2)
    assert composition.horizon_tilt(grass)[1] < 0.35
    assert composition.horizon_tilt(np.full((90, 160), 0.5, np.float32)) == (0.0, 0.0)


def test_coding_blocks_are_seen_wherever_they_begin(photograph):
    clean = cv2.GaussianBlur(photograph, (0, 0), 1)
    grey = [
        cv2.cvtColor(
            cv2.imdecode(cv2.imencode(".jpg", clean, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR),
            cv2.COLOR_BGR2GRAY,
        )
        for quality in (95, 30, 12)
    ]
    found = [technical.coding(one)[0] for one in grey]
    assert strictly(found, rising=True) and found[0] < 0.1 and found[2] > 0.3
    moved = np.ascontiguousarray(grey[2][3:, 5:])
    assert technical.coding(moved)[0] == pytest.approx(found[2], abs=0.05), "bars that were cut off move the blocks"
    assert technical.coding(grey[2][:40, :40]) == (0, 0), "too small to tell"


def test_coarse_coding_is_told_by_the_waves_that_are_missing(photograph):
    """Where the seams do not show yet, and in no picture that was scaled, blurred or grained since, or never coded."""
    # They are JPEG already; a blur takes that from them.
    grey = cv2.GaussianBlur(cv2.cvtColor(photograph, cv2.COLOR_BGR2GRAY), (0, 0), 1)
    coded = lambda quality: cv2.imdecode(  # noqa: E731
        cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_GRAYSCALE
    )
    assert [technical.coding(one)[1] for one in (grey, coded(95), coded(90))] == [0, 0, 0]
    assert technical.coding(coded(30))[1] > 0.2
    moved = np.ascontiguousarray(coded(30)[5:, 3:])
    assert technical.coding(moved)[1] == pytest.approx(technical.coding(coded(30))[1], abs=0.1)
    since = (
        cv2.resize(coded(30), None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA),
        cv2.GaussianBlur(grey, (0, 0), 1.5),
        np.clip(coded(30) + np.random.default_rng(1).normal(0, 6, grey.shape), 0, 255).astype(np.uint8),
    )
    assert [technical.coding(one)[1] for one in since] == [0, 0, 0]


def test_upright_lines_are_no_coding_blocks():
    fence = np.random.default_rng(3).integers(90, 110, (360, 640)).astype(np.uint8)
    fence[:, ::80] = 255
    assert technical.coding(fence)[0] < 0.05


def test_clipped_blocks_do_not_hide_noise():
    grain = np.random.default_rng(4).normal(0, 8 / 255, (360, 640)).astype(np.float32)
    half = np.where(np.arange(640) < 400, 1.0, 0.5).astype(np.float32)
    assert technical.noise_deviation(np.clip(half + grain, 0, 1)) == pytest.approx(8 / 255, rel=0.1)
    assert technical.noise_deviation(np.ones((360, 640), np.float32)) == 0


def test_bars_are_taken_off_and_dark_pictures_are_not_bars(photograph):
    height = photograph.shape[0]
    framed = cv2.copyMakeBorder(photograph, height // 8, height // 8, 0, 0, cv2.BORDER_CONSTANT)
    assert black_bars(framed)[0] == pytest.approx(height // 8, abs=2)
    assert prepare(framed).window[1] == pytest.approx(1 / 10, abs=0.01)
    assert technical_of(framed).exposure == pytest.approx(technical_of(photograph).exposure, abs=0.03)
    one_side = cv2.copyMakeBorder(photograph, height // 8, 0, 0, 0, cv2.BORDER_CONSTANT)
    assert black_bars(one_side)[0] == 0
    assert black_bars(np.zeros((90, 160, 3), np.uint8)) == (0, 0)


def test_bytes_that_are_no_picture_are_none():
    assert decode(b"") is None and decode(b"not an image") is None
    assert decode(cv2.imencode(".png", np.zeros((2, 2, 3), np.uint8))[1].tobytes()) is None, "too small to look at"
