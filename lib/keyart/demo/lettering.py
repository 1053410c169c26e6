"""Lettering of the films' cards: a title, and who made it, set in DejaVu (matplotlib carries the faces)."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keyart.errors import SetupError

__all__ = ["Card", "lettering"]


@dataclass(frozen=True)
class Card:
    """Lines to be set; the first is the headline."""

    headline: str
    lines: tuple[str, ...] = ()
    face: str = "DejaVuSerif"
    spacing: float = 0.0
    """Extra space between letters, in widths of the font's size."""
    colour: tuple[int, int, int] = (245, 240, 230)
    rule: bool = False
    """A thin line under the headline."""


def lettering(card: Card, size: tuple[int, int]) -> np.ndarray:
    """The card's letters as (height, width, 4) RGBA uint8 of ``size`` (width, height), transparent around them."""
    width, height = size
    board = Image.new("RGBA", size, (*card.colour, 0))
    pen = ImageDraw.Draw(board)
    points = height * 0.135
    while points > 6 and _length(card.headline, _font(card.face, points), card.spacing) > width * 0.84:
        points *= 0.95
    small = max(height * 0.048, 7.0)
    total = points * 1.5 + len(card.lines) * small * 1.75
    y = (height - total) / 2
    _line(pen, card.headline, _font(card.face, points), card.spacing, y, width, card.colour)
    y += points * 1.5
    if card.rule:
        pen.line(
            [(width * 0.42, y - points * 0.1), (width * 0.58, y - points * 0.1)], fill=(*card.colour, 200), width=1
        )
    for text in card.lines:
        y += small * 0.35
        _line(pen, text, _font("DejaVuSans", small), 0.06, y, width, card.colour)
        y += small * 1.4
    return np.asarray(board)


def _font(face: str, points: float) -> ImageFont.FreeTypeFont:
    spec = find_spec("matplotlib")
    folder = Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None
    if folder is None:
        raise SetupError("the demo's films need matplotlib: pip install 'keyart[demo]'")
    return ImageFont.truetype(folder / "mpl-data" / "fonts" / "ttf" / f"{face}.ttf", round(points))


def _length(text: str, font: ImageFont.FreeTypeFont, spacing: float) -> float:
    return sum(font.getlength(letter) for letter in text) + spacing * font.size * max(len(text) - 1, 0)


def _line(
    pen: ImageDraw.ImageDraw,
    text: str,
    font: ImageFont.FreeTypeFont,
    spacing: float,
    y: float,
    width: int,
    colour: tuple[int, int, int],
) -> None:
    x = (width - _length(text, font, spacing)) / 2
    for letter in text:
        pen.text((x, y), letter, font=font, fill=(*colour, 255))
        x += font.getlength(letter) + spacing * font.size
