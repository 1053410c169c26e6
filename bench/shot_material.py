"""Material for films with known shot boundaries: stretches of single shots, small, in YUV.

Training takes the second half of big_buck_bunny and the demo studio's films of one seed; testing takes all else, so
that no picture is in both: the first half (which shots_cfr and shots_vfr are composed from, too), tears-of-steel,
sintel, cars, people, and the studio's films of another seed.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np

from keyart.demo.camera import shoot
from keyart.demo.screenplay import film

__all__ = ["MEDIA", "SIZE", "clips"]

SIZE = (192, 108)
ROOT = Path(__file__).resolve().parents[1]
MEDIA = ROOT.parent / "shared" / "media"
LABELS = ROOT / "tests/unit/video/labels/real_films.json"
MARGIN = 3  # frames left out on either side of a labelled boundary
LONGEST, SHORTEST = 130, 24
SPLIT = 6000  # frame of big_buck_bunny from which on it is training material
FEATURES = {
    "train": [("big_buck_bunny_360p.mp4", SPLIT, 11700)],
    "test": [
        ("big_buck_bunny_360p.mp4", 60, 5840),
        ("tears-of-steel-battle-clip.webm", 0, 1691),
        ("sintel_trailer-480p.mp4", 30, 960),
        ("intel_car-detection.mp4", 0, 377),
        ("intel_one-by-one-person-detection.mp4", 0, 400),
        ("nasa_13013.mp4", 0, 325),
    ],
}
STUDIO = {"train": (101, 8), "test": (202, 8)}
"""Seed and number of the studio's films."""


def clips(split: str, cache: Path) -> list[np.ndarray]:
    """Single shots (n, 108, 192, 3) uint8 YUV of the split, "train" or "test", kept in ``cache`` once made."""
    cache.mkdir(parents=True, exist_ok=True)
    path, index = cache / f"{split}.npy", cache / f"{split}.json"
    if not index.is_file():
        found = [*_feature_clips(split), *_studio_clips(split)]
        np.save(path, np.concatenate(found))
        index.write_text(json.dumps([len(clip) for clip in found]))
    lengths = json.loads(index.read_text())
    frames = np.load(path, mmap_mode="r")
    ends = np.cumsum(lengths)
    return [frames[end - length : end] for end, length in zip(ends.tolist(), lengths, strict=True)]


def _feature_clips(split: str) -> Iterator[np.ndarray]:
    labels = json.loads(LABELS.read_text())["films"]
    for name, begin, end in FEATURES[split]:
        if not (MEDIA / name).is_file():
            continue
        marks = labels.get(name, {})
        spans = [[cut, cut] for cut in marks.get("cuts", [])] + marks.get("gradual", []) + marks.get("unsure", [])
        clear = np.ones(end + 1, bool)
        for a, b in spans:
            clear[max(0, a - MARGIN) : b + MARGIN] = False
        clear[:begin], clear[end] = False, False
        held: list[np.ndarray] = []
        for frame, inside in zip(_decoded(MEDIA / name), clear.tolist(), strict=False):
            if inside:
                held.append(frame)
            if (not inside or len(held) == LONGEST) and held:
                if len(held) >= SHORTEST:
                    yield np.stack(held)
                held = []
        if len(held) >= SHORTEST:
            yield np.stack(held)


def _decoded(path: Path) -> Iterator[np.ndarray]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for picture in container.decode(stream):
            yuv = picture.reformat(format="yuv444p").to_ndarray().transpose(1, 2, 0)
            yield cv2.resize(np.ascontiguousarray(yuv), SIZE, interpolation=cv2.INTER_AREA)


def _studio_clips(split: str) -> Iterator[np.ndarray]:
    seed, count = STUDIO[split]
    for index in range(count):
        for shot in film(seed, index).shots[1:-1]:  # title card and credits are left out
            frames = [cv2.cvtColor(np.ascontiguousarray(f), cv2.COLOR_RGB2YCrCb) for f in shoot(shot, SIZE)]
            yuv = np.stack(frames[:LONGEST])[..., [0, 2, 1]]
            yuv[..., 0] = np.round(16 + yuv[..., 0] * (219 / 255))
            if len(yuv) >= SHORTEST:
                yield yuv
