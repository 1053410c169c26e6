"""One reader for films, wherever they lie; the web is a real server on this machine."""

import os
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from keyart.errors import VideoError
from keyart.video.exchange import Pick
from keyart.video.pictures import fetch_pictures
from keyart.video.plan import plan_film
from keyart.video.segments import scan_parts
from keyart.video.sources import BLOCK, list_files, open_source


def scanned(uri: str, seconds: float) -> list[np.ndarray]:
    parts = [part for segment in plan_film(uri, seconds).segments for part in scan_parts(uri, segment, 0)]
    return [np.concatenate([getattr(part, name) for part in parts]) for name in ("pts", "signals", "thumbs")]


@pytest.mark.parametrize("name", ["web.mp4", "web.mkv"])
def test_a_film_on_the_web_scans_as_one_on_disk(film, take, web, tmp_path, name):
    path = film(name, take(1, 60) + take(2, 60), options={"bf": "2", "crf": "10"})
    uri = f"{web(tmp_path).url}/{name}"
    here, there = scanned(path, 1.0), scanned(uri, 1.0)
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [s.end_pts for s in plan_film(uri, 1.0).segments] == [s.end_pts for s in plan_film(path, 1.0).segments]
    pick = Pick(int(here[0][70]), None, 0.0, 0.0)
    assert list(fetch_pictures(uri, [pick], 0, 90, False)) == list(fetch_pictures(path, [pick], 0, 90, False))


@pytest.mark.parametrize("chain", ["simplecache::{}/film.mkv", "zip://film.mkv::{}/films.zip"])
def test_urls_may_be_chained(film, take, web, tmp_path, chain):
    path = film("film.mkv", take(1, 60), options={"bf": "2"})
    with ZipFile(tmp_path / "films.zip", "w") as archive:
        archive.write(path, "film.mkv")
    for here, there in zip(scanned(path, 1.0), scanned(chain.format(web(tmp_path).url), 1.0), strict=True):
        np.testing.assert_array_equal(here, there)


def test_a_segment_fetches_its_own_bytes_and_reads_ahead(web, tmp_path, film, take):
    noise = np.random.default_rng(1)
    frames = [noise.integers(0, 255, (180, 320, 3)).astype(np.uint8) for _ in range(240)]
    path = film("large.mp4", frames, options={"crf": "2", "bf": "0"}, container={"movflags": "faststart"})
    size = Path(path).stat().st_size
    assert size > 12 * BLOCK
    server = web(tmp_path)
    segments = plan_film(f"{server.url}/large.mp4", 2.0).segments
    server.asked.clear()
    assert sum(len(part.pts) for part in scan_parts(f"{server.url}/large.mp4", segments[2], 0)) == 48
    ranges = [r.removeprefix("bytes=").split("-") for _, r in server.asked if r]
    fetched = sum(int(end) + 1 - int(begin) for begin, end in ranges)
    assert fetched < size * 0.6
    assert all(int(end) + 1 - int(begin) <= 4 * BLOCK for begin, end in ranges)


def test_reading_seeks_and_ends_alike(web, tmp_path):
    content = np.random.default_rng(2).bytes(3 * BLOCK + 17)
    (tmp_path / "bytes.bin").write_bytes(content)
    for uri in (str(tmp_path / "bytes.bin"), f"file://{tmp_path}/bytes.bin", f"{web(tmp_path).url}/bytes.bin"):
        with open_source(uri) as source:
            assert source.size == len(content)
            for begin in (0, BLOCK - 5, 2 * BLOCK, len(content) - 3, len(content)):
                assert source.seek(begin) == source.tell() == begin
                assert source.read(10) == content[begin : begin + 10]
            assert source.seek(-7, os.SEEK_END) == len(content) - 7
            assert source.read() == content[-7:]


@pytest.mark.parametrize(("name", "words"), [("none.mp4", "not there"), ("empty.bin", "empty")])
def test_what_the_web_cannot_give_is_one_line(web, tmp_path, name, words):
    (tmp_path / "empty.bin").write_bytes(b"")
    with pytest.raises(VideoError, match=words) as told:
        open_source(f"{web(tmp_path).url}/{name}")
    assert "\n" not in str(told.value)


def test_a_server_without_byte_ranges_says_so(web, tmp_path):
    (tmp_path / "film.bin").write_bytes(bytes(5 * BLOCK))
    with open_source(f"{web(tmp_path, ranges=False).url}/film.bin") as source:
        source.seek(3 * BLOCK)
        with pytest.raises(OSError, match="range") as told:
            source.read(10)
    assert "\n" not in str(told.value)


def test_a_store_whose_package_is_missing_and_a_server_that_is_not_there():
    with pytest.raises(VideoError, match="not installed"):
        open_source("s3://bucket/film.mp4")
    with pytest.raises(VideoError, match="cannot be read"):
        open_source("http://127.0.0.1:9/film.mp4")


def test_a_folder_on_the_web_is_listed(web, tmp_path):
    for name in ("b.mp4", "a.mkv"):
        (tmp_path / name).write_bytes(b"x")
    url = web(tmp_path).url
    assert [file for file in list_files(f"{url}/") if not file.endswith("/")] == [f"{url}/a.mkv", f"{url}/b.mp4"]
