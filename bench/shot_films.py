"""Compose films whose shot boundaries are known: kinds of films, transitions and what only looks like one.

A film is a function of (kind, seed, clips). Truth is as tools/score_shots.py reads it, with what was put in as
``distractors`` besides: [kind, first frame].
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from shot_events import CAMERAS, EVENTS, shown
from shot_material import SIZE

__all__ = ["KINDS", "Kind", "compose", "write_film"]


@dataclass(frozen=True)
class Kind:
    """What sets a kind of film apart."""

    rate: int = 24
    cuts: float = 0.55
    """Share of transitions that are cuts; the rest are gradual."""
    gradual: tuple[str, ...] = ("dissolve", "dissolve", "dissolve", "black", "white", "colour")
    lengths: tuple[int, int] = (6, 36)
    """Frames of a gradual transition, drawn evenly in the logarithm."""
    events: tuple[str, ...] = ()
    event_share: float = 0.15
    cameras: tuple[str, ...] = ("still", "still", "still", "drift")
    alike: float = 0.1
    """Share of transitions to another framing of the same shot."""
    grain: float = 1.0
    tone: tuple[float, float] = (1.0, 0.0)
    """Contrast about black and what is added."""
    bars: float = 0.0
    """Share of the height that is a black bar at the top, and as much at the bottom; negative: at the sides."""
    hold: int = 1
    """Each drawing is shown this many times."""
    fields: bool = False
    """Every frame is woven of two moments, across cuts too."""
    crf: int = 24
    seconds: tuple[float, float] = (1.0, 4.0)
    """Of a shot."""


ALL_EVENTS = tuple(EVENTS)
KINDS: dict[str, Kind] = {
    "plain": Kind(),
    "long dissolves": Kind(cuts=0.2, gradual=("dissolve",), lengths=(24, 60), seconds=(4, 5)),
    "short dissolves": Kind(cuts=0.2, gradual=("dissolve",), lengths=(6, 12)),
    "fades": Kind(cuts=0.2, gradual=("black", "white", "colour"), lengths=(8, 48)),
    "wipes": Kind(cuts=0.4, gradual=("wipe",), lengths=(8, 30)),
    "flashes": Kind(events=("flash", "series", "strobe"), event_share=0.8),
    "freezes": Kind(events=("freeze",), event_share=0.8, cameras=("drift", "pan", "shake")),
    "explosions": Kind(events=("explosion", "lights"), event_share=0.8),
    "passing": Kind(events=("passing",), event_share=0.8),
    "titles": Kind(events=("title",), event_share=0.8),
    "pans, zooms": Kind(cameras=("pan", "zoom", "whip")),
    "handheld": Kind(cameras=("shake",), grain=3),
    "dark": Kind(tone=(0.3, 2), grain=2),
    "low contrast": Kind(tone=(0.4, 90)),
    "grain": Kind(grain=9, crf=18),
    "compressed": Kind(crf=38),
    "letterbox": Kind(bars=0.125),
    "pillarbox": Kind(bars=-0.125),
    "sets alike": Kind(alike=0.8),
    "on twos": Kind(hold=2),
    "on threes": Kind(hold=3, rate=30),
    "fields": Kind(fields=True, rate=25),
    "50 fps": Kind(rate=50, lengths=(10, 60)),
    "60 fps": Kind(rate=60, lengths=(10, 60)),
    "30 fps": Kind(rate=30),
    "everything": Kind(events=ALL_EVENTS, event_share=0.6, cameras=("still", "drift", "pan", "shake", "zoom")),
}


@dataclass
class _Reel:
    """A film in the making."""

    frames: list[np.ndarray] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    gradual: list[list[int]] = field(default_factory=list)
    distractors: list[list] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """Of the gradual ones."""


def compose(kind: Kind, clips: Sequence[np.ndarray], rng: np.random.Generator, frames: int = 1200) -> tuple:
    """Frames (n, 108, 192, 3) uint8 YUV and their truth."""
    reel, last = _Reel(), -1
    usable = [k for k, clip in enumerate(clips) if len(clip) >= 24 * kind.seconds[0]]
    before = None
    while len(reel.frames) < frames:
        alike = before is not None and rng.random() < kind.alike
        pick = last if alike else int(rng.choice([k for k in usable if k != last]))
        last = pick
        shot, marks = _shot(kind, clips[pick], rng, other=clips[int(rng.integers(len(clips)))], alike=alike)
        _append(reel, kind, shot, marks, rng, first=before is None)
        before = shot
    finished = [_finish(kind, frame, rng) for frame in _weave(kind, reel.frames)]
    truth = {"frames": len(finished), "fps": kind.rate, "vfr": False, "cuts": reel.cuts, "gradual": reel.gradual}
    return np.stack(finished), {**truth, "distractors": reel.distractors, "names": reel.names}


def _shot(kind: Kind, clip: np.ndarray, rng: np.random.Generator, other: np.ndarray, alike: bool) -> tuple:
    """Frames of one shot, float32, and the events in it."""
    wanted = int(rng.uniform(*kind.seconds) * kind.rate)
    speed = 24 / kind.rate
    start = int(rng.integers(0, max(1, len(clip) - int(wanted * speed))))
    times = start + np.arange(wanted) // kind.hold * kind.hold * speed
    times = times[times <= len(clip) - 1]
    taken = [shown(clip, time) for time in times.tolist()]
    if rng.random() < 0.5 and not alike:
        taken = [frame[:, ::-1] for frame in taken]
    camera = CAMERAS[str(rng.choice(kind.cameras))]
    taken = camera(taken, rng, kind.rate, closer=alike)
    if kind.hold > 1:
        taken = [taken[k // kind.hold * kind.hold] for k in range(len(taken))]
    if kind.events and len(taken) > kind.rate and rng.random() < kind.event_share:
        name = str(rng.choice(kind.events))
        at = int(rng.integers(10, len(taken) - 12))
        return EVENTS[name](taken, at, rng, other), [(name, at)]
    return taken, []


def _append(reel: _Reel, kind: Kind, shot: list, marks: list, rng: np.random.Generator, first: bool) -> None:
    begin = len(reel.frames)
    length = round(float(np.exp(rng.uniform(*np.log(kind.lengths)))))
    if first or rng.random() < kind.cuts or length + 8 > min(len(shot), begin - _busy_until(reel)):
        if not first:
            reel.cuts.append(begin)
        reel.frames.extend(shot)
    else:
        name = str(rng.choice(kind.gradual))
        if name in MIXES:
            begin -= length
            mixed = [MIXES[name](reel.frames[begin + k], shot[k], (k + 1) / (length + 1), rng) for k in range(length)]
            reel.frames[begin:] = [*mixed, *shot[length:]]
            reel.gradual.append([begin, begin + length])
        else:
            half, pause = max(2, length // 2), int(rng.integers(0, 6))
            colour = COLOURS[name](rng)
            for k in range(half):
                reel.frames[begin - half + k] = _mix(reel.frames[begin - half + k], colour, (k + 1) / (half + 1), rng)
            shot = [_mix(colour, f, (k + 1) / (half + 1), rng) if k < half else f for k, f in enumerate(shot)]
            reel.frames.extend([colour] * pause + shot)
            reel.gradual.append([begin - half, begin + pause + half])
            begin += pause
        reel.names.append(name)
    reel.distractors.extend([name, begin + at] for name, at in marks)


def _busy_until(reel: _Reel) -> int:
    return max([0, *reel.cuts, *(b for _, b in reel.gradual)])


def _mix(one: np.ndarray, other: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    return one * (1 - share) + other * share


def _wipe(one: np.ndarray, other: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    width = one.shape[1]
    edge = np.clip((share * (width + 16) - np.arange(width)) / 16, 0, 1)[None, :, None].astype(np.float32)
    return one * (1 - edge) + other * edge


MIXES: dict[str, Callable] = {"dissolve": _mix, "wipe": _wipe}


def _plain(luma: float, cb: float = 128, cr: float = 128) -> np.ndarray:
    return np.full((SIZE[1], SIZE[0], 3), (luma, cb, cr), np.float32)


COLOURS: dict[str, Callable] = {
    "black": lambda rng: _plain(16),
    "white": lambda rng: _plain(235),
    "colour": lambda rng: _plain(*rng.uniform((40, 90, 90), (200, 166, 166))),
}


def _weave(kind: Kind, frames: list[np.ndarray]) -> list[np.ndarray]:
    if not kind.fields:
        return frames
    woven = [frame.copy() for frame in frames]
    for k in range(len(frames) - 1):
        woven[k][1::2] = (frames[k][1::2] + frames[k + 1][1::2]) / 2
    return woven


def _finish(kind: Kind, frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    gain, lift = kind.tone
    out = frame.copy()
    out[..., 0] = 16 + (out[..., 0] - 16) * gain + lift
    out[..., 1:] = 128 + (out[..., 1:] - 128) * gain
    if kind.grain:
        out[..., 0] += rng.normal(0, kind.grain, out.shape[:2]).astype(np.float32)
    height, width = out.shape[:2]
    if kind.bars > 0:
        bar = round(height * kind.bars)
        squeezed = cv2.resize(out, (width, height), interpolation=cv2.INTER_AREA)[bar : height - bar]
        out = np.concatenate([_plain(16)[:bar], squeezed, _plain(16)[:bar]])
    if kind.bars < 0:
        bar = round(-width * kind.bars)
        out = out.copy()
        out[:, :bar], out[:, -bar:] = _plain(16)[:, :bar], _plain(16)[:, :bar]
    return out.round().clip(0, 255).astype(np.uint8)


def write_film(path: Path, frames: np.ndarray, kind: Kind) -> None:
    """Encode as H.264 in mp4, a GOP of ten seconds at most."""
    with av.open(str(path), "w", format="mp4") as container:
        options = {"preset": "veryfast", "crf": str(kind.crf), "g": str(kind.rate * 10), "threads": "1"}
        stream = container.add_stream("libx264", rate=kind.rate, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.time_base = Fraction(1, kind.rate)
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.transpose(2, 0, 1)), format="yuv444p")
            picture = picture.reformat(format="yuv420p")
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
