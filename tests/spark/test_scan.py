"""scan-videos on real Delta tables: every frame once, shots, pictures, failures, and only whole scans are seen."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from keyart.jobs.ingest_catalog import run as ingest
from keyart.jobs.scan_videos import run as scan

from keyart.config import load
from keyart.errors import TableError
from keyart.tables import Tables
from keyart.video import landing_spark
from keyart.video.spark import current

pytestmark = pytest.mark.spark
ROOT = Path(__file__).resolve().parents[2]


def write_film(path: Path, seeds: list[int], each: int = 30, options: dict[str, str] | None = None) -> None:
    """A cut every ``each`` frames; 24 frames a second, a keyframe every half second."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as out:
        stream = out.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        stream.options = {"g": "12", "bf": "2", **(options or {})}
        for seed in seeds:
            rng = np.random.default_rng(seed)
            picture = cv2.resize(rng.integers(20, 235, (9, 16, 3)).astype(np.uint8), (240, 135))
            for k in range(each):
                view = np.ascontiguousarray(picture[:90, k // 3 : k // 3 + 160])
                for packet in stream.encode(av.VideoFrame.from_ndarray(view, format="rgb24")):
                    out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)


def plain_pts(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [frame.pts for frame in container.decode(video=0)]


def frame_rows(tables) -> list[tuple]:
    columns = [name for name in tables.read("frames").columns if name not in {"segment"}]
    return sorted(tuple(row) for row in tables.read("frames").select(*columns).collect())


def all_rows(tables) -> dict[str, list[str]]:
    names = ("frames", "shots", "candidates", "images", "scan_failures", "videos")
    return {name: sorted(str(row) for row in tables.read(name).collect()) for name in names}


@pytest.fixture
def folder(tmp_path):
    films = tmp_path / "films"
    films.mkdir()
    write_film(films / "a.mp4", [1, 2, 3])
    write_film(films / "b.mp4", [4, 5])
    return films


def test_a_scan_from_films_to_pictures(spark, tables, folder, capsys):
    write_film(folder / "short.mp4", [6, 7], options={"crf": "8"})
    whole = (folder / "short.mp4").read_bytes()
    settings = load(
        None, [f"tables={tables.root}", f"catalog.videos={folder}", "scan.segment_seconds=1", "scan.wave_films=2"]
    )
    assert ingest(spark, settings) == 0
    (folder / "short.mp4").write_bytes(whole[: len(whole) * 7 // 10])
    capsys.readouterr()
    assert scan(spark, settings) == 0
    *losses, summary = capsys.readouterr().out.splitlines()
    assert summary.startswith("scanned 3 films (0 unchanged, 0 unreadable): ")
    assert losses and all("short.mp4" in line for line in losses)

    videos = {row["title_id"]: row for row in tables.read("videos").collect()}
    assert all(row["current_scan_id"] and row["scanned_fingerprint"] == row["fingerprint"] for row in videos.values())
    frames = tables.read("frames").orderBy("pts").collect()
    for name in ("a", "b"):
        own = [row for row in frames if row["video_id"] == videos[name]["video_id"]]
        assert [row["pts"] for row in own] == plain_pts(folder / f"{name}.mp4")
        assert len({row["segment"] for row in own}) > 1
        assert own[0]["keyframe"] and own[-1]["difference"] == 0
    shots = tables.read("shots").where(f"video_id = '{videos['a']['video_id']}'").orderBy("shot_id").collect()
    assert [(row["start_frame"], row["end_frame"]) for row in shots] == [(0, 30), (30, 60), (60, 90)]
    assert [row["transition_in"] for row in shots] == ["start", "cut", "cut"]
    assert shots[0]["end_pts"] == shots[1]["start_pts"]
    assert shots[-1]["end_seconds"] == pytest.approx(90 / 24)

    candidates = tables.read("candidates").collect()
    images = {row["image_hash"]: row for row in tables.read("images").collect()}
    for row in candidates:
        image = images[row["image_hash"]]
        assert hashlib.sha256(image["content"]).hexdigest() == row["image_hash"]
        picture = cv2.imdecode(np.frombuffer(image["content"], np.uint8), 1)
        assert picture.shape[:2] == (row["height"], row["width"]) == (90, 160)
        assert row["features"] is None and 0 <= row["position"] <= 1 and 0 < row["shot_share"] <= 1
    per_film = [sum(row["title_id"] == name for row in candidates) for name in ("a", "b", "short")]
    assert min(per_film[:2]) >= 9 and per_film[2] > 0
    failures = tables.read("scan_failures").collect()
    assert {row["video_id"] for row in failures} == {videos["short"]["video_id"]}
    assert any("ends early" in row["reason"] for row in failures)

    before = all_rows(tables)
    assert scan(spark, settings) == 0
    assert "(3 unchanged, 0 unreadable)" in capsys.readouterr().out
    assert all_rows(tables) == before

    # Killed before the last merge: the films look unscanned, and scanning them again writes the same rows.
    spark.sql(f"UPDATE {tables.name('videos')} SET current_scan_id = NULL, scanned_fingerprint = NULL")
    with pytest.MonkeyPatch.context() as patch:  # and after it, before the segments are removed
        patch.setattr(Tables, "delete", lambda *_: None)
        assert scan(spark, settings) == 0
    assert tables.read("scan_segments").count() > 0
    assert scan(spark, settings) == 0
    assert tables.read("scan_segments").count() == 0
    assert all_rows(tables) == before


def test_segments_of_any_length_give_the_same_frames_and_only_the_current_scan_is_seen(spark, tables, folder, capsys):
    base = [f"tables={tables.root}", f"catalog.videos={folder}"]
    assert ingest(spark, load(None, base)) == 0
    assert scan(spark, load(None, [*base, "scan.segment_seconds=0"])) == 0
    whole = frame_rows(tables)
    spark.sql(f"UPDATE {tables.name('videos')} SET current_scan_id = NULL")
    assert scan(spark, load(None, [*base, "scan.segment_seconds=0.5"])) == 0
    assert frame_rows(tables) == whole
    assert tables.read("frames").select("segment").distinct().count() > 3

    # A film is replaced and another vanishes: the old rows stay, unseen; the vanished film is told.
    write_film(folder / "a.mp4", [8])
    write_film(folder / "b.mp4", [9])
    assert ingest(spark, load(None, base)) == 0
    (folder / "b.mp4").unlink()
    capsys.readouterr()
    assert scan(spark, load(None, base)) == 0
    assert "scanned 1 films (0 unchanged, 1 unreadable): 30 frames" in capsys.readouterr().out
    seen = current(tables, "frames").groupBy("video_id").count().collect()
    videos = {row["video_id"]: row["title_id"] for row in tables.read("videos").collect()}
    assert {videos[row["video_id"]]: row["count"] for row in seen} == {"a": 30, "b": 60}
    assert tables.read("frames").count() == 30 + 90 + 60


def test_when_every_film_fails_so_does_the_job(spark, tables, folder, capsys):
    (folder / "a.mp4").unlink()
    settings = load(None, [f"tables={tables.root}", f"catalog.videos={folder}"])
    with pytest.raises(TableError, match="videos is not there"):
        scan(spark, settings)
    assert ingest(spark, settings) == 0
    (folder / "b.mp4").write_bytes(b"")
    assert scan(spark, settings) == 1
    said = capsys.readouterr().out
    assert "lost: " in said and "scanned 0 films (0 unchanged, 1 unreadable)" in said
    assert tables.read("videos").where("current_scan_id IS NOT NULL").count() == 0


def test_a_scan_that_was_killed_goes_on_after_the_segments_that_landed(spark, tables, folder, capsys, monkeypatch):
    settings = load(
        None, [f"tables={tables.root}", f"catalog.videos={folder}", "scan.segment_seconds=0.5", "scan.wave_seconds=1"]
    )
    assert ingest(spark, settings) == 0
    append, waves = Tables.append, []

    def dying(self, table, frame):
        if waves:
            raise KeyboardInterrupt
        waves.append(table)
        append(self, table, frame)

    monkeypatch.setattr(landing_spark, "seconds_of", lambda *_: 1.0)
    monkeypatch.setattr(Tables, "append", dying)
    with pytest.raises(KeyboardInterrupt):
        scan(spark, settings)
    monkeypatch.setattr(Tables, "append", append)
    assert tables.read("videos").where("current_scan_id IS NOT NULL").count() == 0
    ended = tables.read("scan_segments").where("ended").collect()
    landed = tables.read("scan_segments").groupBy().sum("frames").first()[0]
    assert 0 < len(ended) < 12
    # Only if what landed is taken as it is can this be told of it afterwards.
    spark.sql(f"UPDATE {tables.name('scan_segments')} SET reason = 'landed before' WHERE ended")
    capsys.readouterr()
    assert scan(spark, settings) == 0
    assert f"150 frames, {landed} of them before an earlier run ended" in capsys.readouterr().out
    told = tables.read("scan_failures").where("reason = 'landed before'").collect()
    assert {(row["video_id"], row["segment"]) for row in told} == {(row["video_id"], row["segment"]) for row in ended}
    assert tables.read("scan_segments").count() == 0
    rows = tables.read("frames").collect()
    for name in ("a", "b"):
        (video,) = tables.read("videos").where(f"title_id = '{name}'").collect()
        own = sorted(row["pts"] for row in rows if row["video_id"] == video["video_id"])
        assert own == plain_pts(folder / f"{name}.mp4")


def test_a_scan_whose_driver_is_killed_goes_on_at_its_segments(spark, tables, folder, web, tmp_path, capsys):
    """SIGKILL of the keyart process once its first wave has landed and the second is under way."""
    server = web(folder)
    manifest = tmp_path / "films.csv"
    manifest.write_text("title_id,name,uri\n" + "".join(f"{n},{n},{server.url}/{n}.mp4\n" for n in ("a", "b")))

    def prepared(root: str) -> tuple[Tables, list[str]]:
        options = [f"tables={root}", f"catalog.manifest={manifest}", "scan.segment_seconds=1", "scan.wave_seconds=0"]
        assert ingest(spark, load(None, options)) == 0
        return Tables(spark, root), options

    def rescanned(options: list[str]) -> tuple[str, int]:
        """What the scan says, and how many times a film was read; a small film is read whole at each opening."""
        server.asked.clear()
        capsys.readouterr()
        assert scan(spark, load(None, options)) == 0
        return capsys.readouterr().out, len(server.asked)

    clean, options = prepared(f"{tables.root}-clean")
    _, all_reads = rescanned(options)
    killed, options = prepared(tables.root)
    over, under_way = threading.Event(), threading.Event()
    log = Path(killed.root) / "scan_segments" / "_delta_log"

    def hang(port: int, begin: int) -> None:
        if len(list(log.glob("0*.json"))) > 1:  # the table was made, and a wave appended
            under_way.set()
            over.wait(120)

    server.trouble.update({"a.mp4": hang, "b.mp4": hang})
    program = Path(sys.executable).parent / "keyart"
    base = ["--config", str(ROOT / "conf" / "local.yaml"), "--set", "session.shuffle_partitions=2"]
    command = [str(program), "scan-videos", *base, *(f"--set={option}" for option in options)]
    scanning = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert under_way.wait(120), "the scan did not come to its second wave"
        scanning.send_signal(signal.SIGKILL)
        assert scanning.wait(30) == -signal.SIGKILL
    finally:
        over.set()
        scanning.kill()
    server.trouble.clear()
    landed = killed.read("scan_segments")
    segments, frames = landed.where("ended").count(), landed.groupBy().sum("frames").first()[0]
    assert 0 < frames < 150 and killed.read("videos").where("current_scan_id IS NOT NULL").count() == 0
    said, reads = rescanned(options)
    assert f"150 frames, {frames} of them before an earlier run ended" in said
    assert reads == all_reads - segments
    assert all_rows(killed) == all_rows(clean)


def test_films_that_kill_or_hang_their_decoder_cost_only_themselves(spark, tables, folder, web, tmp_path, capsys):
    """The server kills the process that asks for the middle of a film, or lets it wait."""
    noise = np.random.default_rng(1)
    with av.open(str(folder / "deadly.mp4"), "w", options={"movflags": "faststart"}) as out:
        stream = out.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.options = {"g": "12", "bf": "0", "crf": "2"}
        for _ in range(72):
            picture = av.VideoFrame.from_ndarray(noise.integers(0, 255, (180, 320, 3)).astype(np.uint8), format="rgb24")
            for packet in (*stream.encode(picture),):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    (folder / "hanging.mp4").write_bytes((folder / "deadly.mp4").read_bytes())
    server = web(folder)
    manifest = tmp_path / "films.csv"
    lines = [f"{name},{name},{server.url}/{name}.mp4" for name in ("a", "deadly", "hanging", "none")]
    manifest.write_text("title_id,name,uri\n" + "\n".join(lines))
    options = ["scan.timeout_seconds=3", "scan.segment_seconds=0", "scan.lost_share=0.9"]
    settings = load(None, [f"tables={tables.root}", f"catalog.manifest={manifest}", *options])
    assert ingest(spark, settings) == 0
    assert "none.mp4: cannot be read (it is not there)" in capsys.readouterr().out
    over = threading.Event()
    server.trouble["deadly.mp4"] = lambda port, begin: begin >= 2 << 20 and os.kill(owner_of(port), signal.SIGKILL)
    server.trouble["hanging.mp4"] = lambda port, begin: begin >= 2 << 20 and over.wait(60)
    try:
        assert scan(spark, settings) == 0
    finally:
        over.set()
    *losses, summary = capsys.readouterr().out.splitlines()
    assert summary.startswith("scanned 3 films (0 unchanged, 0 unreadable): ")
    videos = {row["video_id"]: row["title_id"] for row in tables.read("videos").collect()}
    counted = {
        videos[row["video_id"]]: row["count"] for row in tables.read("frames").groupBy("video_id").count().collect()
    }
    failures = {videos[row["video_id"]]: row for row in tables.read("scan_failures").where("segment = 0").collect()}
    assert counted["a"] == 90
    assert "SIGKILL" in failures["deadly"]["reason"] and "silent for 3 s" in failures["hanging"]["reason"]
    for name in ("deadly", "hanging"):
        assert 4 <= counted[name] == 72 - failures[name]["frames_lost"]
        assert any(f"{name}.mp4, segment 0: " in line for line in losses)
    lost = sum(row["frames_lost"] for row in failures.values())
    assert f"; {lost} frames lost ({lost / (90 + 2 * 72):.2%})" in summary


def owner_of(port: int) -> int:
    """The process, not this one, whose end of a connection on this machine has the port."""
    local = f":{port:04X} "
    lines = [line for line in Path("/proc/net/tcp").read_text().splitlines() if local in line.split(None, 2)[1] + " "]
    inode = lines[0].split()[9]
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink().name == f"socket:[{inode}]" and int(link.parts[2]) != os.getpid():
                return int(link.parts[2])
        except OSError:
            continue
    raise AssertionError(f"nobody has port {port}")


def test_a_film_that_contradicts_its_plan_is_read_whole(spark, tables, tmp_path):
    """Its keyframes need frames before them: cut there, frames would be missing."""
    film = tmp_path / "refresh.mkv"
    write_film(film, [1, 2], options={"x264-params": "intra-refresh=1:keyint=12:bframes=0:ref=1", "bf": "0"})
    settings = load(None, [f"tables={tables.root}", f"catalog.videos={tmp_path}", "scan.segment_seconds=0.5"])
    assert ingest(spark, settings) == 0
    assert scan(spark, settings) == 0
    frames = tables.read("frames").orderBy("pts").collect()
    assert [row["pts"] for row in frames] == plain_pts(film)
    assert {row["segment"] for row in frames} == {0}
    assert tables.read("videos").first()["pts_repaired"]


def test_the_plan_says_what_would_run_and_scans_nothing(spark, tables, folder, capsys):
    base = [f"tables={tables.root}", f"catalog.videos={folder}"]
    assert ingest(spark, load(None, base)) == 0
    capsys.readouterr()
    assert scan(spark, load(None, [*base, "scan.plan=true", "scan.segment_seconds=1"])) == 0
    one, two, summary = capsys.readouterr().out.splitlines()
    assert {one.split(":")[0], two.split(":")[0]} == {"a", "b"}
    assert "a: new, 160x90, 90 frames in about 4 segments, " in f"{one}\n{two}"
    assert summary.startswith("would scan 2 films (0 unchanged): 150 frames, about ")
    assert not tables.exists("frames")
