"""Shots: F1 and time beside PySceneDetect's detectors, on real films and on composed ones that nothing was fitted to.

    python bench/shots.py [--films FOLDER]

Needs the package scenedetect (0.7.2; pip install --no-deps, so that the pinned OpenCV stays) for the peers; without it
only keyart is measured. All read the same files in one run. keyart's CPU time is that of decoding with every signal of
the scan, and of finding boundaries; the peers' that of decoding and detecting. Their boundaries are brought to frames
by time, as their frame numbers are off where the frame rate varies.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from results import ROOT, record
from shot_sets import Labelled, composed, real, score, tally

from keyart.video.exchange import Segment
from keyart.video.segments import scan_segment
from keyart.video.shots import find_boundaries

SEEDS = range(1, 3)
PEERS = ("AdaptiveDetector", "ContentDetector", "HistogramDetector") if find_spec("scenedetect") else ()


def ours(film: Labelled) -> tuple[list[int], float, float]:
    """Boundaries; seconds in all, and for the boundaries alone."""
    begin = time.process_time()
    thumbs = scan_segment(str(film.path), Segment(0, None, None, 1), 0).thumbs
    between = time.process_time()
    found = [boundary.frame for boundary in find_boundaries(thumbs, film.rate)]
    return found, time.process_time() - begin, time.process_time() - between


def peer(name: str) -> Callable[[Labelled], tuple[list[int], float, float]]:
    """One of PySceneDetect's detectors as it comes."""
    import scenedetect

    def detect(film: Labelled) -> tuple[list[int], float, float]:
        begin = time.process_time()
        manager = scenedetect.SceneManager()
        manager.auto_downscale = True
        manager.add_detector(getattr(scenedetect, name)())
        manager.detect_scenes(scenedetect.open_video(str(film.path)))
        starts = [start.seconds for start, _ in manager.get_scene_list()[1:]]
        spent = time.process_time() - begin
        away = np.abs(film.seconds[None] - film.seconds[0] - np.array(starts)[:, None])
        return (away.argmin(axis=1).tolist() if starts else []), spent, spent

    return detect


def films(folder: Path) -> Iterator[tuple[str, Labelled]]:
    """Under which heading each film is counted, and the film; GIFs are left out, as not every peer reads them."""
    for film in real(folder / "real"):
        if film.path.suffix != ".gif":
            yield film.name, film
    for film in composed("test", SEEDS, folder):
        yield f"composed: {film.name}", film


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=Path, default=ROOT / "build/shots")
    cv2.setNumThreads(1)
    detectors = {"keyart": ours, **{name: peer(name) for name in PEERS}}
    find_boundaries(
        np.random.default_rng(0).integers(0, 256, (199, 27, 48)).astype(np.uint8)
    )  # compiled before the clock runs
    counts: dict[str, dict[str, np.ndarray]] = {}
    clocks = {name: np.zeros(3) for name in detectors}
    for heading, film in films(parser.parse_args().films):
        for name, detect in detectors.items():
            found, whole, alone = detect(film)
            clocks[name] += (whole, alone, len(film.thumbs))
            for key in (heading, "all composed" if heading.startswith("composed") else "all real"):
                sums = counts.setdefault(key, {}).setdefault(name, np.zeros(5, int))
                sums += score(film.truth, found)
    times = {
        name: {"ms_per_frame_with_decoding": round(whole / n * 1e3, 3), "ms_per_frame_alone": round(alone / n * 1e3, 3)}
        for name, (whole, alone, n) in clocks.items()
    }
    for name in PEERS:
        times[name].pop("ms_per_frame_alone")
    figures = {key: {name: tally(sums) for name, sums in row.items()} for key, row in counts.items()}
    record("shots", {"films": figures, "cpu_time": times})


if __name__ == "__main__":
    main()
