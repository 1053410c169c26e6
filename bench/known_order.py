"""Does what spoils a frame rank it lower? 200 frames of real films, each kind of spoiling in steps, pairs compared."""

import sys
from pathlib import Path

import av
import cv2
import numpy as np
from degradations import KINDS, LEVELS, degraded
from films import MEDIA
from results import record

from keyart.selection.ranking import Candidates, craft, rank
from keyart.vision.composition import horizon_tilt
from keyart.vision.faces import Face
from keyart.vision.features import look
from keyart.vision.picture import black_bars, prepare
from keyart.vision.text import find_lettering

FRAMES = {
    "big_buck_bunny_360p.mp4": 106,
    "sintel_trailer-480p.mp4": 24,
    "tears-of-steel-battle-clip.webm": 30,
    "nasa_13013.mp4": 10,
    "intel_car-detection.mp4": 10,
    "intel_one-by-one-person-detection.mp4": 10,
    "intel_classroom.gif": 4,
    "intel_hp_face.gif": 4,
    "bbb_5s_720p.mp4": 2,
}
"""200 in all; static cameras give fewer, for their frames are all alike."""
LEAST_SPREAD = 0.07
"""Standard deviation of the values (of 1) of what is a picture, not a fade."""
PAIRS = ((0, 1), (1, 2), (0, 2))


def nobody(bgr: np.ndarray) -> list[Face]:
    """No face: the order must hold without the help of what a detector loses sight of."""
    return []


def film_frames(path: Path, count: int) -> list[np.ndarray]:
    """So many frames, evenly spread, without the film's bars; fades and title cards are passed over."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        total = stream.frames or sum(1 for _ in container.decode(stream))
        container.seek(0)
        step = max(1, total // (2 * count))
        taken = [f.to_ndarray(format="bgr24") for k, f in enumerate(container.decode(stream)) if k % step == step // 2]
    top, left = black_bars(np.max(taken, axis=0))
    cut = [np.ascontiguousarray(bgr[top : len(bgr) - top, left : bgr.shape[1] - left]) for bgr in taken]
    spread = [cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY).std() / 255 for bgr in cut]
    lit = [bgr for bgr, its in zip(cut, spread, strict=True) if its >= LEAST_SPREAD]
    shown = [bgr for bgr in lit if find_lettering(bgr).title_card < 0.5]
    return [shown[k] for k in np.unique(np.linspace(0, len(shown) - 1, count).astype(int))]


def levels(bgr: np.ndarray, kind: str, seed: int) -> np.ndarray:
    """(LEVELS, F) features of a frame at each level of one kind."""
    lean = horizon_tilt(prepare(degraded(bgr, kind, 0, seed)).fine)[0] if kind == "tilt" else 0.0
    return np.array([look(degraded(bgr, kind, k, seed, lean), 0, 0, nobody).features for k in range(LEVELS)])


def whole_score(features: np.ndarray) -> np.ndarray:
    """(N,) the score that selection ranks by, where frames differ in nothing but their features."""
    n = len(features)
    one, none = np.ones(n), np.zeros(n)
    return rank(Candidates(features, np.zeros(n, np.uint64), none, one, none, one, none), 0.0).score


def ordered(features: np.ndarray, score) -> list[float]:
    """Percent of frames in which the less spoilt of each of PAIRS scores more; features (frames, LEVELS, F)."""
    found = np.array([score(features[:, level]) for level in range(LEVELS)])
    return [round(100 * float((found[better] > found[worse]).mean()), 1) for better, worse in PAIRS]


def main(limit: int | None) -> None:
    cv2.setNumThreads(1)
    frames = [bgr for name, count in FRAMES.items() for bgr in film_frames(MEDIA / name, count)]
    frames = frames[:: max(1, len(frames) // limit)] if limit else frames
    figures: dict = {"frames": len(frames), "pairs": ["as is > mild", "mild > strong", "as is > strong"]}
    for kind in KINDS:
        features = np.array([levels(bgr, kind, seed) for seed, bgr in enumerate(frames)])
        figures[kind] = {"quality": ordered(features, craft), "whole score": ordered(features, whole_score)}
        print(kind, figures[kind], flush=True)
    both = [np.array([look(one, 0, 0, nobody).features for one in (f, f[:, ::-1].copy())]) for f in frames]
    apart = [abs(float(np.log(craft(pair)[0] / craft(pair)[1]))) for pair in both]
    figures["mirror: difference of quality, percent"] = {
        name: round(100 * float(np.quantile(apart, share)), 2) for name, share in (("median", 0.5), ("99 of 100", 0.99))
    }
    record("known_order", figures)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else None)
