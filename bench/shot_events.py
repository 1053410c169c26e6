"""What happens within a shot of the composed films and is no boundary: camera moves, flashes, freezes, explosions."""

from collections.abc import Callable

import cv2
import numpy as np

__all__ = ["CAMERAS", "EVENTS", "shown"]

Frames = list[np.ndarray]
_FLOW = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)


def shown(clip: np.ndarray, time: float) -> np.ndarray:
    """The clip's picture at a time in frames, float32; between two frames along the optical flow."""
    first = int(time)
    share = time - first
    one = clip[first].astype(np.float32)
    if share < 1e-6 or first + 1 >= len(clip):
        return one
    flow = _FLOW.calc(np.ascontiguousarray(clip[first][..., 0]), np.ascontiguousarray(clip[first + 1][..., 0]), None)
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    border = {"interpolation": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REPLICATE}
    back = cv2.remap(one, x - share * flow[..., 0], y - share * flow[..., 1], **border)
    ahead = clip[first + 1].astype(np.float32)
    ahead = cv2.remap(ahead, x + (1 - share) * flow[..., 0], y + (1 - share) * flow[..., 1], **border)
    return back * (1 - share) + ahead * share


def _viewed(frame: np.ndarray, x: float, y: float, width: float) -> np.ndarray:
    """What a window sees whose left top corner is at (x, y); all in shares of the frame, mirrored past its edges."""
    high, wide = frame.shape[:2]
    matrix = np.array([[width, 0, x * wide], [0, width, y * high]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(frame, matrix, (wide, high), flags=flags, borderMode=cv2.BORDER_REFLECT)


def _still(frames: Frames, rng: np.random.Generator, rate: int, closer: bool) -> Frames:
    if not closer:
        return frames
    width = rng.uniform(0.45, 0.75)
    x, y = rng.uniform(0, 1 - width, 2)
    return [_viewed(frame, x, y, width) for frame in frames]


def _path(frames: Frames, xs: np.ndarray, ys: np.ndarray, widths: np.ndarray) -> Frames:
    return [_viewed(f, *view) for f, view in zip(frames, np.stack([xs, ys, widths], 1).tolist(), strict=True)]


def _moving(lowest: float, highest: float) -> Callable[..., Frames]:
    """A camera that turns by so many picture widths a second."""

    def move(frames: Frames, rng: np.random.Generator, rate: int, closer: bool) -> Frames:
        n, width = len(frames), rng.uniform(0.5, 0.8)
        angle, speed = rng.uniform(0, 2 * np.pi), rng.uniform(lowest, highest) * width
        away = speed * np.arange(n) / rate
        x, y = rng.uniform(0, 1 - width, 2)
        return _path(frames, x + away * np.cos(angle), y + 0.5 * away * np.sin(angle), np.full(n, width))

    return move


def _whip(frames: Frames, rng: np.random.Generator, rate: int, closer: bool) -> Frames:
    """Rests, turns by one to three picture widths in a fifth to half a second, rests; blurred while it turns."""
    n, width = len(frames), 0.6
    turn, length = rng.uniform(1, 3) * width * rng.choice([-1, 1]), rng.uniform(0.2, 0.5) * rate
    at = rng.uniform(0.3, 0.7) * n
    share = np.clip((np.arange(n) - at) / length, 0, 1)
    xs = 0.2 + turn * (share**2 * (3 - 2 * share))
    out = []
    for frame, x, step in zip(frames, xs.tolist(), np.gradient(xs).tolist(), strict=True):
        view = _viewed(frame, x, 0.2, width)
        blur = int(abs(step) / width * 192 / 2)
        out.append(cv2.blur(view, (blur, 1)) if blur > 1 else view)
    return out


def _zoom(frames: Frames, rng: np.random.Generator, rate: int, closer: bool) -> Frames:
    n = len(frames)
    per_second = rng.uniform(0.2, 1.2) * rng.choice([-1, 1])
    widths = np.clip(np.exp(per_second * (np.arange(n) - n / 2) / rate) * 0.55, 0.15, 1.0)
    x, y = rng.uniform(0.3, 0.7, 2)
    return _path(frames, x - widths / 2, y - widths / 2, widths)


def _shake(frames: Frames, rng: np.random.Generator, rate: int, closer: bool) -> Frames:
    n, width = len(frames), rng.uniform(0.5, 0.8)
    sway = cv2.GaussianBlur(rng.normal(0, 1, (n, 2)).astype(np.float32), (1, 0), sigmaX=0.01, sigmaY=rate / 14)
    sway = sway / max(float(sway.std()), 1e-6) * rng.uniform(0.01, 0.05)
    return _path(frames, 0.2 + sway[:, 0], 0.2 + sway[:, 1], np.full(n, width))


CAMERAS: dict[str, Callable[..., Frames]] = {
    "still": _still,
    "drift": _moving(0.02, 0.15),
    "pan": _moving(0.3, 1.5),
    "whip": _whip,
    "zoom": _zoom,
    "shake": _shake,
}


def _light(frame: np.ndarray, share: float, level: float) -> np.ndarray:
    out = frame * (1 - share) + 128 * share
    out[..., 0] = frame[..., 0] * (1 - share) + level * share
    return out


def _flash(frames: Frames, at: int, rng: np.random.Generator, other: np.ndarray) -> Frames:
    level = float(rng.choice([235, 235, 235, 16]))
    for k in range(int(rng.integers(1, 5))):
        frames[at + k] = _light(frames[at + k], rng.uniform(0.4, 1.0), level)
    return frames


def _series(frames: Frames, at: int, rng: np.random.Generator, other: np.ndarray) -> Frames:
    for k in range(at, min(at + 40, len(frames) - 4)):
        if rng.random() < 0.2:
            frames[k] = _light(frames[k], rng.uniform(0.3, 0.9), 235)
    return frames


def _strobe(frames: Frames, at: int, rng: np.random.Generator, other: np.ndarray) -> Frames:
    period, share = int(rng.integers(2, 7)), rng.uniform(0.3, 0.9)
    for k in range(at, min(at + 30, len(frames) - 4)):
        if (k - at) % (2 * period) < period:
            frames[k] = _light(frames[k], share, 235)
    return frames


def _freeze(frames: Frames, at: int, rng: np.random.Generator, other: np.ndarray) -> Frames:
    length = min(int(rng.integers(2, 31)), len(frames) - at - 8)
    for k in range(1, length):
        frames[at + k] = frames[at]
    if rng.random() < 0.5:  # the time lost is made up or not
        return frames
    return [*frames[:at], *[frames[at]] * length, *frames[at : len(frames) - length]]


def _explosion(frames: Frames, at: int, rng: np.random.Generator, other: np.ndarray) -> Frames:
    """A ball of light that grows in a few frames and dies down over many."""
    high, wide = frames[0].shape[:2]
    x, y = rng.uniform(0.2, 0.8, 2) * (wide, high)
    away = np.hypot(np.arange(wide)[None] - x, np.arange(high)[:, None] - y) / wide
    rise, fall, power = rng.integers(2, 7), rng.uniform(4, 18), rng.uniform(0.6, 1.4)
    for k in range(at, len(frames)):
        strength = power * min(1, (k - at + 1) / rise) * np.exp(-max(0, k - at - rise) / fall)
        reach = 0.15 + 0.5 * min(1, (k - at + 1) / rise)
        glow = np.clip(strength * np.exp(-((away / reach) ** 2)), 0, 1)[..., None].astype(np.float32)
        fire = np.array([225, 80, 160], np.float32)
        frames[k] = frames[k] * (1 - glow) + fire * glow
    return frames


def _lights(frames: Frames, at: int, rng: np.random.Generator, other: np.ndarray) -> Frames:
    """The light changes by up to a half, at once or over some frames, and stays so."""
    gain, length = rng.choice([0.5, 0.65, 1.4]), int(rng.integers(1, 15))
    for k in range(at, len(frames)):
        now = 1 + (gain - 1) * min(1, (k - at + 1) / length)
        frames[k] = frames[k].copy()
        frames[k][..., 0] = np.minimum(16 + (frames[k][..., 0] - 16) * now, 235)
    return frames


def _passing(frames: Frames, at: int, rng: np.random.Generator, other: np.ndarray) -> Frames:
    """Something near passes from one side to the other, a third to all of the height."""
    high, wide = frames[0].shape[:2]
    length, tall, long = int(rng.integers(6, 24)), rng.uniform(0.35, 1.0), rng.uniform(0.4, 1.2)
    right = rng.random() < 0.5
    body = cv2.resize(other[0], (max(8, int(long * wide)), high)).astype(np.float32) * (0.6, 1, 1)
    body = cv2.blur(body, (max(1, wide // length // 2), 1))
    for k in range(min(length, len(frames) - at)):
        left = int((k + 1) / (length + 1) * (wide + body.shape[1])) - body.shape[1]
        left = left if right else wide - body.shape[1] - left
        a, b = max(0, left), min(wide, left + body.shape[1])
        if b > a:
            top = int(high * (1 - tall))
            frames[at + k] = frames[at + k].copy()
            frames[at + k][top:, a:b] = body[top:, a - left : b - left]
    return frames


def _title(frames: Frames, at: int, rng: np.random.Generator, other: np.ndarray) -> Frames:
    """Lettering appears over the shot, at once or softly, and may go again."""
    high, wide = frames[0].shape[:2]
    sheet = np.zeros((high, wide), np.uint8)
    for line in range(int(rng.integers(1, 4))):
        text = "".join(rng.choice(list("KEYARTSHOE "), int(rng.integers(5, 14))))
        place = (int(rng.uniform(0.02, 0.3) * wide), int((0.35 + 0.22 * line) * high))
        cv2.putText(sheet, text, place, cv2.FONT_HERSHEY_DUPLEX, rng.uniform(0.5, 1.0), 255, 2, cv2.LINE_AA)
    soft, stay = int(rng.integers(1, 14)), int(rng.integers(10, 60))
    for k in range(at, len(frames)):
        share = min(1, (k - at + 1) / soft, max(0, at + stay - k) / soft)
        ink = sheet[..., None].astype(np.float32) / 255 * share
        frames[k] = frames[k] * (1 - ink) + np.array([230, 128, 128], np.float32) * ink
    return frames


EVENTS: dict[str, Callable[..., Frames]] = {
    "flash": _flash,
    "series": _series,
    "strobe": _strobe,
    "freeze": _freeze,
    "explosion": _explosion,
    "lights": _lights,
    "passing": _passing,
    "title": _title,
}
