"""Films to fit and to judge the shot detector on: composed ones of every kind, and real ones labelled by eye."""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from shot_films import KINDS, compose, write_film
from shot_material import LABELS, MEDIA, clips

from keyart.video.decode import open_film
from keyart.video.exchange import Segment
from keyart.video.segments import scan_segment

__all__ = ["Labelled", "composed", "real", "score", "tally"]

FRAMES = 1200  # of a composed film, twice as many at 50 and 60 frames a second


@dataclass(frozen=True)
class Labelled:
    """A film with what is known about its boundaries."""

    name: str
    """Of its kind, or of its file."""
    path: Path
    thumbs: np.ndarray
    seconds: np.ndarray
    """When each frame is shown."""
    truth: dict
    rate: float


def composed(split: str, seeds: range, folder: Path) -> Iterator[Labelled]:
    """A film of every kind and seed from the split's material; kept in ``folder`` once made."""
    (folder / split).mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for name, kind in KINDS.items():
            path = folder / split / f"{name.replace(' ', '_').replace(',', '')}-{seed}.mp4"
            truth, kept = path.with_suffix(".json"), path.with_suffix(".npz")
            if not kept.is_file():
                draw = np.random.default_rng([seed, zlib.crc32(name.encode()), split == "test"])
                frames, known = compose(kind, clips(split, folder), draw, FRAMES * max(1, kind.rate // 25))
                write_film(path, frames, kind)
                truth.write_text(json.dumps(known))
                _keep(path, kept)
            yield Labelled(name, path, **np.load(kept), truth=json.loads(truth.read_text()), rate=kind.rate)


def real(folder: Path) -> Iterator[Labelled]:
    """The films labelled by eye, and shots_cfr and shots_vfr, as far as they are there."""
    truths = json.loads(LABELS.read_text())["films"]
    for name in ("shots_cfr", "shots_vfr"):
        if (MEDIA / f"{name}.json").is_file():
            truths[f"{name}.mp4"] = {"rate": 24, **json.loads((MEDIA / f"{name}.json").read_text())}
    folder.mkdir(parents=True, exist_ok=True)
    for name, truth in truths.items():
        path, kept = MEDIA / name, folder / f"{name}.npz"
        if path.is_file() and not kept.is_file():
            _keep(path, kept)
        if kept.is_file():
            yield Labelled(name, path, **np.load(kept), truth=truth, rate=truth["rate"])


def _keep(path: Path, kept: Path) -> None:
    scan = scan_segment(str(path), Segment(0, None, None, 1), 0)
    with open_film(str(path)) as (_, stream):
        tick = float(stream.time_base or 1)
    np.savez(kept, thumbs=scan.thumbs, seconds=scan.pts * tick)


def score(truth: dict, found: list[int]) -> np.ndarray:
    """Cuts found and there, gradual ones found and there, false ones, as score_shots.py counts; unsure ones do not."""
    spans = [(c - 1, c + 1) for c in truth["cuts"]] + [(a - 2, b + 2) for a, b in truth["gradual"]]
    hit, false = [False] * len(spans), 0
    for frame in sorted(found):
        at = next((k for k, (a, b) in enumerate(spans) if not hit[k] and a <= frame <= b), None)
        if at is not None:
            hit[at] = True
        elif not any(a - 2 <= frame <= b + 2 for a, b in truth.get("unsure", [])):
            false += 1
    cuts = len(truth["cuts"])
    return np.array([sum(hit[:cuts]), cuts, sum(hit[cuts:]), len(spans) - cuts, false])


def tally(counts: np.ndarray) -> dict[str, float]:
    """F1, precision and recalls of summed counts; NaN-free: of nothing to find and nothing found, all is 1."""
    cuts_found, cuts, gradual_found, gradual, false = (int(value) for value in counts)
    found, there = cuts_found + gradual_found, cuts + gradual
    return {
        "f1": round(2 * found / (found + false + there), 4) if found + false + there else 1.0,
        "precision": round(found / (found + false), 4) if found + false else 1.0,
        "cut_recall": round(cuts_found / cuts, 4) if cuts else 1.0,
        "gradual_recall": round(gradual_found / gradual, 4) if gradual else 1.0,
        "false": false,
    }
