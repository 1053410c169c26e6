"""Probing: what the container says, and fingerprints that change with the content."""

import av
import numpy as np
import pytest

from keyart.catalog import probing
from keyart.catalog.probing import SAMPLE, Probe, fingerprint, probe_film, probe_films
from keyart.errors import VideoError


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(90)
        for k in range(10):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * k, np.uint8), format="rgb24")
            for packet in stream.encode(picture):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    return path


def sound_only(path):
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    return str(path)


def test_a_film_says_what_it_is(clip):
    probe = probe_film(str(clip))
    assert (probe.codec, probe.width, probe.height) == ("h264", 64, 48)
    assert probe.rotation == 270
    assert probe.duration_seconds == pytest.approx(0.4, abs=0.05)
    assert probe.frame_rate == pytest.approx(25)
    assert probe.size_bytes == clip.stat().st_size
    assert probe.time_base_den > 0


def test_unreadable_files_are_told_beside_the_good_ones(clip, tmp_path):
    (tmp_path / "zero.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("hello\n" * 99)
    sound = sound_only(tmp_path / "sound.mp4")
    uris = [str(clip), str(tmp_path / "zero.mp4"), str(tmp_path / "text.mp4"), sound, str(tmp_path / "none.mp4")]
    good, *bad = probe_films(uris)
    assert isinstance(good, Probe)
    assert [isinstance(reason, str) and "\n" not in reason for reason in bad] == [True] * 4
    assert "empty" in bad[0] and "no video stream" in bad[2] and "No such file" in bad[3]


@pytest.mark.parametrize("where", [0, SAMPLE * 2, SAMPLE * 4 - 1])
def test_the_fingerprint_sees_head_middle_tail_and_size(tmp_path, where):
    content = bytearray(SAMPLE * 4)
    path = tmp_path / "big.mp4"
    path.write_bytes(content)
    before = fingerprint(str(path))
    content[where] = 1
    path.write_bytes(content)
    assert fingerprint(str(path)) != before
    path.write_bytes(bytes(SAMPLE * 4 + 1))
    assert fingerprint(str(path))[1] != before[1]


def test_a_film_that_is_not_there():
    with pytest.raises(VideoError, match="No such file"):
        probe_film("/nowhere/film.mp4")


def test_films_on_the_web_are_probed_as_those_on_disk(clip, tmp_path, web):
    server = web(tmp_path)
    here, there, missing = probe_films([str(clip), f"{server.url}/clip.mp4", f"{server.url}/none.mp4"])
    assert here == there
    assert isinstance(missing, str) and "not there" in missing


def test_a_film_that_kills_whoever_opens_it_costs_only_itself(clip, tmp_path, monkeypatch):
    (tmp_path / "killer.py").write_text(
        "import os\n"
        "from keyart.catalog.probing import probe_film as plain\n"
        "def probe_film(uri):\n"
        "    return os.abort() if 'deadly' in uri else plain(uri)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(probing, "PROBE", "killer:probe_film")
    good, bad, again = probe_films([str(clip), "deadly.mp4", str(clip)])
    assert isinstance(good, Probe) and good == again
    assert "died (SIGABRT)" in bad
