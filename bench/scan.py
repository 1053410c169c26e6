"""How fast a scan is against bare decoding, how it scales, and what memory it takes.

    python bench/scan.py [speed] [scaling] [memory] [exactness] [looks] [scenedetect] [katna]

Ratios are of runs side by side: ffmpeg's before and after ours.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path

from films import FILM, MEDIA, copies, enlarged, looped
from keyart.jobs.ingest_catalog import run as ingest
from pyspark.sql import functions as F
from results import BUILD, ROOT, record

from keyart.config import load
from keyart.selection.closer import find_closer
from keyart.selection.spark import Selected, select_artwork
from keyart.session import open_session
from keyart.tables import Tables
from keyart.video.spark import current, scan_films
from keyart.vision.faces import find_model

MADE = BUILD / "tables-made"
"""Tables that a first small scan made."""
CONF = ROOT / "conf" / "local.yaml"


def speed(spark) -> None:
    """Two hours of film with everything scan-videos does, against ffmpeg -threads 2 on the same files."""
    films = copies(BUILD / "hours", 12)
    with Watch() as watch:
        before = bare_seconds(films[:3])
        used = watch.seconds_used()
        frames, seconds = scan(spark, films, "speed")
        used = {kind: round(now - used[kind], 1) for kind, now in watch.seconds_used().items()}
        after = bare_seconds(films[3:6])
    bare = (before + after) / 6 / (frames / len(films))
    record(
        "scan_speed",
        {
            "films": len(films),
            "frames": frames,
            "scan_seconds": round(seconds, 2),
            "scan_seconds_of_cores": used,
            "scan_frames_per_second": round(frames / seconds),
            "ffmpeg_threads_2_frames_per_second": round(1 / bare),
            "ratio_to_ffmpeg": round(frames / seconds * bare, 3),
        },
    )


def scaling(spark) -> None:
    """Time per frame at 20 titles against 4, and at one film of 60 minutes against one of 10; memory at either."""
    titles = copies(BUILD / "titles", 20, short())
    four = per_frame(scan(spark, titles[:4], "four"))
    twenty = per_frame(scan(spark, titles, "twenty"))
    with Watch() as short_watch:
        ten = per_frame(scan(spark, [looped(BUILD / "ten" / "ten.mp4", 1)], "ten"))
    with Watch() as long_watch:
        sixty = per_frame(scan(spark, [looped(BUILD / "sixty" / "sixty.mp4", 6)], "sixty"))
    record(
        "scan_scaling",
        {
            "milliseconds_per_frame": {"4 titles": four, "20 titles": twenty, "10 minutes": ten, "60 minutes": sixty},
            "titles_20_to_4": round(twenty / four, 3),
            "minutes_60_to_10": round(sixty / ten, 3),
            "peak_megabytes": {"10 minutes": megabytes(short_watch), "60 minutes": megabytes(long_watch)},
        },
    )


def memory(spark) -> None:
    """Largest resident memory of a Python worker and its child together, by the film's size."""
    films = {
        "1080p": enlarged(BUILD / "1080p" / "large.mp4", 1920, 1080, 70),
        "4K": enlarged(BUILD / "4k" / "large.mp4", 3840, 2160, 20),
    }
    peaks = {}
    for name, film in films.items():
        with Watch() as watch:
            scan(spark, [film], "memory")
        peaks[name] = megabytes(watch)
    record("scan_memory", {"peak_megabytes_of_worker_and_child": peaks})


def megabytes(watch: "Watch") -> int:
    """What it saw, rounded."""
    return round(watch.peak / 1e6)


def exactness(spark) -> None:
    """Rows of frames whatever the segments, and their counts against ffprobe's, on every film there is."""
    films = sorted(path for path in MEDIA.iterdir() if path.suffix in (".mp4", ".webm", ".gif"))
    runs = {seconds: frame_rows(spark, films, seconds) for seconds in (0, 2, 10, 60)}
    whole = runs[0]
    same = {f"{seconds} s": bool(rows == whole) for seconds, rows in runs.items() if seconds}
    counts = {path.name: [whole[path.name][0], counted(path)] for path in films}
    equal = all(ours == theirs for ours, theirs in counts.values())
    record("scan_exactness", {"same_as_whole": same, "frames_and_ffprobes": counts, "counts_equal": equal})


def looks(spark) -> None:
    """What select-artwork adds to a scan of the ten-minute film, with YuNet, rapidocr and dlib where they are there."""
    film = looped(BUILD / "ten" / "ten.mp4", 1)
    select(spark, "warm")  # models are loaded and code is compiled once a session
    _, scanned = scan(spark, [film], "looks")
    done, first = select(spark, "looks")
    _, second = select(spark, "looks")
    record(
        "look_share",
        {
            "candidates": done.candidates,
            "artworks": done.artworks,
            "scan_seconds": round(scanned, 2),
            "select_seconds": round(first, 2),
            "select_again_seconds": round(second, 2),
            "added_to_scan": round(first / scanned, 3),
            "closer_look": done_with(spark, "looks"),
        },
    )


def select(spark, name: str) -> tuple[Selected, float]:
    """What a selection of a scan's tables did, and its seconds."""
    settings, tables = load(str(CONF)).select, Tables(spark, str(BUILD / f"tables-{name}"))
    model = find_model(MEDIA.parent / "models", settings.yunet)
    closer = find_closer(settings.text, settings.cast, settings.plugins)
    begin = time.perf_counter()
    done = select_artwork(tables, settings, model, closer)
    return done, time.perf_counter() - begin


def done_with(spark, name: str) -> dict[str, int]:
    """How many candidates were looked at with which detectors."""
    rows = Tables(spark, str(BUILD / f"tables-{name}")).read("candidates").groupBy("looked_with").count().collect()
    return {str(row["looked_with"]): row["count"] for row in rows}


def scenedetect(spark) -> None:
    """PySceneDetect's AdaptiveDetector against the whole scan, on one film of ten minutes and on one of an hour."""
    if not find_spec("scenedetect"):
        print("bench scenedetect: install PySceneDetect (pip install --no-deps scenedetect==0.7.2) beside keyart")
        return
    from scenedetect import AdaptiveDetector, SceneManager, open_video

    figures = {}
    for name, times in (("ten", 1), ("sixty", 6)):
        film = looped(BUILD / name / f"{name}.mp4", times)
        frames, seconds = scan(spark, [film], "scenedetect")
        begin = time.perf_counter()
        manager = SceneManager()
        manager.auto_downscale = True
        manager.add_detector(AdaptiveDetector())
        manager.detect_scenes(open_video(str(film)))
        theirs = time.perf_counter() - begin
        figures[f"{name} minutes"] = {
            "frames": frames,
            "scan_seconds": round(seconds, 2),
            "adaptive_detector_seconds": round(theirs, 2),
            "adaptive_detector_to_scan": round(theirs / seconds, 2),
        }
    record("scenedetect", figures)


def katna(spark) -> None:
    """Katna's video key frames of the ten-minute film against the whole scan of it."""
    python = os.environ.get("KATNA")
    if not python:
        print("bench katna: set KATNA to the python of an environment that has Katna")
        return
    frames, seconds = scan(spark, [looped(BUILD / "ten" / "ten.mp4", 1)], "katna")
    begin = time.perf_counter()
    done = subprocess.run([python, "-c", KATNA, str(FILM), str(BUILD / "katna")], capture_output=True, text=True)
    theirs = time.perf_counter() - begin
    if done.returncode:
        record("katna", {"failed": done.stderr.strip().splitlines()[-1:]})
        return
    figures = {"frames": frames, "scan_seconds": round(seconds, 2), "katna_seconds": round(theirs, 2)}
    record("katna", figures | {"katna_to_scan": round(theirs / seconds, 2)})


KATNA = """
import os, sys
from Katna.video import Video
from Katna.writer import KeyFrameDiskWriter

if __name__ == "__main__":
    os.makedirs(sys.argv[2], exist_ok=True)
    writer = KeyFrameDiskWriter(location=sys.argv[2])
    Video().extract_video_keyframes(no_of_frames=12, file_path=sys.argv[1], writer=writer)
"""


def frame_rows(spark, films: list[Path], seconds: float) -> dict[str, tuple]:
    """By film: how many rows frames has, and an exact digest of them."""
    scan(spark, films, "exact", f"scan.segment_seconds={seconds}")
    tables = Tables(spark, str(BUILD / "tables-exact"))
    names = [name for name in tables.read("frames").columns if name not in ("scan_id", "segment")]
    rows = current(tables, "frames").select("video_id", F.xxhash64(*names).cast("decimal(38,0)").alias("digest"))
    sums = rows.groupBy("video_id").agg(F.count("*").alias("rows"), F.sum("digest").alias("digest"))
    uris = {row["video_id"]: Path(row["uri"]).name for row in tables.read("videos").select("video_id", "uri").collect()}
    return {uris[row["video_id"]]: (row["rows"], row["digest"]) for row in sums.collect()}


def counted(film: Path) -> int:
    """Frames that ffprobe counts."""
    show = ["-select_streams", "v:0", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"]
    command = ["ffprobe", "-v", "error", "-count_frames", *show, str(film)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0].strip(","))


def scan(spark, films: list[Path], name: str, *options: str) -> tuple[int, float]:
    """Frames and seconds of a scan of films that are new; session, ingest and the making of tables are not counted."""
    root, folder = BUILD / f"tables-{name}", BUILD / f"films-{name}"
    for path in (root, folder):
        shutil.rmtree(path, ignore_errors=True)
    if MADE.exists():
        shutil.copytree(MADE, root)
    folder.mkdir(parents=True)
    for film in films:
        (folder / film.name).symlink_to(film)
    beside = f"sources.roots=[{BUILD}, {MEDIA}]"  # where the links lead
    settings = load(str(CONF), [f"tables={root}", f"catalog.videos={folder}", beside, *options])
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

    def seconds_used(self) -> dict[str, float]:
        """Processor time so far of the children, their workers, and the JVM."""
        found = children()
        jvm = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/comm") if is_ours(path)]
        kinds = {"children": set(found), "workers": set(found.values()), "jvm": set(jvm)}
        return {kind: sum(map(processor_seconds, processes)) for kind, processes in kinds.items()}

    def _look(self) -> None:
        while not self._over.wait(0.3):
            for child, parent in children().items():
                if parent != os.getpid():  # the driver's own children probe
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


def is_ours(comm: Path) -> bool:
    """Whether a process is this one's JVM."""
    try:
        parent = int((comm.parent / "stat").read_text().rsplit(")", 1)[1].split()[1])
        return comm.read_text().strip() == "java" and parent == os.getpid()
    except OSError:
        return False


def processor_seconds(process: int) -> float:
    """User and system time, 0 where it ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0.0


def resident(process: int) -> int:
    """Its private and shared memory, 0 where it ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096
    except OSError:
        return 0


if __name__ == "__main__":
    if not FILM.exists() or shutil.which("ffmpeg") is None:
        sys.exit("bench/scan.py needs ../shared/media and ffmpeg")
    session = open_session(load(str(CONF)).session, light=True)
    shutil.rmtree(MADE, ignore_errors=True)
    scan(session, [looped(BUILD / "warm" / "warm.mp4", 1, short())], "warm")  # the JIT's time is no scan's
    shutil.copytree(BUILD / "tables-warm", MADE)
    benches = {
        "speed": speed,
        "scaling": scaling,
        "memory": memory,
        "exactness": exactness,
        "looks": looks,
        "scenedetect": scenedetect,
        "katna": katna,
    }
    for bench in sys.argv[1:] or benches:
        benches[bench](session)
    session.stop()
