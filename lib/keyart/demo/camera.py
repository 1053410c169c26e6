"""The camera of the film studio: layers of photographs, a move over them, and the pictures that come out.

A shot is prepared once (crop, grade, scale, blur) and then every frame is one sub-pixel warp a layer.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import exp, pi, sin

import cv2
import numpy as np

from keyart.demo.grading import GRADES, grade
from keyart.demo.lettering import Card, lettering
from keyart.demo.photographs import matte, photograph

__all__ = ["Layer", "Move", "Shot", "Window", "shoot"]

STILL_MARGIN = 0.02
CARD_FADE = 10  # frames in which a card's lettering appears


@dataclass(frozen=True)
class Window:
    """What the camera sees of a picture: centre and width in shares of the picture; the height follows the screen's."""

    x: float
    y: float
    width: float


@dataclass(frozen=True)
class Move:
    """What changes from the first to the last frame of a shot."""

    zoom: float = 0.0
    """Log of the last width over the first: negative pushes in."""
    right: float = 0.0
    """Travel in window widths."""
    down: float = 0.0
    """Travel in window heights."""
    unrest: float = 0.0
    """Sway of a camera held by hand, in window widths."""


@dataclass(frozen=True)
class Layer:
    """A photograph in a shot, hindmost first."""

    picture: str
    window: Window
    depth: float = 1.0
    """Share of the camera's move that it shows: far things move less."""
    blur: float = 0.0
    """Radius of the lens's disc of confusion in thousandths of the screen's width."""
    cut: bool = False
    """Only the subject, by its matte."""
    fills: bool = False
    """Of a cut layer: its subject reaches the screen's sides, so the window must stay inside the picture."""
    glow: float = 0.0
    """Above 0: added as light, this strong, instead of covering (snow, dust, lamps)."""
    own: Move = Move()
    """Its own travel, such as falling snow."""
    mirrored: bool = False
    """Left and right exchanged; the window is given in the mirrored picture."""


@dataclass(frozen=True)
class Shot:
    """Layers under one grade and one camera move; ``card`` is lettering over them."""

    layers: tuple[Layer, ...]
    move: Move
    grade: str
    frames: int
    card: Card | None = None


def shoot(shot: Shot, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """The shot's frames in order, each (height, width, 3) RGB uint8 of ``size`` (width, height)."""
    plates = [_Plate(layer, shot, size) for layer in shot.layers]
    shade = _vignette(size) if shot.card is None else _vignette(size) // 2  # letters want a dark ground
    text = lettering(shot.card, size) if shot.card else None
    for index in range(shot.frames):
        time = _ease(index / max(shot.frames - 1, 1))
        frame = plates[0].expose(None, time)
        for plate in plates[1:]:
            frame = plate.expose(frame, time)
        frame = cv2.multiply(frame, shade, scale=1 / 255)
        yield frame if text is None else _print(frame, text, min((index + 1) / CARD_FADE, 1.0))


def _ease(time: float) -> float:
    """Mostly even, a little slower at both ends."""
    return 0.6 * time + 0.4 * time * time * (3 - 2 * time)


def _print(frame: np.ndarray, text: np.ndarray, strength: float) -> np.ndarray:
    *_, alpha = cv2.split(cv2.convertScaleAbs(text, alpha=strength))
    cover = cv2.merge([alpha] * 3)
    letters = cv2.multiply(np.ascontiguousarray(text[..., :3]), cover, scale=1 / 255)
    return cv2.add(letters, cv2.multiply(frame, cv2.bitwise_not(cover), scale=1 / 255))


class _Plate:
    """A layer made ready: its graded crop at the scale of the screen, premultiplied where it has a matte."""

    def __init__(self, layer: Layer, shot: Shot, size: tuple[int, int]) -> None:
        self.layer, self.size = layer, size
        self.move = _combined(shot.move, layer)
        picture = photograph(layer.picture)
        self.height, self.width = picture.shape[:2]
        self.aspect = size[1] / size[0] * self.width / self.height
        self.base = self._fitted()
        windows = [self._window(step / 8) for step in range(9)]
        self.scale = min(size[0] / (min(w.width for w in windows) * self.width), 5.0)
        left, top, right, bottom = self._union(windows)
        self.origin = (left, top)
        crop = _flipped(picture, layer)[top:bottom, left:right]
        self.image = self._develop(crop, shot.grade)
        if layer.cut:
            alpha = _flipped(matte(layer.picture), layer)[top:bottom, left:right]
            alpha = self._resize(np.ascontiguousarray(alpha))
            solid = cv2.multiply(self.image, cv2.merge([alpha] * 3), scale=1 / 255)
            self.image = cv2.merge([*cv2.split(solid), alpha])

    def expose(self, below: np.ndarray | None, time: float) -> np.ndarray:
        """The layer at a moment (0 to 1), over what lies below it."""
        window = self._window(time)
        zoom = self.size[0] / (window.width * self.width) / self.scale
        # Pixel centres: a picture point p lies at (p - origin + 0.5) * scale - 0.5 of the crop.
        centre_x = (window.x * self.width - self.origin[0]) * self.scale - 0.5
        centre_y = (window.y * self.height - self.origin[1]) * self.scale - 0.5
        shift = np.array(
            [
                [zoom, 0, (self.size[0] - 1) / 2 - zoom * centre_x],
                [0, zoom, (self.size[1] - 1) / 2 - zoom * centre_y],
            ]
        )
        border = cv2.BORDER_CONSTANT if self.layer.cut else cv2.BORDER_REFLECT
        seen = cv2.warpAffine(self.image, shift, self.size, flags=cv2.INTER_LINEAR, borderMode=border)
        if below is None:
            return seen[..., :3] if self.layer.cut else seen
        if self.layer.glow > 0:
            return cv2.add(below, seen[..., :3] if self.layer.cut else seen)
        if not self.layer.cut:
            return seen
        *solid, alpha = cv2.split(seen)
        through = cv2.merge([cv2.bitwise_not(alpha)] * 3)
        return cv2.add(cv2.merge(solid), cv2.multiply(below, through, scale=1 / 255))

    def _fitted(self) -> Window:
        """The layer's window; where it covers the screen, small and central enough to stay inside its picture."""
        base, move = self.layer.window, self.move
        if (self.layer.cut and not self.layer.fills) or self.layer.glow > 0:
            return base
        reach_x, reach_y = (1 + abs(way) + 2 * move.unrest for way in (move.right, move.down))
        widest = base.width * exp(abs(move.zoom) / 2)
        shrink = min(1 / (widest * reach_x), 1 / (widest * self.aspect * reach_y), 1.0)
        half_x, half_y = widest * shrink * reach_x / 2, widest * shrink * self.aspect * reach_y / 2
        x = min(max(base.x, half_x), 1 - half_x)
        y = min(max(base.y, half_y), 1 - half_y)
        return Window(x, y, base.width * shrink)

    def _window(self, time: float) -> Window:
        """Where the camera looks at a moment."""
        base, move = self.base, self.move
        width = base.width * exp(move.zoom * (time - 0.5))
        sway, nod = _sway(time, self.layer.picture)
        x = base.x + width * (move.right * (time - 0.5) + move.unrest * sway)
        y = base.y + width * self.aspect * (move.down * (time - 0.5) + move.unrest * nod)
        return Window(x, y, width)

    def _union(self, windows: list[Window]) -> tuple[int, int, int, int]:
        """Left, top, right and bottom pixel of what is seen at any moment, with a margin for sway and blur."""
        aspect = self.aspect
        margin = STILL_MARGIN + self.layer.blur / 1000 + self.move.unrest
        left = min(w.x - w.width * (0.5 + margin) for w in windows) * self.width
        right = max(w.x + w.width * (0.5 + margin) for w in windows) * self.width
        top = min(w.y - w.width * aspect * (0.5 + 2 * margin) for w in windows) * self.height
        bottom = max(w.y + w.width * aspect * (0.5 + 2 * margin) for w in windows) * self.height
        return (
            max(int(left), 0),
            max(int(top), 0),
            min(int(right) + 1, self.width),
            min(int(bottom) + 1, self.height),
        )

    def _develop(self, crop: np.ndarray, look: str) -> np.ndarray:
        """Graded at whichever of the two sizes is smaller, then scaled, sharpened or blurred."""
        shrink = self.scale < 1
        image = self._resize(crop) if shrink else np.ascontiguousarray(crop)
        settings = GRADES[look]
        if self.layer.glow > 0:  # light has no lifted shadows
            settings = replace(settings, shadows=(0.0, 0.0, 0.0), exposure=max(settings.exposure, 0.0), contrast=1.3)
        image = grade(image, settings)
        image = image if shrink else self._resize(image)
        if self.layer.blur > 0:
            image = _defocus(image, self.layer.blur / 1000 * self.size[0])
        elif self.scale > 1.3:
            soft = cv2.GaussianBlur(image, (0, 0), 0.7 * self.scale)
            image = cv2.addWeighted(image, 1.55, soft, -0.55, 0)
        return cv2.convertScaleAbs(image, alpha=self.layer.glow) if self.layer.glow > 0 else image

    def _resize(self, image: np.ndarray) -> np.ndarray:
        method = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_CUBIC
        size = tuple(max(round(side * self.scale), 1) for side in image.shape[1::-1])
        return cv2.resize(image, size, interpolation=method)


def _combined(move: Move, layer: Layer) -> Move:
    far, own = layer.depth, layer.own
    return Move(
        move.zoom * far + own.zoom,
        move.right * far + own.right,
        move.down * far + own.down,
        move.unrest * far + own.unrest,
    )


def _flipped(image: np.ndarray, layer: Layer) -> np.ndarray:
    return image[:, ::-1] if layer.mirrored else image


def _sway(time: float, key: str) -> tuple[float, float]:
    """Two slow wandering numbers within [-1, 1]."""
    phase = len(key)
    return (
        0.6 * sin(2 * pi * (0.9 * time + phase)) + 0.4 * sin(2 * pi * 2.3 * time + phase),
        0.6 * sin(2 * pi * (1.3 * time) + 1.7 * phase) + 0.4 * sin(2 * pi * 2.9 * time),
    )


def _defocus(image: np.ndarray, radius: float) -> np.ndarray:
    """A lens out of focus: lights become discs, because the mean over the disc is taken of the light's third power."""
    shrink = max(int(radius // 4), 1)
    small = cv2.resize(image, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
    reach = max(round(radius / shrink), 1)
    disc = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) <= reach + 0.3
    light = (small.astype(np.float32) / 255) ** 3
    mean = cv2.filter2D(light, -1, (disc / disc.sum()).astype(np.float32), borderType=cv2.BORDER_REFLECT)
    soft = np.round(255 * np.cbrt(np.clip(mean, 0, 1))).astype(np.uint8)
    return cv2.resize(soft, image.shape[1::-1], interpolation=cv2.INTER_CUBIC)


@lru_cache(maxsize=4)
def _vignette(size: tuple[int, int]) -> np.ndarray:
    """Darker corners, as (height, width, 3) uint8 factors of 255."""
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float32)
    distance = np.hypot((x / size[0] - 0.5) * 2, (y / size[1] - 0.5) * 2) / 2**0.5
    return np.repeat(np.round(255 * (1 - 0.32 * distance**2.6))[..., None], 3, axis=2).astype(np.uint8)
