"""Set a title on a picture: in its calmest area, off the faces, in a font that has its letters, legible.

Fonts come from packages (the extra ``titles``): Noto Sans for Latin, Greek and Cyrillic, for Hebrew, Arabic, Devanagari
and Thai, for Japanese, Korean and both ways of writing Chinese. Pillow's raqm shapes scripts and orders those that run
from the right.
"""

import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keyart.errors import SetupError
from keyart.vision.faces import Face

__all__ = ["LEAST_CONTRAST", "Titled", "contrast_ratio", "font_for", "missing_letters", "script_of", "set_title"]

LEAST_CONTRAST = 4.5
"""WCAG 2.1 ratio between the letters and what lies under them, held against the worst twentieth of the ground."""
FONTS: dict[str, tuple[str, str]] = {
    "latin": ("fontpkg_noto_sans", "files/NotoSans[wdth,wght].ttf"),
    "hebrew": ("pylopdf_fonts_he", "NotoSansHebrew-Variable.ttf"),
    "arabic": ("pylopdf_fonts_ar", "NotoSansArabic-Variable.ttf"),
    "devanagari": ("pylopdf_fonts_hi", "NotoSansDevanagari-Variable.ttf"),
    "thai": ("pylopdf_fonts_th", "NotoSansThai-Variable.ttf"),
    "japanese": ("pylopdf_fonts_jp", "NotoSansJP-Regular.otf"),
    "korean": ("pylopdf_fonts_ko", "NotoSansKR-Regular.otf"),
    "simplified": ("pylopdf_fonts_zh_cn", "NotoSansSC-Regular.otf"),
    "traditional": ("pylopdf_fonts_zh_tw", "NotoSansTC-Regular.otf"),
}
"""Script: package and file within it."""
SCRIPTS = {
    "HEBREW": "hebrew", "ARABIC": "arabic", "DEVANAGARI": "devanagari", "THAI": "thai", "HIRAGANA": "japanese",
    "KATAKANA": "japanese", "HANGUL": "korean",
}  # fmt: skip
"""By how the Unicode names of their letters begin."""
HAN = "CJK"
"""How those of Chinese characters begin, which several languages write, each in forms of its own."""
HAN_OF = {
    "ja": "japanese", "ko": "korean", "zh": "simplified", "cmn": "simplified", "hans": "simplified",
    "yue": "traditional", "tw": "traditional", "hk": "traditional", "mo": "traditional", "hant": "traditional",
}  # fmt: skip
"""How they are written, by parts of a language's tag; the last that says so decides: yue-Hans, zh-TW."""
THICKER = 1 / 48
"""Of its size, by how much the strokes of a font grow that comes in a regular weight alone."""
WIDE, HIGH = 0.6, 0.2
"""Largest share of the width and height that a title takes."""
SPACE = 0.04
"""Share of the picture kept free at its rim."""


@dataclass(frozen=True)
class Titled:
    """The picture with its title, the box of the letters in pixels (x, y, width, height), their contrast ratio and
    the grey of their ink (0 or 255)."""

    bgr: np.ndarray
    box: tuple[int, int, int, int]
    contrast: float
    ink: int


def script_of(text: str, language: str = "") -> str:
    """The script that needs a font of its own, or latin (which stands for Greek and Cyrillic too).

    Chinese characters alone are written as the ``language`` does ("ja", "zh-TW"); where it says nothing, as the first
    of Japanese, simplified and traditional Chinese that has them all.

    >>> [script_of(text) for text in ("Sintel", "שלום", "فيلم", "नमस्ते", "映画のかな", "한국")]
    ['latin', 'hebrew', 'arabic', 'devanagari', 'japanese', 'korean']
    >>> script_of("電影", "zh-Hant-HK"), script_of("电影", "zh")
    ('traditional', 'simplified')
    """
    begins = [unicodedata.name(letter, "").split(" ")[0] for letter in text]
    for begin in begins:
        if begin in SCRIPTS:
            return SCRIPTS[begin]
    if not any(begin.startswith(HAN) for begin in begins):
        return "latin"
    said = [HAN_OF[part] for part in language.lower().replace("_", "-").split("-") if part in HAN_OF]
    if said:
        return said[-1]
    ways = ("japanese", "simplified", "traditional")
    return next((way for way in ways if not _lacking(way, text)), ways[0])


@cache
def font_for(script: str, size: int) -> ImageFont.FreeTypeFont:
    """A font of a script at a size in pixels; SetupError where its package is not installed."""
    package, file = FONTS[script]
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SetupError(f"no font for {script} titles: pip install 'keyart[titles]'")
    font = ImageFont.truetype(str(Path(spec.submodule_search_locations[0]) / file), size)
    if _is_variable(script):
        axes = font.get_variation_axes()
        bold = [700.0 if "eight" in str(axis["name"]) else float(axis["default"] or 0) for axis in axes]
        font.set_variation_by_axes(bold)
    return font


def missing_letters(title: str, language: str = "") -> str:
    """Letters of a title that its script's font does not have: it would show empty boxes.

    SetupError where the font's package is not installed.
    """
    return _lacking(script_of(title, language), title)


def _lacking(script: str, text: str) -> str:
    letters = sorted({letter for letter in text if unicodedata.category(letter)[0] in "LN"})
    return "".join(letter for letter in letters if not _has(script, letter))


@cache
def _has(script: str, letter: str) -> bool:
    font = font_for(script, 32)
    drawn, nothing = (font.getmask(one) for one in (letter, "\uffff"))  # the latter is no character: the font's box
    return drawn.size != nothing.size or bytes(drawn) != bytes(nothing)


def set_title(bgr: np.ndarray, title: str, faces: list[Face], language: str = "") -> Titled | None:
    """The picture with ``title``, in a ``language``, on it; None where it is empty or no place is free of faces.

    White or black letters, whichever the ground carries better; where neither reaches LEAST_CONTRAST the ground under
    them is darkened softly until white does.
    """
    height, width = bgr.shape[:2]
    if not title.strip():
        return None
    font, stroke, (left, top, right, bottom) = _fitting(title, script_of(title, language), width, height)
    size = (right - left, bottom - top)
    place = _calmest(bgr, size, faces)
    if place is None:
        return None
    x, y = place
    pad = max(2, size[1] // 5)
    around = (slice(max(0, y - pad), y + size[1] + pad), slice(max(0, x - pad), x + size[0] + pad))
    ground, ink, ratio = _legible(bgr, around)
    picture = Image.fromarray(np.ascontiguousarray(ground[..., ::-1]))
    ImageDraw.Draw(picture).text((x - left, y - top), title, font=font, fill=(ink, ink, ink), stroke_width=stroke)
    return Titled(np.ascontiguousarray(np.asarray(picture)[..., ::-1]), (x, y, *size), ratio, ink)


def contrast_ratio(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """WCAG 2.1 contrast, [1, 21], of relative luminances."""
    light, dark = np.maximum(one, other), np.minimum(one, other)
    return (light + 0.05) / (dark + 0.05)


def luminance(bgr: np.ndarray) -> np.ndarray:
    """Relative luminance of uint8 sRGB, as WCAG 2.1 defines it."""
    values = bgr.astype(np.float64) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.0722, 0.7152, 0.2126])


def _fitting(
    title: str, script: str, width: int, height: int
) -> tuple[ImageFont.FreeTypeFont, float, tuple[int, int, int, int]]:
    """Font, growth of its strokes and box of the title, as large as there is room for."""
    size = max(8, round(HIGH * height))
    while True:
        font, stroke = font_for(script, size), 0.0 if _is_variable(script) else THICKER * size
        box = font.getbbox(title, stroke_width=stroke)
        if size <= 8 or (box[2] - box[0] <= WIDE * width and box[3] - box[1] <= HIGH * height):
            return font, stroke, (int(box[0]), int(box[1]), int(np.ceil(box[2])), int(np.ceil(box[3])))
        size = max(8, int(size * 0.92))


def _is_variable(script: str) -> bool:
    file = FONTS[script][1]
    return "Variable" in file or "wght" in file


def _calmest(bgr: np.ndarray, size: tuple[int, int], faces: list[Face]) -> tuple[int, int] | None:
    """Left and top of the box with least edge energy that touches no face, a little dearer away from the rim."""
    height, width = bgr.shape[:2]
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY).astype(np.float32)
    edges = cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    total = cv2.integral(edges)
    best: tuple[float, int, int] | None = None
    for y in np.linspace(SPACE * height, (1 - SPACE) * height - size[1], 16).astype(int):
        for x in np.linspace(SPACE * width, (1 - SPACE) * width - size[0], 16).astype(int):
            if x < 0 or y < 0 or any(_touches(face, x, y, size, width, height) for face in faces):
                continue
            right, low = x + size[0], y + size[1]
            busy = total[low, right] - total[y, right] - total[low, x] + total[y, x]
            cost = float(busy) / (size[0] * size[1]) + 10 * (1 - abs((y + size[1] / 2) / height - 0.5) * 2)
            if best is None or cost < best[0]:
                best = (cost, int(x), int(y))
    return None if best is None else best[1:]


def _touches(face: Face, x: int, y: int, size: tuple[int, int], width: int, height: int) -> bool:
    left, right = face.x * width, (face.x + face.width) * width
    top, bottom = (face.y - 0.2 * face.height) * height, (face.y + face.height) * height
    return bool(x < right and x + size[0] > left and y < bottom and y + size[1] > top)


def _legible(bgr: np.ndarray, around: tuple[slice, slice]) -> tuple[np.ndarray, int, float]:
    """The ground, the ink (0 or 255) and the contrast it has with the worst twentieth of what lies under it."""
    under = luminance(bgr[around])
    white, black = (float(np.percentile(contrast_ratio(under, np.array(ink)), 5)) for ink in (1.0, 0.0))
    if max(white, black) >= LEAST_CONTRAST:
        return bgr, (255 if white >= black else 0), max(white, black)
    height, width = bgr.shape[:2]
    mask = np.zeros((height, width), np.float32)
    mask[around] = 1
    blur = max(1.0, 0.15 * (around[0].stop - around[0].start))
    soft = np.maximum(mask, cv2.GaussianBlur(cv2.dilate(mask, np.ones((5, 5), np.uint8)), (0, 0), blur))[..., None]
    for keep in np.linspace(0.9, 0.05, 18):
        dark = np.round(bgr * (1 - soft * (1 - keep))).astype(np.uint8)
        ratio = float(np.percentile(contrast_ratio(luminance(dark[around]), np.array(1.0)), 5))
        if ratio >= LEAST_CONTRAST:
            break
    return dark, 255, ratio
