"""Decoding: every frame once, the same whatever the segments, and good frames kept from bad files."""

from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from hypothesis import given
from hypothesis import strategies as st

from keyart.errors import VideoError
from keyart.video.decode import Loss, Segment, decode_segment, open_film, planes, rotation_of
from keyart.video.plan import plan_film, plan_segments
from keyart.video.segments import scan_segment

WHOLE = Segment(0, None, None, 1)


def scanned(uri: str, seconds: float):
    """pts, signals and thumbnails of a film scanned in segments of so many seconds."""
    parts = [scan_segment(uri, segment, 0) for segment in plan_film(uri, seconds).segments]
    return tuple(np.concatenate([getattr(part, name) for part in parts]) for name in ("pts", "signals", "thumbs"))


def plainly(uri: str) -> list[int]:
    with av.open(uri) as container:
        return [frame.pts for frame in container.decode(video=0)]


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("closed.mp4", {"options": {"bf": "0"}}),
        ("b-frames.mp4", {"options": {"bf": "3"}}),
        ("open-gop.mkv", {"options": {"bf": "3", "x264-params": "open-gop=1:keyint=12:scenecut=0"}}),
        ("vp9.webm", {"codec": "libvpx-vp9"}),
        ("hevc.mp4", {"codec": "libx265", "options": {"x265-params": "log-level=none:keyint=12"}}),
    ],
)
def test_frames_are_the_same_whatever_the_segments(film, take, name, how):
    uri = film(name, take(1, 40) + take(2, 40), **how)
    whole = scanned(uri, 0)
    assert whole[0].tolist() == plainly(uri)
    for seconds in (0.4, 1.0, 60):
        for one, other in zip(whole, scanned(uri, seconds), strict=True):
            np.testing.assert_array_equal(one, other)
    assert len(plan_film(uri, 0.4).segments) > 3


def test_variable_frame_rates_keep_their_times(film, take):
    pts = np.cumsum([0, *np.tile([1, 3, 2, 1, 5], 8)]).tolist()
    uri = film("vfr.mkv", take(3, len(pts)), pts=pts, options={"bf": "2"})
    found = scanned(uri, 1.0)[0]
    assert np.diff(found / found[1]).round().astype(int).tolist() == np.diff(pts).tolist()


def test_missing_and_doubled_pts_are_made_to_ascend(film, take):
    uri = film("old.avi", take(4, 30), codec="mpeg4", options={"bf": "2"})
    plan = plan_film(uri, 0.5)
    found = scanned(uri, 0.5)[0]
    assert len(found) == len(plainly(uri))
    assert (np.diff(found) > 0).all()
    if plan.segments[0].repair:
        assert len(plan.segments) == 1


@given(
    st.lists(st.booleans(), min_size=1, max_size=60),
    st.integers(1, 20),
)
def test_every_frame_has_one_owner(keys, span):
    keys[0] = True
    pts = [7 * k for k in range(len(keys))]
    segments = plan_segments(pts, keys, span)
    owners = [[s.index for s in segments if s.owns(p)] for p in pts]
    assert all(len(owner) == 1 for owner in owners)
    assert [s.packets for s in segments] == [sum(o == [s.index] for o in owners) for s in segments]
    assert all(s.start_pts is None or keys[s.start_pts // 7] for s in segments)


def test_unknown_pts_keep_the_film_whole():
    assert plan_segments([0, None, 2], [True, True, True], 1) == (Segment(0, None, None, 3, True),)
    assert plan_segments([0, 1, 1], [True, True, True], 1)[0].repair


def test_ten_bits_and_other_layouts_read_as_eight_bit_planes(film, take):
    frames = take(5, 3)
    layouts = {"yuv420p": "libx264", "yuv420p10le": "libx265", "yuv444p": "libx264"}
    read = {}
    for pixels, codec in layouts.items():
        quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        uri = film(f"{pixels}.mkv", frames, codec=codec, pixels=pixels, options={"crf": "4", **quiet})
        with open_film(uri) as (container, stream):
            first = next(decode_segment(container, stream, WHOLE))
            read[pixels] = [plane.copy() for plane in planes(first.picture, VideoReformatter())]
    for luma, cb, _ in read.values():
        assert luma.dtype == cb.dtype == np.uint8
        assert np.abs(luma.astype(int) - read["yuv420p"][0]).mean() < 2
    assert read["yuv444p"][1].shape == (64, 96)
    assert read["yuv420p10le"][1].shape == (32, 48)


def test_odd_sizes_and_rotation(film, take):
    uri = film("odd.mkv", take(6, 4, width=95, height=63), pixels="yuv444p")
    with open_film(uri) as (container, stream):
        luma, _, _ = planes(next(decode_segment(container, stream, WHOLE)).picture, VideoReformatter())
        assert luma.shape == (63, 95)
    turned = film("phone.mp4", take(6, 4), rotation=90)
    with open_film(turned) as (container, stream):
        picture = next(decode_segment(container, stream, WHOLE)).picture
        turn = rotation_of(picture)
        upright, _, _ = planes(picture, VideoReformatter(), turn)
        flat, _, _ = planes(picture, VideoReformatter())
    assert turn == 90
    np.testing.assert_array_equal(upright, np.rot90(flat, -1))


def test_a_gif_is_a_film(film, take):
    uri = film("loop.gif", take(7, 12), codec="gif", pixels="rgb8")
    assert len(scanned(uri, 60)[0]) == len(plainly(uri)) > 0


def test_a_truncated_film_keeps_its_good_frames_and_says_so(film, take):
    uri = film("cut-off.mp4", take(8, 96), container={"movflags": "faststart"}, options={"crf": "10"})
    content = Path(uri).read_bytes()
    Path(uri).write_bytes(content[: len(content) * 6 // 10])
    plan = plan_film(uri, 60)
    kept = scan_segment(uri, plan.segments[0], 0)
    assert "ends early" in plan.reason
    assert plan.missing
    assert 20 < len(kept.pts) < 96


@pytest.mark.parametrize("content", [b"", b"no film\n" * 500], ids=["empty", "text"])
def test_what_is_no_film_says_so_in_one_line(tmp_path, content):
    path = tmp_path / "not.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError) as told:
        plan_film(str(path), 60)
    assert "\n" not in str(told.value)


def test_damaged_packets_cost_their_frames_only(film, take):
    uri = film("scratched.mkv", take(9, 72), options={"crf": "10"})
    content = bytearray(Path(uri).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = bytes(range(256)) + bytes(44)
    Path(uri).write_bytes(content)
    loss = Loss()
    with open_film(uri) as (container, stream):
        frames = list(decode_segment(container, stream, WHOLE, loss))
    assert len(frames) >= 24


def test_real_films_keep_every_frame(shared):
    uri = str(shared / "media" / "nasa_13013.mp4")
    assert scanned(uri, 2)[0].tolist() == plainly(uri)
