"""The film studio: writes the demo's own films, the manifest that lists them and the truth about their shots.

The same seed gives the same films, byte for byte: one encoder thread, all chance keyed. A film that is there already
is kept.
"""

import csv
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from tqdm import tqdm

from keyart.demo.camera import Move, Shot, shoot
from keyart.demo.grading import GRADES
from keyart.demo.screenplay import FPS, MOST_FILMS, Film, Transition, film, truth
from keyart.demo.setups import SETUPS
from keyart.errors import InputError, VideoError
from keyart.seeding import rng

__all__ = ["SIZE", "make_films", "tiny_film"]

SIZE = (640, 360)
VERSION = 1
"""Raise it when the same screenplay gives different pictures: films of older versions are made anew."""
GRAIN = 1.7  # standard deviation of luma, of 255
GRAIN_PLATES = 8
LOG = logging.getLogger(__name__)
COLUMNS = ("title_id", "name", "uri", "genres", "maturity_rating", "kids", "regions", "cast")


def make_films(folder: Path, titles: int, seed: int, jobs: int = 2, progress: bool = True) -> Path:
    """Write the films and return their manifest.csv.

    Beside them lie shots.json ({file: {"frames", "fps", "vfr", "cuts", "gradual"}}, the boundaries as they were
    composed) and films.json (what each file was made from). With ``jobs`` above 1 films are made in processes of
    their own, so the calling script needs the usual ``__main__`` guard. InputError for more titles than the studio
    has names for; SetupError where a package with photographs is missing.
    """
    if not 1 <= titles <= MOST_FILMS:
        raise InputError(f"demo.titles is {titles}; the studio makes 1 to {MOST_FILMS} films")
    folder.mkdir(parents=True, exist_ok=True)
    stories = [film(seed, index) for index in range(titles)]
    made = _records(folder)
    wanted = [story for story in stories if not _is_there(folder, story, made)]
    LOG.info("%d films: %d to make, %d kept", titles, len(wanted), titles - len(wanted))
    with tqdm(total=titles, initial=titles - len(wanted), desc="films", unit="film", disable=not progress) as bar:
        for story in _produce(wanted, folder, jobs):
            path = folder / _file(story)
            made[path.name] = {"fingerprint": _fingerprint(story), "bytes": path.stat().st_size}
            _write(folder / "films.json", json.dumps(dict(sorted(made.items())), indent=1))
            bar.update()
    _write(folder / "shots.json", json.dumps({_file(story): truth(story) for story in stories}, indent=1))
    return _manifest(folder, stories)


def tiny_film(path: Path, seed: int = 7, seconds: float = 3.0, size: tuple[int, int] = (160, 90)) -> dict[str, object]:
    """Write a small film of three shots, a cut and a dissolve, and return the truth about its boundaries.

    ``size`` is (width, height), both even; the film has round(seconds * 24) frames.
    """
    total, mixed = round(seconds * FPS), 10
    if total < 3 * mixed or size[0] % 2 or size[1] % 2:
        raise InputError(f"a tiny film lasts 1.25 s or more and has even sides, not {seconds} s of {size}")
    draw = rng(seed, "tiny film")
    names = ["commander close", *draw.choice(["pagoda", "motorcycle", "dahlia", "cat", "launch site"], 2, False)]
    first, second = total // 3, total // 3
    lengths = (first, second + mixed, total - first - second)
    shots = tuple(
        Shot(SETUPS[name].layers, Move(zoom=-0.1), look, frames)
        for name, look, frames in zip(names, ("golden", "teal and orange", "ice"), lengths, strict=True)
    )
    changes = (Transition(), Transition("dissolve", mixed))
    story = replace(film(seed, 0), title_id="tiny", shots=shots, transitions=changes)
    _encode(story, path, size)
    return truth(story)


def _produce(stories: Sequence[Film], folder: Path, jobs: int) -> Iterator[Film]:
    """Make the films and yield each as it is finished."""
    if jobs <= 1 or len(stories) <= 1:
        for story in stories:
            _make(story, folder)
            yield story
        return
    # spawn, not fork: the caller may have threads, and OpenCV's do not survive a fork.
    with ProcessPoolExecutor(min(jobs, len(stories)), get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
        tasks = {pool.submit(_make, story, folder): story for story in stories}
        try:
            for task in as_completed(tasks):
                task.result()
                yield tasks[task]
        except BrokenProcessPool as error:
            raise VideoError("a process that makes films was killed; run again: finished films are kept") from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _make(story: Film, folder: Path) -> None:
    _encode(story, folder / _file(story), SIZE)


def _encode(story: Film, path: Path, size: tuple[int, int]) -> None:
    """H.264 in mp4: written beside as .partial, then renamed, so that a film that is there is whole."""
    partial = path.with_name(path.name + ".partial")
    grain = _grain(story, size)
    # One thread, and no macroblock tree: with it x264's choices depended on what the memory had held before.
    options = {"preset": "veryfast", "crf": "25", "g": "48", "threads": "1"}
    options["x264-params"] = "mbtree=0:subme=1:bframes=1"
    with av.open(str(partial), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = Fraction(1, FPS)
        for index, frame in enumerate(_frames(story, size)):
            planes = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420), np.uint8)
            luma = planes[: size[1]]
            cv2.addWeighted(luma, 1, next(grain), 1, -128, dst=luma)
            picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    partial.replace(path)


def _frames(story: Film, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """The film's frames, RGB, with its dissolves and fades."""
    tail: list[np.ndarray] = []  # frames of the shot before that the next one is mixed with
    ends = (*story.transitions, Transition())
    before = Transition()
    for shot, after in zip(story.shots, ends, strict=True):
        held: list[np.ndarray] = []
        for index, frame in enumerate(shoot(shot, size)):
            left = shot.frames - index
            if index < len(tail):
                weight = (index + 1) / (len(tail) + 1)
                frame = cv2.addWeighted(tail[index], 1 - weight, frame, weight, 0)
            if before.kind == "fade" and index < before.frames // 2:
                frame = cv2.convertScaleAbs(frame, alpha=(index + 0.5) / (before.frames // 2))
            if after.kind == "fade" and left <= after.frames // 2:
                frame = cv2.convertScaleAbs(frame, alpha=(left - 0.5) / (after.frames // 2))
            if left <= after.overlap:
                held.append(frame)
            else:
                yield frame
        tail, before = held, after
    yield from tail


def _grain(story: Film, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Film grain, centred at 128, a different plate for every frame."""
    draw = rng(story.seed, "grain", story.title_id)
    noise = draw.standard_normal((GRAIN_PLATES, size[1], size[0]), dtype=np.float32)
    plates = []
    for plate in noise:
        soft = cv2.GaussianBlur(plate, (0, 0), 0.6)
        plates.append(np.round(128 + soft / soft.std() * GRAIN).clip(0, 255).astype(np.uint8))
    while True:
        for k in draw.permutation(GRAIN_PLATES):
            yield cv2.flip(plates[k], int(draw.integers(-1, 2)))


def _is_there(folder: Path, story: Film, made: dict[str, dict[str, Any]]) -> bool:
    path, record = folder / _file(story), made.get(_file(story))
    return bool(
        record
        and record.get("fingerprint") == _fingerprint(story)
        and path.is_file()
        and path.stat().st_size == record.get("bytes")
    )


def _records(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / "films.json"
    if not path.is_file():
        return {}
    try:
        records = json.loads(path.read_text())
    except ValueError:
        LOG.warning("%s cannot be read; all films are made anew", path)
        return {}
    return records if isinstance(records, dict) else {}


def _fingerprint(story: Film) -> str:
    """Changes when the film would: its screenplay is a tree of frozen dataclasses, whose repr says everything."""
    return hashlib.blake2b(repr((VERSION, SIZE, GRADES, story)).encode(), digest_size=16).hexdigest()


def _file(story: Film) -> str:
    return f"{story.title_id}.mp4"


def _manifest(folder: Path, stories: Sequence[Film]) -> Path:
    path = folder / "manifest.csv"
    partial = path.with_name("manifest.csv.partial")
    with open(partial, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for story in stories:
            lists = ("|".join(story.genres), story.maturity_rating, str(story.kids).lower(), "", "|".join(story.cast))
            rows.writerow((story.title_id, story.name, _file(story), *lists))
    partial.replace(path)
    return path


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text + "\n")
    partial.replace(path)
