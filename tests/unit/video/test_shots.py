"""Shots: known cuts, dissolves and fades are found; flashes, freezes, pans and static cameras are none."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from keyart.video import shots
from keyart.video.exchange import Boundary, Segment
from keyart.video.segments import scan_segment
from keyart.video.shots import find_boundaries

THUMB = (48, 27)
LABELS = json.loads((Path(__file__).parent / "labels/real_films.json").read_text())["films"]


def shot(seed: int, frames: int, speed: float = 0.3) -> np.ndarray:
    """Thumbnails of a camera drifting over one random scene."""
    rng = np.random.default_rng(seed)
    scene = sum(
        cv2.resize(rng.uniform(0, 255, (cells, cells)), (120, 60), interpolation=cv2.INTER_CUBIC) / 2
        for cells in (5, 14)
    ).astype(np.float32)
    views = [
        cv2.warpAffine(scene, np.float32([[1, 0, -10 - speed * k], [0, 1, -10]]), THUMB, flags=cv2.INTER_LINEAR)
        for k in range(frames)
    ]
    return np.stack(views).clip(0, 255)


def film(*parts: np.ndarray) -> np.ndarray:
    return np.concatenate(parts).round().clip(0, 255).astype(np.uint8)


def dissolve(one: np.ndarray, other: np.ndarray, length: int) -> np.ndarray:
    share = ((np.arange(length) + 1) / (length + 1))[:, None, None]
    return np.concatenate([one[:-length], (1 - share) * one[-length:] + share * other[:length], other[length:]])


def test_cuts_are_found_to_the_frame():
    assert find_boundaries(film(shot(1, 40), shot(2, 30), shot(3, 50))) == [Boundary(40, "cut"), Boundary(70, "cut")]


@pytest.mark.parametrize("length", [6, 12, 20])
def test_a_dissolve_is_one_boundary_inside_it(length):
    found = find_boundaries(film(dissolve(shot(4, 50), shot(5, 50), length)))
    assert [b.kind for b in found] == ["dissolve"]
    assert 50 - length - 1 <= found[0].frame <= 51


def test_a_fade_through_black_is_one_boundary():
    one, other = shot(6, 40), shot(7, 40)
    ramp = np.linspace(1, 0, 10)[:, None, None]
    parts = [one[:-10], (one[-10:] - 16) * ramp + 16, np.full((3, 27, 48), 16.0), (other[:10] - 16) * ramp[::-1] + 16]
    found = find_boundaries(film(*parts, other[10:]))
    assert [b.kind for b in found] == ["fade"]
    assert 30 <= found[0].frame <= 53


@pytest.mark.parametrize("frames", [1, 2])
def test_flashes_are_no_boundary(frames):
    steady = shot(8, 60)
    steady[30 : 30 + frames] = 250
    assert find_boundaries(film(steady)) == []


def test_a_half_bright_flash_is_no_boundary():
    steady = shot(9, 60)
    steady[30] = steady[30] * 0.3 + 170
    assert find_boundaries(film(steady)) == []


def test_a_freeze_is_no_boundary():
    steady = shot(10, 60, speed=0.6)
    steady[25:31] = steady[25]
    assert find_boundaries(film(steady)) == []


@pytest.mark.parametrize("speed", [0.0, 0.5, 2.0])
def test_a_moving_camera_is_no_boundary(speed):
    assert find_boundaries(film(shot(11, 30, speed=speed))) == []


def test_noise_on_a_static_camera_is_no_boundary():
    noise = np.random.default_rng(0).normal(0, 6, (80, 27, 48))
    assert find_boundaries(film(shot(12, 80, speed=0) + noise)) == []


def test_black_at_either_end_is_no_boundary():
    black = np.full((10, 27, 48), 16.0)
    assert find_boundaries(film(black, shot(13, 40), black)) == []


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_too_few_frames_have_no_boundary(frames):
    assert find_boundaries(np.zeros((frames, 27, 48), np.uint8)) == []


def test_a_strobe_is_no_boundary():
    steady = shot(14, 80)
    for begin in range(30, 54, 6):
        steady[begin : begin + 3] = steady[begin : begin + 3] * 0.3 + 150
    assert find_boundaries(film(steady)) == []


def test_an_explosion_is_no_boundary():
    steady = shot(15, 80)
    away = np.hypot(np.arange(48)[None] - 20, np.arange(27)[:, None] - 14)
    for k in range(30, 80):
        glow = np.clip(1.3 * min(1, (k - 29) / 4) * np.exp(-max(0, k - 34) / 8) * np.exp(-((away / 18) ** 2)), 0, 1)
        steady[k] = steady[k] * (1 - glow) + 235 * glow
    assert find_boundaries(film(steady)) == []


def test_something_that_passes_is_no_boundary():
    steady = shot(16, 60, speed=0)
    for k in range(12):
        steady[24 + k, :, max(0, 6 * k - 24) : 6 * k] = 30
    assert find_boundaries(film(steady)) == []


def test_light_that_goes_down_is_no_boundary():
    steady = shot(17, 60)
    steady[30:] *= 0.6
    assert find_boundaries(film(steady)) == []


def test_lettering_that_appears_is_no_boundary():
    steady = shot(18, 90, speed=0.1)
    card = np.zeros((108, 192), np.uint8)
    cv2.putText(card, "KEYART", (30, 60), cv2.FONT_HERSHEY_DUPLEX, 1.0, 255, 2)
    ink = cv2.resize(card, THUMB, interpolation=cv2.INTER_AREA) / 255
    for k in range(30, 90):
        share = ink * min(1, (k - 29) / 8)
        steady[k] = steady[k] * (1 - share) + 235 * share
    assert find_boundaries(film(steady)) == []


@pytest.mark.parametrize(("contrast", "lift"), [(0.25, 16), (0.35, 100)], ids=["dark", "hazy"])
def test_cuts_and_dissolves_of_little_contrast(contrast, lift):
    parts = np.concatenate([dissolve(shot(19, 50), shot(20, 50), 16), shot(21, 40)])
    assert [b.kind for b in find_boundaries(film(parts * contrast + lift))] == ["dissolve", "cut"]


def test_letterboxed_films_fade_and_dissolve():
    ramp = np.linspace(1, 0, 8)[:, None, None]
    one, other = shot(22, 40), shot(23, 40)
    faded = [one[:-8], (one[-8:] - 200) * ramp + 200, np.full((2, 27, 48), 200.0), (other[:8] - 200) * ramp[::-1] + 200]
    parts = film(dissolve(shot(24, 50), np.concatenate([*faded, other[8:]]), 14))
    parts[:, :4], parts[:, -4:] = 16, 16
    assert [b.kind for b in find_boundaries(parts)] == ["dissolve", "fade"]


@pytest.mark.parametrize(("rate", "length"), [(24, 56), (50, 60), (60, 60)])
def test_long_dissolves_at_any_rate(rate, length):
    parts = dissolve(shot(25, 120, speed=0.1), shot(26, 120, speed=0.1), length)
    found = find_boundaries(film(parts), rate)
    assert [b.kind for b in found] == ["dissolve"]
    assert 120 - length <= found[0].frame <= 120


def test_drawings_shown_three_times_each():
    twice = np.concatenate([shot(27, 20, speed=1.5).repeat(3, axis=0), shot(28, 20, speed=1.5).repeat(3, axis=0)])
    assert find_boundaries(film(twice), 30.0) == [Boundary(60, "cut")]


def test_stretches_make_no_difference(monkeypatch):
    black = np.full((310, 27, 48), 16.0)  # longer than a stretch sees past its end
    parts = [dissolve(shot(29, 60), shot(30, 60), 20), shot(31, 60), black, shot(32, 60), shot(33, 60)]
    whole = find_boundaries(film(*parts))
    assert [b.kind for b in whole] == ["dissolve", "cut", "fade", "cut"]
    monkeypatch.setattr(shots, "STRETCH", 70)
    assert find_boundaries(film(*parts)) == whole


def scanned(path) -> np.ndarray:
    return scan_segment(str(path), Segment(0, None, None, 1), 0).thumbs


def matched(truth: dict, frames: list[int]) -> tuple[list[bool], list[int]]:
    """Which boundaries were found, cuts first, and what was found where none is."""
    spans = [(c - 1, c + 1) for c in truth["cuts"]] + [(a - 2, b + 2) for a, b in truth["gradual"]]
    hit, false = [False] * len(spans), []
    for frame in frames:
        at = next((k for k, (a, b) in enumerate(spans) if not hit[k] and a <= frame <= b), None)
        if at is not None:
            hit[at] = True
        elif not any(a - 2 <= frame <= b + 2 for a, b in truth.get("unsure", [])):
            false.append(frame)
    return hit, false


@pytest.mark.shared
@pytest.mark.parametrize("name", ["shots_cfr", "shots_vfr"])
def test_composed_films_score_high(shared, name):
    truth = json.loads((shared / "media" / f"{name}.json").read_text())
    thumbs = scanned(shared / "media" / f"{name}.mp4")
    found = [b.frame for b in find_boundaries(thumbs, 24.0)]
    hit, false = matched(truth, found)
    gradual = hit[len(truth["cuts"]) :]
    assert len(thumbs) == truth["frames"]
    assert 2 * sum(hit) / (len(found) + len(hit)) >= 0.97
    assert sum(gradual) / len(gradual) >= 0.90
    distractors = [frame for _, frame in truth["distractors"]]
    assert not [f for f in false if any(0 <= f - frame <= 12 for frame in distractors)]


REAL = ["nasa_13013.mp4", "sintel_trailer-480p.mp4", "tears-of-steel-battle-clip.webm"]
STATIC = [
    "intel_car-detection.mp4",
    "intel_one-by-one-person-detection.mp4",
    "intel_classroom.gif",
    "intel_hp_face.gif",
]


@pytest.mark.shared
@pytest.mark.parametrize("name", REAL)
def test_real_films_as_labelled_by_eye(shared, name):
    hit, false = matched(
        LABELS[name], [b.frame for b in find_boundaries(scanned(shared / "media" / name), LABELS[name]["rate"])]
    )
    assert sum(hit) >= 0.85 * len(hit)
    assert len(false) <= 1


@pytest.mark.shared
@pytest.mark.parametrize("name", STATIC)
def test_static_cameras_have_no_boundary(shared, name):
    assert find_boundaries(scanned(shared / "media" / name), LABELS[name]["rate"]) == []
