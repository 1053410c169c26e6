"""The photographs that the demo's films are made of: pictures that scikit-image, scikit-learn and matplotlib carry.

Nothing is downloaded. Each picture can also come with a matte (its opacity), so that a figure, a skyline or a planet
may stand before another picture. The people shown are public-domain portraits of NASA and the United States Navy;
films, names and stories are invented.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from keyart.errors import SetupError

__all__ = ["NAMES", "matte", "photograph"]

HORIZON = 0.45  # of a plain's picture, from the top


@dataclass(frozen=True)
class Source:
    """Where a photograph lies: package and path inside it; what is made of it, and how its matte is drawn."""

    package: str
    path: str
    cut: Callable[[np.ndarray], np.ndarray] | None = None
    made: Callable[[np.ndarray], np.ndarray] | None = None


@dataclass(frozen=True)
class Outline:
    """A hand-drawn hint for GrabCut: polygons as "x,y x,y ..." in hundredths of the picture's width and height."""

    maybe: str
    surely: str
    never: tuple[str, ...] = ()


ASTRONAUT = Outline(
    maybe="2,100 2,55 8,38 25,30 30,22 28,6 36,0 50,0 58,8 58,20 55,30 64,38 70,50 70,68 98,70 100,100",
    surely="10,100 12,50 30,40 35,30 36,8 48,6 50,30 55,42 66,55 66,72 85,74 90,100",
    never=("70,50 100,50 100,76 95,72 88,67.5 70,66",),
)
ADMIRAL = Outline(
    maybe="0,100 0,68 10,60 35,53 30,30 26,20 30,6 50,2 72,6 76,20 72,35 70,50 95,60 100,68 100,100",
    surely="4,100 8,70 35,60 38,40 36,14 50,8 66,12 66,40 65,55 90,66 96,100",
    never=("0,45 33,45 36,52 10,60 3,68 0,76",),
)
PHOTOGRAPHER = Outline(
    maybe="0,100 0,35 20,10 40,5 56,18 68,20 70,44 55,55 30,100",
    surely="5,70 20,30 40,15 48,26 47,33 35,40 20,80",
    never=("68,20 100,20 100,100 68,100", "32,60 50,50 50,100 32,100"),
)


def photograph(name: str) -> np.ndarray:
    """The picture as RGB, (height, width, 3) uint8; do not write into it. SetupError where its package is missing."""
    return _read(name)


@lru_cache(maxsize=32)
def matte(name: str) -> np.ndarray:
    """The opacity of the picture's subject, (height, width) uint8; 255 everywhere where it has no matte of its own."""
    picture = _read(name)
    cut = SOURCES[name].cut
    opacity = cut(picture) if cut else np.ones(picture.shape[:2], np.float32)
    return np.round(np.clip(opacity, 0, 1) * 255).astype(np.uint8)


@lru_cache(maxsize=32)
def _read(name: str) -> np.ndarray:
    source = SOURCES[name]
    path = _folder(source.package) / source.path
    data = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    if data is None:
        raise SetupError(
            f"{source.package} has no picture {source.path}; install the demo's: pip install 'keyart[demo]'"
        )
    picture = cv2.cvtColor(data, cv2.COLOR_BGR2RGB)
    return source.made(picture) if source.made else picture


def _folder(package: str) -> Path:
    # find_spec looks a top-level package up without importing it: importing scikit-learn alone takes a second.
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SetupError(f"the demo's films need {package}: pip install 'keyart[demo]'")
    return Path(spec.submodule_search_locations[0])


def _around(outline: Outline) -> Callable[[np.ndarray], np.ndarray]:
    """A matte by GrabCut (Rother, Kolmogorov, Blake 2004) at half size from the outline, with a soft edge."""

    def cut(picture: np.ndarray) -> np.ndarray:
        small = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        size = np.array(small.shape[1::-1])
        guess = np.full(small.shape[:2], cv2.GC_BGD, np.uint8)
        marks = [(outline.maybe, cv2.GC_PR_FGD), (outline.surely, cv2.GC_FGD)]
        for polygon, mark in [*marks, *((never, cv2.GC_BGD) for never in outline.never)]:
            cv2.fillPoly(guess, [np.round(_corners(polygon) * size).astype(np.int32)], mark)
        cv2.setRNGSeed(1)  # the colour clusters start at random
        whole_picture = (0, 0, 0, 0)  # ignored where a mask is given
        cv2.grabCut(small, guess, whole_picture, np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_MASK)
        figure = np.isin(guess, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
        whole = cv2.resize(figure, picture.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        return _ramp(cv2.GaussianBlur(whole, (0, 0), 1.5), 0.45, 0.85)

    return cut


def _dark_figure(picture: np.ndarray) -> np.ndarray:
    """The photographer, and his tripod, which is too thin for an outline but nearly black."""
    tripod = _silhouette(picture)
    tripod[: tripod.shape[0] // 2, int(tripod.shape[1] * 0.66) :] = 0  # dark windows on the horizon
    return np.maximum(_around(PHOTOGRAPHER)(picture), tripod)


def _corners(polygon: str) -> np.ndarray:
    return np.array([corner.split(",") for corner in polygon.split()], float) / 100


def _skyline(picture: np.ndarray) -> np.ndarray:
    """What stands before a pale sky: the sky is what is bright and joined to the top edge."""
    light = cv2.GaussianBlur(picture[..., 2].astype(np.float32), (0, 0), 0.8)
    _, parts = cv2.connectedComponents((light > 172).astype(np.uint8))
    joined = np.unique(parts[0])
    sky = np.isin(parts, joined[joined > 0]).astype(np.float32)
    return 1 - cv2.GaussianBlur(sky, (0, 0), 0.9)


def _silhouette(picture: np.ndarray) -> np.ndarray:
    """What is nearly black."""
    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (0, 0), 0.7)
    return 1 - _ramp(grey.astype(np.float32), 50, 95)


def _near(picture: np.ndarray) -> np.ndarray:
    """What is near in the stereo pair of the motorcycle, by the measured disparity."""
    path = _folder("skimage") / "data/motorcycle_disp.npz"
    if not path.is_file():
        raise SetupError("skimage has no motorcycle_disp.npz; mend it with: pip install 'keyart[demo]'")
    with np.load(path) as archive:
        disparity = archive["arr_0"].astype(np.float32)
    known = np.isfinite(disparity)
    nearness = np.where(known & (disparity > 31), 1, 0).astype(np.uint8)
    joined = cv2.morphologyEx(nearness, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13)))
    soft = cv2.GaussianBlur(joined.astype(np.float32), (0, 0), 3)
    return cv2.resize(soft, picture.shape[1::-1])


def _disc(picture: np.ndarray) -> np.ndarray:
    """The circle that a globe fills."""
    distance, radius = _from_centre(picture.shape)
    return _ramp(-distance, -radius, -radius + 3)


def _as_globe(picture: np.ndarray) -> np.ndarray:
    """The picture as a globe lit from the upper left (Lambert), with the dark of space around it."""
    side = min(picture.shape[:2])
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    square = cv2.resize(picture[top : top + side, left : left + side], (900, 900), interpolation=cv2.INTER_CUBIC)
    if np.ptp(square, axis=2).max() == 0:  # the moon's picture is grey and flat: bring its craters out
        square = cv2.cvtColor(cv2.createCLAHE(3.0, (4, 4)).apply(square[..., 0].copy()), cv2.COLOR_GRAY2RGB)
    distance, radius = _from_centre(square.shape)
    y, x = (np.mgrid[:900, :900].astype(np.float32) - 449.5) / radius
    depth = np.sqrt(np.clip(1 - x * x - y * y, 0, 1))
    bulge = np.where(distance < radius, np.arcsin(np.clip(distance / radius, 0, 1)) / (distance / radius + 1e-6), 1)
    steps = (np.stack((x, y)) * bulge * 0.6 * radius + 449.5).astype(np.float32)
    surface = cv2.remap(square, steps[0], steps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    light = np.clip(-0.62 * x - 0.42 * y + 0.66 * depth, 0.015, 1)
    disc = _ramp(-distance, -radius, -radius + 3)
    return np.clip(surface * (light * disc)[..., None] * 1.25, 0, 255).astype(np.uint8)


def _as_plain(picture: np.ndarray, tint: tuple[float, float, float]) -> np.ndarray:
    """The grey picture tinted and laid on level ground, seen from eye height, hazy towards the horizon."""
    y, x = np.mgrid[:1080, :1920].astype(np.float32)
    below = np.clip((y - HORIZON * 1080) / 1080, 1e-3, None)
    side = picture.shape[0]
    across = ((x / 1920 - 0.5) / below * 0.22 + 0.5) * side
    along = 0.1 / below * side
    # Mirrored tiling by hand: remap's own border does not reach this far.
    across, along = (side - 1 - np.abs(np.mod(values, 2 * side) - side + 0.5) for values in (across, along))
    ground = cv2.remap(picture, across.clip(0), along.clip(0), cv2.INTER_LINEAR)
    ground = cv2.resize(ground, (960, 540), interpolation=cv2.INTER_AREA).astype(np.float32)
    haze = np.exp(-below[::2, ::2] / 0.06)[..., None]
    ground = (ground + (ground.mean() * 1.1 - ground) * haze) * np.array(tint, np.float32)
    return np.round(ground.clip(0, 255)).astype(np.uint8)


def _below_horizon(picture: np.ndarray) -> np.ndarray:
    rows = np.arange(picture.shape[0], dtype=np.float32)[:, None] / picture.shape[0]
    return np.repeat(_ramp(rows, HORIZON, HORIZON + 0.012), picture.shape[1], axis=1)


def _specks(picture: np.ndarray) -> np.ndarray:
    """The small lights of a picture alone, white (white top-hat): snow or dust when it moves."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    small = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9)))
    return cv2.cvtColor(cv2.convertScaleAbs(small, alpha=1.6, beta=-25), cv2.COLOR_GRAY2RGB)


def _from_centre(shape: tuple[int, ...]) -> tuple[np.ndarray, float]:
    height, width = shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.hypot(x - (width - 1) / 2, y - (height - 1) / 2), min(height, width) * 0.46


def _ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((values - low) / (high - low), 0, 1)


SOURCES: dict[str, Source] = {
    "astronaut": Source("skimage", "data/astronaut.png", _around(ASTRONAUT)),
    "admiral": Source("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", _around(ADMIRAL)),
    "photographer": Source("skimage", "data/camera.png", _dark_figure),
    "horse": Source("skimage", "data/horse.png", _silhouette),
    "cat": Source("skimage", "data/chelsea.png"),
    "pagoda": Source("sklearn", "datasets/images/china.jpg", _skyline),
    "dahlia": Source("sklearn", "datasets/images/flower.jpg"),
    "motorcycle": Source("skimage", "data/motorcycle_left.png", _near),
    "rocket": Source("skimage", "data/rocket.jpg"),
    "coffee": Source("skimage", "data/coffee.png"),
    "coins": Source("skimage", "data/coins.png"),
    "stars": Source("skimage", "data/hubble_deep_field.jpg"),
    "moon": Source("skimage", "data/moon.png"),
    "brick": Source("skimage", "data/brick.png"),
    "gravel": Source("skimage", "data/gravel.png"),
    "grass": Source("skimage", "data/grass.png"),
    "handwriting": Source("skimage", "data/text.png"),
    "tissue": Source("skimage", "data/ihc.png"),
    "retina": Source("skimage", "data/retina.jpg"),
    "red planet": Source("skimage", "data/retina.jpg", _disc, _as_globe),
    "grey planet": Source("skimage", "data/moon.png", _disc, _as_globe),
    "stone planet": Source("skimage", "data/gravel.png", _disc, _as_globe),
    "gravel plain": Source("skimage", "data/gravel.png", _below_horizon, partial(_as_plain, tint=(1.1, 0.95, 0.8))),
    "meadow": Source("skimage", "data/grass.png", _below_horizon, partial(_as_plain, tint=(0.95, 1.05, 0.5))),
    "specks": Source("skimage", "data/hubble_deep_field.jpg", None, _specks),
}
NAMES = tuple(SOURCES)
