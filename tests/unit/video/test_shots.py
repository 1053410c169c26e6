"""Shots: known cuts, dissolves and fades are found; flashes, freezes, pans and static cameras are none."""

import cv2
import numpy as np
import pytest

from keyart.video.decode import Segment
from keyart.video.segments import scan_segment
from keyart.video.shots import Boundary, find_boundaries

THUMB = (48, 27)


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


@pytest.mark.shared
@pytest.mark.parametrize("name", ["shots_cfr", "shots_vfr"])
def test_composed_films_score_high(shared, name):
    import json

    truth = json.loads((shared / "media" / f"{name}.json").read_text())
    scan = scan_segment(str(shared / "media" / f"{name}.mp4"), Segment(0, None, None, 1), 0)
    found = [b.frame for b in find_boundaries(scan.thumbs, 24.0)]
    spans = [(c - 1, c + 1) for c in truth["cuts"]] + [(a - 2, b + 2) for a, b in truth["gradual"]]
    hits = sum(any(a <= frame <= b for frame in found) for a, b in spans)
    precision, recall = hits / len(found), hits / len(spans)
    assert len(scan.pts) == truth["frames"]
    assert 2 * precision * recall / (precision + recall) >= 0.97
