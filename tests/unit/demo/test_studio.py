"""The film studio: real H.264 files, the same every time, whose shots are where the truth says they are."""

import csv
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from keyart.demo import studio
from keyart.demo.studio import SIZE, make_films, tiny_film
from keyart.errors import InputError


def decoded(path: Path) -> list[np.ndarray]:
    """Luma of every frame at an eighth of the size, float32."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    small = (frames[0].shape[1] // 8, frames[0].shape[0] // 8)
    return [cv2.resize(frame, small, interpolation=cv2.INTER_AREA).astype(np.float32) for frame in frames]


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    """A folder with two films, made by two processes."""
    folder = tmp_path_factory.mktemp("films")
    assert make_films(folder, titles=2, seed=7, jobs=2, progress=False) == folder / "manifest.csv"
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_manifest_lists_the_films(films):
    listed = rows(films)
    assert len({row["title_id"] for row in listed}) == 2
    for row in listed:
        assert (films / row["uri"]).is_file() and not Path(row["uri"]).is_absolute()
        assert row["name"] and len(row["genres"].split("|")) == 2 and row["maturity_rating"]
        assert row["kids"] in ("true", "false") and row["regions"] == "" and row["cast"]
    assert not list(films.glob("*.partial"))


def test_films_are_h264_of_the_promised_length(films):
    truths = json.loads((films / "shots.json").read_text())
    for row in rows(films):
        with av.open(str(films / row["uri"])) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264" and stream.pix_fmt == "yuv420p"
            assert (stream.width, stream.height) == SIZE and stream.average_rate == 24
            assert 20 <= float(stream.duration * stream.time_base) <= 40
            keys = [packet.pts for packet in container.demux(video=0) if packet.is_keyframe and packet.pts is not None]
            assert np.diff(keys).max() * stream.time_base * 24 <= 48
            assert stream.frames == truths[row["uri"]]["frames"]


def test_frames_jump_at_cuts_and_nowhere_else(films):
    for name, truth in json.loads((films / "shots.json").read_text()).items():
        frames = decoded(films / name)
        jumps = np.array([0.0, *(np.abs(b - a).mean() for a, b in pairwise(frames))])
        within = np.ones(len(frames), bool)
        within[truth["cuts"]] = False
        for first, whole in truth["gradual"]:
            within[first : whole + 1] = False
            change = np.abs(frames[whole] - frames[first - 1]).mean()
            assert jumps[first : whole + 1].max() < 0.5 * change, "a dissolve or fade goes step by step"
        assert jumps[truth["cuts"]].min() > 2 * jumps[within].max()


def test_the_same_seed_gives_the_same_bytes_in_one_process_or_two(films, tmp_path):
    make_films(tmp_path, titles=1, seed=7, jobs=1, progress=False)
    first = rows(tmp_path)[0]["uri"]
    assert (tmp_path / first).read_bytes() == (films / first).read_bytes()


def test_whole_films_are_kept_and_broken_or_changed_ones_made_anew(films, tmp_path, monkeypatch):
    made = []

    def pretend(story, folder):
        made.append(story.title_id)
        (folder / f"{story.title_id}.mp4").write_bytes(b"film " + story.title_id.encode())

    monkeypatch.setattr(studio, "_make", pretend)
    make_films(films, titles=2, seed=7, progress=False)
    assert made == [], "both are there"
    make_films(tmp_path, titles=3, seed=7, jobs=1, progress=False)
    first, second, third = made
    (tmp_path / f"{second}.mp4").write_bytes(b"cut short")
    (tmp_path / f"{third}.mp4").unlink()
    make_films(tmp_path, titles=3, seed=7, jobs=1, progress=False)
    assert made[3:] == [second, third]
    monkeypatch.setattr(studio, "VERSION", studio.VERSION + 1)
    make_films(tmp_path, titles=1, seed=7, jobs=1, progress=False)
    assert made[5:] == [first]


def test_an_unreadable_record_only_costs_time(tmp_path, monkeypatch):
    monkeypatch.setattr(studio, "_make", lambda story, folder: (folder / f"{story.title_id}.mp4").write_bytes(b"film"))
    (tmp_path / "films.json").write_text("{broken")
    make_films(tmp_path, titles=1, seed=1, jobs=1, progress=False)
    assert len(json.loads((tmp_path / "films.json").read_text())) == 1


@pytest.mark.parametrize("titles", [0, 65])
def test_more_films_than_names_are_refused(tmp_path, titles):
    with pytest.raises(InputError, match="1 to 64"):
        make_films(tmp_path, titles=titles, seed=7)


def test_a_tiny_film_has_a_cut_and_a_dissolve(tmp_path):
    truth = tiny_film(tmp_path / "tiny.mp4", seed=3)
    frames = decoded(tmp_path / "tiny.mp4")
    assert truth == {"frames": 72, "fps": 24, "vfr": False, "cuts": [24], "gradual": [[48, 58]]}
    assert len(frames) == 72
    jumps = np.array([np.abs(b - a).mean() for a, b in pairwise(frames)])
    assert jumps.argmax() + 1 == 24


def test_a_film_does_not_depend_on_what_the_memory_held_before(tmp_path):
    """glibc fills fresh memory with a given byte; x264's macroblock tree once made other films of other bytes."""
    size, films = (320, 180), []
    for fill in ("0", "1", "85"):
        path = tmp_path / f"{fill}.mp4"
        code = f"from pathlib import Path; from keyart.demo.studio import tiny_film; tiny_film(Path({str(path)!r}), 3, "
        environment = {**os.environ, "MALLOC_PERTURB_": fill, "MALLOC_MMAP_THRESHOLD_": "1000000000"}
        subprocess.run([sys.executable, "-c", f"{code}size={size})"], check=True, env=environment)
        films.append(path.read_bytes())
    assert films[0] == films[1] == films[2]
    tiny_film(tmp_path / "other.mp4", 4, size=size)
    assert films[0] != (tmp_path / "other.mp4").read_bytes()


@pytest.mark.parametrize("wrong", [{"seconds": 1.0}, {"size": (161, 90)}])
def test_a_tiny_film_that_cannot_be_is_refused(tmp_path, wrong):
    with pytest.raises(InputError, match="tiny film"):
        tiny_film(tmp_path / "tiny.mp4", **wrong)
