"""How fast a scan is against bare decoding, how it scales, and what memory it takes.

    python bench/scan.py [speed] [scaling] [memory]

Ratios are of runs side by side: ffmpeg's before and after ours.
"""

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from films import FILM, copies, enlarged, looped
from keyart.jobs.ingest_catalog import run as ingest
from results import BUILD, ROOT, record

from keyart.config import load
from keyart.session import open_session
from keyart.tables import Tables
from keyart.video.spark import scan_films

CONF = ROOT / "conf" / "local.yaml"


def speed(spark) -> None:
    """At least 60 minutes of film with everything scan-videos does, against ffmpeg -threads 2 on the same files."""
    films = copies(BUILD / "hour", 7)
    before = bare_seconds(films[:2])
    frames, seconds = scan(spark, films, "speed")
    after = bare_seconds(films[2:4])
    bare = (before + after) / 4 / (frames / len(films))
    record(
        "scan_speed",
        {
            "films": len(films),
            "frames": frames,
            "scan_seconds": round(seconds, 2),
            "scan_frames_per_second": round(frames / seconds),
            "ffmpeg_threads_2_frames_per_second": round(1 / bare),
            "ratio_to_ffmpeg": round(frames / seconds * bare, 3),
        },
    )


def scaling(spark) -> None:
    """Time per frame at 20 titles against 4, and at one film of 60 minutes against one of 10."""
    titles = copies(BUILD / "titles", 20, short())
    four = per_frame(scan(spark, titles[:4], "four"))
    twenty = per_frame(scan(spark, titles, "twenty"))
    ten = per_frame(scan(spark, [looped(BUILD / "ten" / "ten.mp4", 1)], "ten"))
    sixty = per_frame(scan(spark, [looped(BUILD / "sixty" / "sixty.mp4", 6)], "sixty"))
    record(
        "scan_scaling",
        {
            "milliseconds_per_frame": {"4 titles": four, "20 titles": twenty, "10 minutes": ten, "60 minutes": sixty},
            "titles_20_to_4": round(twenty / four, 3),
            "minutes_60_to_10": round(sixty / ten, 3),
        },
    )


def memory(spark) -> None:
    """Largest resident memory of a Python worker and its child together, by size and length of film."""
    films = {
        "360p, 10 minutes": looped(BUILD / "ten" / "ten.mp4", 1),
        "360p, 60 minutes": looped(BUILD / "sixty" / "sixty.mp4", 6),
        "1080p": enlarged(BUILD / "1080p" / "large.mp4", 1920, 1080, 70),
        "4K": enlarged(BUILD / "4k" / "large.mp4", 3840, 2160, 20),
    }
    peaks = {}
    for name, film in films.items():
        with Watch() as watch:
            scan(spark, [film], "memory")
        peaks[name] = round(watch.peak / 1e6)
    record("scan_memory", {"peak_megabytes_of_worker_and_child": peaks})


def scan(spark, films: list[Path], name: str) -> tuple[int, float]:
    """Frames and seconds of a scan into fresh tables; the ingest before it is not counted."""
    root, folder = BUILD / f"tables-{name}", BUILD / f"films-{name}"
    for path in (root, folder):
        shutil.rmtree(path, ignore_errors=True)
    folder.mkdir(parents=True)
    for film in films:
        (folder / film.name).symlink_to(film)
    settings = load(str(CONF), [f"tables={root}", f"catalog.videos={folder}"])
    ingest(spark, settings)
    begin = time.perf_counter()
    report = scan_films(Tables(spark, settings.tables), settings.scan)
    return report.frames, time.perf_counter() - begin


def per_frame(run: tuple[int, float]) -> float:
    """Milliseconds a frame."""
    return round(run[1] / run[0] * 1e3, 4)


def bare_seconds(films: list[Path]) -> float:
    """What ffmpeg takes to decode the films, one after the other."""
    begin = time.perf_counter()
    for film in films:
        command = ["ffmpeg", "-nostdin", "-v", "error", "-threads", "2", "-i", str(film), "-f", "null", "-"]
        subprocess.run(command, check=True)
    return time.perf_counter() - begin


def short() -> Path:
    """Two minutes of the film."""
    return enlarged(BUILD / "short" / "short.mp4", 640, 360, 120)


class Watch:
    """The largest resident memory that any Python worker and its decoding child take together, in bytes."""

    def __enter__(self) -> "Watch":
        self.peak, self._over = 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.1):
            for child, parent in children().items():
                self.peak = max(self.peak, resident(child) + resident(parent))


def children() -> dict[int, int]:
    """Decoding children and the workers that they belong to."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if b"keyart.video.child" in (path / "cmdline").read_bytes():
                found[int(path.name)] = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue  # it ended while we looked
    return found


def resident(process: int) -> int:
    """Its private and shared memory, 0 where it ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096
    except OSError:
        return 0


if __name__ == "__main__":
    if not FILM.exists() or shutil.which("ffmpeg") is None:
        sys.exit("bench/scan.py needs ../shared/media and ffmpeg")
    session = open_session(load(str(CONF)).session)
    scan(session, [looped(BUILD / "warm" / "warm.mp4", 1, short())], "warm")  # JIT and first tables are no scan's time
    for bench in sys.argv[1:] or ["speed", "scaling", "memory"]:
        {"speed": speed, "scaling": scaling, "memory": memory}[bench](session)
    session.stop()
