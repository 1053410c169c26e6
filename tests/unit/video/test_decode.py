"""Decoding: every frame once, the same whatever the segments, and good frames kept from bad files."""

import os
import shutil
import subprocess
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from hypothesis import given
from hypothesis import strategies as st

from keyart.errors import VideoError
from keyart.video.decode import decode_segment, open_film, planes, rotation_of
from keyart.video.exchange import Outcome, Part, Segment
from keyart.video.plan import Plan, plan_film, plan_segments
from keyart.video.segments import scan_parts

WHOLE = Segment(0, None, None, 1)
FILMS = (
    "bbb_5s_720p.mp4", "big_buck_bunny_360p.mp4", "intel_car-detection.mp4", "intel_classroom.gif",
    "intel_hp_face.gif", "intel_one-by-one-person-detection.mp4", "nasa_13013.mp4", "shots_cfr.mp4",
    "shots_vfr.mp4", "sintel_trailer-480p.mp4", "tears-of-steel-battle-clip.webm",
)  # fmt: skip


def skip_unless_ci(reason: str) -> None:
    """As in tests/conftest.py: CI has the tools, so there it is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


SAMPLE = 3000
"""Frames of a long real film that are compared at segment lengths over SHORT, more or less; other films are whole."""
SHORT = 2
"""Seconds of a segment up to which the longest film is compared whole, too."""
NAMES = ("pts", "signals", "thumbs", "keyframe", "damaged")


def drained(parts) -> tuple[list[Part], Outcome]:
    """All parts of a segment, and how it ended."""
    found = []
    while True:
        try:
            found.append(next(parts))
        except StopIteration as end:
            return found, end.value


def scanned(uri: str, seconds: float, plan: Plan | None = None):
    """pts, signals, thumbnails and flags of a film scanned in segments of so many seconds."""
    plan = plan or plan_film(uri, seconds)
    ends = [drained(scan_parts(uri, segment, 0)) for segment in plan.segments]
    assert not any(end.irregular for _, end in ends)
    parts = [part for found, _ in ends for part in found]
    return tuple(np.concatenate([getattr(part, name) for part in parts]) for name in NAMES)


@cache
def whole_film(uri: str):
    """A real film decoded in one go, once for all tests."""
    return scanned(uri, 0)


def plainly(uri: str) -> list[int]:
    with av.open(uri) as container:
        return [frame.pts for frame in container.decode(video=0)]


OPEN_GOP = "open-gop=1:keyint=12:scenecut=0:bframes=3"
SHAPES = [
    ("closed.mp4", "index", {"options": {"bf": "0"}}),
    ("b-frames.mp4", "index", {"options": {"bf": "3"}}),
    ("open-gop.mkv", "cues", {"options": {"x264-params": OPEN_GOP}}),
    ("open-gop.mp4", "index", {"options": {"x264-params": OPEN_GOP}}),
    ("open-gop-hevc.mp4", "index", {"codec": "libx265", "options": {"x265-params": f"log-level=none:{OPEN_GOP}"}}),
    ("vp9.webm", "cues", {"codec": "libvpx-vp9"}),
    ("live.webm", "packets", {"codec": "libvpx", "container": {"live": "1"}}),
    ("av1.mp4", "index", {"codec": "libsvtav1", "options": {"svtav1-params": "keyint=12", "preset": "12"}}),
    ("hdr.mp4", "index", {"codec": "libx265", "pixels": "yuv420p10le",
                          "options": {"x265-params": "log-level=none:keyint=12:colorprim=bt2020:transfer=smpte2084"}}),
    ("phone.mov", "index", {"rotation": 90}),
    ("anamorphic.mp4", "index", {"aspect": Fraction(4, 3)}),
    ("fragments.mp4", "packets", {"container": {"movflags": "frag_keyframe+empty_moov"}}),
    ("broadcast.ts", "packets", {"codec": "mpeg2video", "options": {"bf": "2"}}),
    ("late.mkv", "cues", {"pts": [240 + k for k in range(80)], "options": {"bf": "2"}}),
    ("interlaced.mkv", "cues", {"options": {"flags": "+ildct+ilme", "x264-params": "tff=1"}}),
    ("prores.mov", "index", {"codec": "prores_ks", "pixels": "yuv422p10le"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "source", "how"), SHAPES, ids=[name for name, _, _ in SHAPES])
def test_frames_are_the_same_whatever_the_segments(film, take, name, source, how):
    uri = film(name, take(1, 40) + take(2, 40), **how)
    whole = scanned(uri, 0)
    assert whole[0].tolist() == plainly(uri)
    assert (np.diff(whole[0]) > 0).all()
    for seconds in (0.4, 1.0, 60):
        plan = plan_film(uri, seconds)
        for one, other in zip(whole, scanned(uri, seconds, plan), strict=True):
            np.testing.assert_array_equal(one, other)
        if plan.source != "packets" and "cues" not in plan.source:
            assert sum(segment.packets for segment in plan.segments) == len(whole[0])
    plan = plan_film(uri, 0.4)
    assert plan.source == source
    assert len(plan.segments) > 3
    assert (plan.reason, plan.missing or 0) == ("", 0)


def test_an_edit_list_hides_frames_from_the_count(film, take, tmp_path):
    """A cut that starts between keyframes: players, and we, begin with the first frame that is meant to be seen."""
    uri = film("uncut.mp4", take(1, 60), options={"bf": "2"})
    if shutil.which("ffmpeg") is None:
        skip_unless_ci("ffmpeg is not installed: no edit lists to try")
    cut = str(tmp_path / "cut.mp4")
    command = ["ffmpeg", "-v", "error", "-ss", "0.7", "-i", uri, "-c", "copy", "-avoid_negative_ts", "disabled", cut]
    subprocess.run(command, check=True)
    found = scanned(cut, 0)
    assert found[0].tolist() == plainly(cut)
    assert len(found[0]) < 60
    for one, other in zip(found, scanned(cut, 0.4), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_film_whose_keyframes_need_frames_before_them_contradicts_its_plan(film, take):
    """Intra refresh marks recovery points as keyframes: cut there, frames would be missing or wrong."""
    how = {"x264-params": "intra-refresh=1:keyint=12:bframes=0:ref=1"}
    uri = film("refresh.mkv", take(1, 60), options=how)
    plan = plan_film(uri, 0.4)
    whole = plan_film(uri, 0.4, True)
    assert len(whole.segments) == 1 and whole.segments[0].repair
    found = scanned(uri, 0, whole)[0]
    assert found.tolist() == plainly(uri)
    pieces = [drained(scan_parts(uri, segment, 0)) for segment in plan.segments]
    same = np.concatenate([part.pts for parts, _ in pieces for part in parts]).tolist() == found.tolist()
    assert same or any(end.irregular for _, end in pieces)


@pytest.mark.parametrize("length", [2.0, 10.0, 60.0])
@pytest.mark.parametrize("name", FILMS)
def test_real_films_are_the_same_whatever_the_segments(shared, name, length):
    """Of the longest film in long segments the first, the last and some between; bench/scan.py exactness has all."""
    uri = str(shared / "media" / name)
    whole, segments = whole_film(uri), plan_film(uri, length).segments
    owner = [[segment.index for segment in segments if segment.owns(pts)] for pts in whole[0].tolist()]
    assert all(len(own) == 1 for own in owner)
    few = max(2, int(SAMPLE * len(segments) / len(owner)))
    count = len(segments) if length <= SHORT or len(owner) <= SAMPLE else min(len(segments), few)
    chosen = np.linspace(0, len(segments) - 1, count).astype(int)
    for index in chosen.tolist():
        own = np.flatnonzero(np.array(owner)[:, 0] == index)
        parts, end = drained(scan_parts(uri, segments[index], 0))
        assert not end.irregular
        for label, column in zip(NAMES, whole, strict=True):
            found = np.concatenate([getattr(part, label) for part in parts])
            np.testing.assert_array_equal(found, column[own], err_msg=f"{label} of segment {index}")


@pytest.mark.parametrize("name", FILMS)
def test_real_films_give_as_many_frames_as_ffprobe_counts(shared, name):
    if shutil.which("ffprobe") is None:
        skip_unless_ci("ffprobe is not installed: nothing to count with")
    uri = str(shared / "media" / name)
    show = ["-select_streams", "v:0", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"]
    counted = subprocess.run(["ffprobe", "-v", "error", "-count_frames", *show, uri], check=True, capture_output=True)
    assert len(whole_film(uri)[0]) == int(counted.stdout.split()[0].strip(b","))


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


def test_of_an_interlaced_picture_one_moment_is_measured(film, take):
    uri = film("fields.mkv", take(6, 4), options={"flags": "+ildct+ilme", "x264-params": "tff=1"})
    with open_film(uri) as (container, stream):
        picture = next(decode_segment(container, stream, WHOLE)).picture
        luma, cb, _ = planes(picture, VideoReformatter())
    assert (luma.shape, cb.shape) == ((32, 96), (16, 48))
    np.testing.assert_array_equal(luma, picture.to_ndarray()[:64:2])


def test_a_gif_is_a_film(film, take):
    uri = film("loop.gif", take(7, 12), codec="gif", pixels="rgb8")
    assert len(scanned(uri, 60)[0]) == len(plainly(uri)) > 0


def test_a_truncated_film_keeps_its_good_frames_and_says_so(film, take):
    uri = film("cut-off.mp4", take(8, 96), container={"movflags": "faststart"}, options={"crf": "10"})
    content = Path(uri).read_bytes()
    Path(uri).write_bytes(content[: len(content) * 6 // 10])
    plan = plan_film(uri, 60)
    parts, end = drained(scan_parts(uri, plan.segments[0], 0))
    kept = sum(len(part.pts) for part in parts)
    assert "ends early" in plan.reason
    assert plan.missing and kept + end.lost + plan.missing == 96
    assert 20 < kept < 96


@pytest.mark.parametrize("content", [b"", b"no film\n" * 500], ids=["empty", "text"])
def test_what_is_no_film_says_so_in_one_line(tmp_path, content):
    path = tmp_path / "not.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError) as told:
        plan_film(str(path), 60)
    assert "\n" not in str(told.value)


def test_flipped_bits_cost_no_good_frame_and_are_told(film, take):
    """The frames around the damage are those of the whole film; the damaged ones are marked until the next keyframe."""
    frames = take(9, 72, width=320, height=180)
    uri = film("scratched.mp4", frames, options={"crf": "14", "bf": "2"})
    good = scanned(uri, 0)
    with av.open(uri) as container:
        entries = list(container.streams.video[0].index_entries)
    content = bytearray(Path(uri).read_bytes())
    for entry in entries[30:32]:
        for offset in range(20, entry.size, 37):
            content[entry.pos + offset] ^= 0x55
    Path(uri).write_bytes(content)
    (part,), end = drained(scan_parts(uri, plan_film(uri, 0).segments[0], 0))
    assert end.damaged == part.damaged.sum() > 0
    assert f"{end.damaged} frames are damaged" in end.reason
    assert len(part.pts) + end.lost == 72
    came = np.searchsorted(good[0], part.pts)
    assert (good[0][came] == part.pts).all()
    marked = came[part.damaged]
    assert marked.min() >= 24
    assert marked.max() < 36
    same = (part.signals[:, 0] == good[1][came, 0]) & (part.thumbs == good[2][came]).all(axis=(1, 2))
    assert same[~part.damaged].all()


def test_packets_that_cannot_be_decoded_cost_their_frames_only(film, take):
    uri = film("holes.mkv", take(9, 72), codec="libvpx", options={"crf": "4", "b": "2M"})
    with av.open(uri) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(Path(uri).read_bytes())
    at = content.find(bytes(content[places[30][0] : places[30][0] + 4]), places[30][0])
    content[at + 8 : at + places[30][1]] = bytes(places[30][1] - 8)
    Path(uri).write_bytes(content)
    parts, end = drained(scan_parts(uri, plan_film(uri, 0).segments[0], 0))
    kept = sum(len(part.pts) for part in parts)
    assert kept + end.lost == 72
    assert kept >= 60


def test_parts_do_not_grow_with_the_film(film, take):
    uri = film("long.mp4", take(9, 50) * 30, options={"preset": "ultrafast"})
    parts, _ = drained(scan_parts(uri, plan_film(uri, 0).segments[0], 0))
    assert [len(part.pts) for part in parts] == [1024, 1500 - 1024]
    assert (np.concatenate([part.signals for part in parts])[:-1, 13] > 0).sum() > 1400


def test_frames_up_to_a_pts_are_left_out_and_packets_avoided(film, take):
    uri = film("again.mp4", take(9, 60), options={"bf": "0"})
    (whole,), _ = drained(scan_parts(uri, WHOLE, 0))
    (rest,), end = drained(scan_parts(uri, WHOLE, 0, int(whole.pts[19]), {int(whole.pts[30])}))
    assert rest.pts.tolist() == [*whole.pts[20:30].tolist(), *whole.pts[36:].tolist()]
    assert end.lost == 6
    np.testing.assert_array_equal(rest.signals[:9], whole.signals[20:29])
    (start,), end = drained(scan_parts(uri, replace(WHOLE, packets=60), 0, None, (), int(whole.pts[30])))
    assert (start.pts.tolist(), end.lost) == (whole.pts[:30].tolist(), 30)
