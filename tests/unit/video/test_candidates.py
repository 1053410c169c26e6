"""Candidates: enough of them, spread out, outside transitions, and fetched as a viewer sees them."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyart.video.candidates import choose_candidates, film_bars, frame_quality, lay_out_shots
from keyart.video.exchange import SIGNALS, Boundary, Pick
from keyart.video.films import digest_film
from keyart.video.pictures import fetch_pictures
from keyart.video.plan import plan_film
from keyart.video.segments import scan_segment
from keyart.video.shots import find_boundaries

COLUMN = {name: k for k, name in enumerate(SIGNALS)}


def signals(frames: int, **values: float) -> np.ndarray:
    rows = np.zeros((frames, len(SIGNALS)))
    for name, value in ({"luma_mean": 0.45, "luma_spread": 0.2, "sharpness": 0.6} | values).items():
        rows[:, COLUMN[name]] = value
    return rows


@given(
    st.integers(1, 900),
    st.sets(st.integers(1, 899), max_size=30),
    st.integers(1, 5),
    st.integers(1, 70),
)
@settings(max_examples=60)
def test_candidates_are_few_enough_in_order_and_of_the_film(frames, borders, per_shot, most):
    shots = lay_out_shots(frames, [Boundary(b, "cut") for b in sorted(borders)])
    seconds = np.arange(frames) / 25
    rows = signals(frames)
    rows[:, COLUMN["sharpness"]] = np.random.default_rng(frames).uniform(0.1, 1, frames)
    chosen = choose_candidates(shots, seconds, rows, frame_quality(rows, np.zeros(frames, bool)), per_shot, most)
    assert 1 <= len(chosen) <= most
    assert (np.diff(chosen) > 0).all()
    assert chosen[0] >= 0 and chosen[-1] < frames


def test_shots_cover_the_film_without_gaps():
    shots = lay_out_shots(100, [Boundary(30, "cut"), Boundary(70, "fade")])
    assert [(s.start, s.end, s.transition_in) for s in shots] == [(0, 30, "start"), (30, 70, "cut"), (70, 100, "fade")]
    assert lay_out_shots(0, []) == []


def test_a_single_take_gives_at_least_twelve_over_its_length():
    rows, seconds = signals(500), np.arange(500) / 25
    chosen = choose_candidates(lay_out_shots(500, []), seconds, rows, np.ones(500), 3, 60)
    assert len(chosen) >= 12
    assert np.diff(seconds[chosen]).max() < 4


def test_sharp_still_well_lit_frames_win():
    rows = signals(4)
    rows[1, COLUMN["sharpness"]] = 0.2
    rows[2, COLUMN["luma_mean"]] = 0.02
    rows[3, COLUMN["subject_motion"]] = 0.2
    quality = frame_quality(rows, np.zeros(4, bool))
    assert quality.argmax() == 0
    assert ((quality >= 0) & (quality <= 1)).all()


def test_no_candidate_lies_under_a_transition():
    rows, seconds = signals(200), np.arange(200) / 25
    quality = np.zeros(200)
    quality[95:106] = 1  # the dissolve looks best
    shots = lay_out_shots(200, [Boundary(100, "dissolve")])
    chosen = choose_candidates(shots, seconds, rows, quality, 3, 60)
    assert not ((chosen > 88) & (chosen < 112)).any()


def test_the_limit_takes_of_every_part_of_the_film():
    rows, seconds = signals(3000), np.arange(3000) / 25
    shots = lay_out_shots(3000, [Boundary(b, "cut") for b in range(50, 3000, 50)])
    chosen = choose_candidates(shots, seconds, rows, np.linspace(0, 1, 3000), 3, 30)
    assert len(chosen) == 30
    assert np.diff(np.r_[0, seconds[chosen], 120]).max() <= 24
    assert len({int(c) // 50 for c in chosen}) == 30  # one of each shot before any shot's second


def test_bars_are_cut_only_where_shot_and_film_agree():
    rows = signals(90)
    rows[:, COLUMN["bar_top"]] = 0.12
    rows[30:60, COLUMN["bar_top"]] = 0.0
    shots = lay_out_shots(90, [Boundary(30, "cut"), Boundary(60, "cut")])
    np.testing.assert_allclose(film_bars(shots, rows)[:, 0], [0.12, 0, 0.12])
    night = signals(90)
    night[:20, COLUMN["bar_top"]] = 0.3
    np.testing.assert_allclose(film_bars(lay_out_shots(90, [Boundary(20, "cut")]), night), 0)


def test_pictures_come_out_turned_square_and_without_bars(film, take):
    frames = [frame.copy() for frame in take(1, 24, width=96, height=64)]
    for frame in frames:
        frame[:] = np.maximum(frame, 90)
        frame[:8], frame[-8:] = 0, 0
    uri = film("wide.mp4", frames, aspect=Fraction(2), options={"crf": "8"})
    whole = plan_film(uri, 60).segments[0]
    scan = scan_segment(uri, whole, 0)
    boundaries = find_boundaries(scan.thumbs, 24.0)
    tick = 1 / 24 / scan.pts[1]
    shots, found = digest_film(scan.pts, scan.keyframe, scan.damaged, scan.signals, boundaries, tick, 3, 60)
    picks = [candidate.pick for candidate in found]
    pictures = list(fetch_pictures(uri, picks, 0, 90, False))
    assert [p.pts for p in pictures] == [p.pts for p in picks]
    assert picks[0].bar_top == pytest.approx(8 / 64, abs=0.001)
    assert {(p.width, p.height) for p in pictures} == {(192, 64 - 2 * 9)}
    shown = cv2.imdecode(np.frombuffer(pictures[0].content, np.uint8), 1)
    assert shown[0].min() > 40
    (turned,) = fetch_pictures(uri, picks[:1], 90, 90, False)
    assert (turned.width, turned.height) == (64, 192 - 2 * 25)
    assert len(shots) == 1


def test_a_fetched_picture_is_the_frame_that_was_asked_for(film, take):
    frames = take(2, 60, speed=1)
    uri = film("moving.mp4", frames, options={"crf": "4", "bf": "2"})
    segments = plan_film(uri, 0.1).segments
    pts = np.concatenate([scan_segment(uri, segment, 0).pts for segment in segments])
    keys = {segment.start_pts for segment in segments}
    for index in (0, 17, 41, 59):
        key = max((k for k in keys if k is not None and k <= pts[index]), default=None)
        (picture,) = fetch_pictures(uri, [Pick(int(pts[index]), key, 0, 0)], 0, 95, False)
        shown = cv2.cvtColor(cv2.imdecode(np.frombuffer(picture.content, np.uint8), 1), cv2.COLOR_BGR2RGB)
        errors = [np.abs(shown.astype(int) - frame).mean() for frame in frames]
        assert int(np.argmin(errors)) == index
        assert errors[index] < 12
