"""Set-ups: what can stand before the camera of the film studio, with the framing that suits it.

Positions are shares of a picture's width and height. ``kind`` is what a screenplay asks for: a face, a figure in its
surroundings, a place, a thing, or the sky.
"""

from dataclasses import dataclass, replace

from keyart.demo.camera import Layer, Move, Window

__all__ = ["PLAIN", "SETUPS", "Setup", "mirrored"]

PERFORMERS = {"astronaut": "Nora Vale", "admiral": "Ruth Amberley", "photographer": "Tomas Reyl", "cat": "Biscuit"}


@dataclass(frozen=True)
class Setup:
    """Layers, hindmost first, and what they are good for."""

    kind: str
    layers: tuple[Layer, ...]
    mirrorable: bool = True
    """False where lettering or a flag would read backwards."""

    @property
    def subject(self) -> str:
        """The foremost picture that is not light alone."""
        return [layer.picture for layer in self.layers if layer.glow == 0][-1]

    @property
    def performers(self) -> tuple[str, ...]:
        """Who is seen, by stage name."""
        seen = [layer.picture for layer in self.layers if layer.picture in PERFORMERS]
        return tuple(PERFORMERS[who] for who in seen if self.kind in ("face", "figure") or who == "cat")


def mirrored(layer: Layer) -> Layer:
    """The layer seen in a mirror."""
    window = replace(layer.window, x=1 - layer.window.x)
    own = replace(layer.own, right=-layer.own.right)
    return replace(layer, mirrored=not layer.mirrored, window=window, own=own)


def at(picture: str, x: float, y: float, width: float, **options: object) -> Layer:
    return Layer(picture, Window(x, y, width), **options)  # type: ignore[arg-type]


def behind(picture: str, x: float, y: float, width: float, blur: float = 14) -> Layer:
    return at(picture, x, y, width, depth=0.35, blur=blur)


def figure(picture: str, x: float, y: float, width: float, **options: object) -> Layer:
    return at(picture, x, y, width, cut=True, **options)


def ground(picture: str, x: float, y: float, width: float, **options: object) -> Layer:
    return figure(picture, x, y, width, fills=True, **options)


SNOW = at("specks", 0.5, 0.5, 0.55, depth=0.3, glow=1.1, own=Move(right=0.2, down=-1.1))
DUST = at("specks", 0.4, 0.55, 0.3, depth=1.6, glow=0.8, blur=3, own=Move(right=0.2, down=0.15))
LAMPS = at("stars", 0.45, 0.5, 0.22, depth=0.5, glow=1.1, blur=22, own=Move(right=0.12, down=0.05))
STARS = at("stars", 0.5, 0.5, 0.6, depth=0.3)
MOON_HIGH = figure("grey planet", 1.6, 1.15, 4.2, depth=0.3, glow=0.9)

FACES = {
    "commander close": (at("astronaut", 0.45, 0.215, 0.5),),
    "commander smiles": (at("astronaut", 0.47, 0.25, 0.68),),
    "commander among stars": (STARS, figure("astronaut", 0.32, 0.26, 0.78)),
    "commander and lamps": (behind("rocket", 0.5, 0.8, 0.5, 20), figure("astronaut", 0.55, 0.24, 0.62)),
    "commander in the garden": (behind("dahlia", 0.3, 0.4, 0.6, 10), figure("astronaut", 0.6, 0.25, 0.7)),
    "commander at the café": (behind("coffee", 0.3, 0.4, 0.7, 16), figure("astronaut", 0.28, 0.24, 0.68)),
    "commander in the garage": (behind("motorcycle", 0.45, 0.35, 0.8, 9), figure("astronaut", 0.58, 0.27, 0.76)),
    "commander by the wall": (behind("brick", 0.5, 0.5, 0.8, 4), figure("astronaut", 0.33, 0.23, 0.6)),
    "commander in snow": (behind("pagoda", 0.5, 0.5, 0.8, 12), figure("astronaut", 0.52, 0.25, 0.7), SNOW),
    "commander before the planet": (
        STARS,
        figure("red planet", 0.4, 0.6, 1.3, depth=0.4, blur=4),
        figure("astronaut", 0.6, 0.25, 0.72),
    ),
    "admiral close": (at("admiral", 0.53, 0.3, 0.72),),
    "admiral at her desk": (at("admiral", 0.52, 0.34, 0.98),),
    "admiral by the wall": (behind("brick", 0.5, 0.4, 0.7, 4), figure("admiral", 0.36, 0.31, 0.98)),
    "admiral at the board": (behind("handwriting", 0.5, 0.5, 0.7, 5), figure("admiral", 0.72, 0.32, 1.0)),
    "admiral by the lake": (behind("pagoda", 0.72, 0.5, 0.55, 8), figure("admiral", 0.38, 0.33, 1.05)),
    "admiral and lamps": (behind("rocket", 0.4, 0.82, 0.45, 20), figure("admiral", 0.7, 0.3, 0.95)),
    "admiral among stars": (STARS, figure("admiral", 0.34, 0.32, 1.05)),
    "admiral in the garden": (behind("dahlia", 0.3, 0.35, 0.6, 10), figure("admiral", 0.7, 0.31, 1.0)),
    "admiral in snow": (behind("pagoda", 0.4, 0.55, 0.7, 12), figure("admiral", 0.5, 0.32, 1.0), SNOW),
    "two at the table": (
        behind("coffee", 0.5, 0.3, 0.8, 14),
        figure("admiral", 0.18, 0.34, 1.2, depth=0.7),
        figure("astronaut", 0.72, 0.27, 0.95),
    ),
    "two by the pagoda": (
        behind("pagoda", 0.45, 0.5, 0.95, 6),
        figure("astronaut", 0.2, 0.31, 1.15, depth=0.7),
        figure("admiral", 0.84, 0.36, 1.3),
    ),
    "two on the plain": (
        behind("rocket", 0.6, 0.4, 0.7, 8),
        figure("admiral", 0.2, 0.36, 1.35, depth=0.7),
        figure("astronaut", 0.7, 0.3, 1.05),
    ),
}
FIGURES = {
    "photographer in the park": (at("photographer", 0.5, 0.4, 0.98),),
    "photographer close": (at("photographer", 0.45, 0.3, 0.6),),
    "photographer and rocket": (behind("rocket", 0.55, 0.62, 0.8, 2), figure("photographer", 0.78, 0.4, 1.25)),
    "photographer and pagoda": (
        behind("pagoda", 0.42, 0.5, 0.95, 2),
        figure("photographer", 0.36, 0.4, 1.2, mirrored=True),
    ),
    "photographer in snow": (at("photographer", 0.46, 0.36, 0.9), SNOW),
    "photographer and red planet": (
        STARS,
        figure("red planet", 0.36, 0.62, 1.45, depth=0.4),
        figure("photographer", 0.72, 0.42, 1.25),
    ),
    "commander with shuttle": (at("astronaut", 0.55, 0.32, 0.9),),
    "horse at dusk": (
        behind("rocket", 0.75, 0.35, 0.45, 6),
        ground("meadow", 0.5, 0.36, 0.7, depth=0.8, blur=2),
        figure("horse", 0.3, 0.42, 1.9),
    ),
    "horse by the lake": (behind("pagoda", 0.75, 0.45, 0.5, 4), figure("horse", 0.75, 0.36, 1.7)),
    "horse and moon": (
        STARS,
        figure("grey planet", 0.45, 0.6, 1.5, depth=0.4),
        ground("gravel plain", 0.5, 0.3, 0.7, depth=0.8),
        figure("horse", 0.4, 0.44, 2.2),
    ),
    "horse in snow": (
        behind("pagoda", 0.75, 0.3, 0.4, 14),
        ground("meadow", 0.45, 0.38, 0.7, depth=0.8),
        figure("horse", 0.55, 0.43, 1.9),
        SNOW,
    ),
}
PLACES = {
    "pagoda": (at("pagoda", 0.5, 0.5, 0.96),),
    "pagoda roofs": (at("pagoda", 0.3, 0.35, 0.45),),
    "lake": (at("pagoda", 0.68, 0.48, 0.6),),
    "pagoda under stars": (STARS, ground("pagoda", 0.5, 0.47, 0.94)),
    "pagoda and moon": (
        STARS,
        figure("grey planet", 0.25, 0.72, 2.0, depth=0.4),
        ground("pagoda", 0.46, 0.47, 0.9),
    ),
    "pagoda and red planet": (
        STARS,
        figure("red planet", 0.32, 0.55, 1.15, depth=0.4),
        ground("pagoda", 0.48, 0.48, 0.92),
    ),
    "pagoda in snow": (at("pagoda", 0.45, 0.5, 0.85), SNOW),
    "launch site": (at("rocket", 0.5, 0.5, 0.95),),
    "rocket": (at("rocket", 0.55, 0.5, 0.5),),
    "launch lights": (at("rocket", 0.5, 0.8, 0.55),),
    "rocket and moon": (at("rocket", 0.45, 0.5, 0.9), MOON_HIGH),
    "garage": (at("motorcycle", 0.5, 0.5, 0.96),),
    "shelves": (at("motorcycle", 0.75, 0.22, 0.4),),
    "wall": (at("brick", 0.5, 0.55, 0.9),),
    "gravel road": (behind("rocket", 0.2, 0.3, 0.6, 6), ground("gravel plain", 0.5, 0.5, 0.8)),
    "meadow": (behind("pagoda", 0.8, 0.25, 0.5, 6), ground("meadow", 0.5, 0.5, 0.8), DUST),
    "meadow at night": (STARS, ground("meadow", 0.5, 0.42, 0.7), MOON_HIGH),
    "alien plain": (
        STARS,
        figure("red planet", 0.3, 0.5, 1.6, depth=0.3),
        ground("gravel plain", 0.5, 0.45, 0.75),
    ),
    "moonscape": (at("moon", 0.5, 0.4, 0.8),),
}
THINGS = {
    "cup": (at("coffee", 0.5, 0.5, 0.95),),
    "cup close": (at("coffee", 0.52, 0.32, 0.5),),
    "spoon": (at("coffee", 0.68, 0.72, 0.42),),
    "cup and lamps": (at("coffee", 0.5, 0.45, 0.8), LAMPS),
    "dahlia": (at("dahlia", 0.5, 0.5, 0.9),),
    "petals": (at("dahlia", 0.51, 0.45, 0.32),),
    "dahlia in dust": (at("dahlia", 0.6, 0.48, 0.7), DUST),
    "coins": (at("coins", 0.5, 0.5, 0.95),),
    "one coin": (at("coins", 0.62, 0.62, 0.36),),
    "motorcycle": (at("motorcycle", 0.52, 0.55, 0.85),),
    "motorcycle apart": (behind("motorcycle", 0.52, 0.5, 0.9, 9), figure("motorcycle", 0.52, 0.5, 0.9)),
    "motorcycle at dusk": (behind("rocket", 0.5, 0.42, 0.8, 8), figure("motorcycle", 0.55, 0.5, 0.85)),
    "engine": (at("motorcycle", 0.53, 0.62, 0.34),),
    "front wheel": (at("motorcycle", 0.78, 0.66, 0.4),),
    "handlebar": (at("motorcycle", 0.66, 0.3, 0.42),),
    "helmet": (at("astronaut", 0.74, 0.84, 0.52),),
    "mission patch": (at("astronaut", 0.4, 0.74, 0.5),),
    "medals": (at("admiral", 0.7, 0.83, 0.55),),
    "cap badge": (at("admiral", 0.53, 0.13, 0.48),),
    "cat": (at("cat", 0.5, 0.5, 0.94),),
    "cat's eyes": (at("cat", 0.52, 0.42, 0.6),),
    "cat in dust": (at("cat", 0.45, 0.5, 0.8), DUST),
    "cat and lamps": (at("cat", 0.52, 0.45, 0.9), LAMPS),
    "handwriting": (at("handwriting", 0.45, 0.5, 0.62),),
    "tissue": (at("tissue", 0.45, 0.45, 0.7),),
    "tissue close": (at("tissue", 0.62, 0.7, 0.35),),
    "vessels": (at("retina", 0.42, 0.48, 0.5),),
}
SKIES = {
    "deep field": (at("stars", 0.5, 0.5, 0.6),),
    "galaxies": (at("stars", 0.3, 0.6, 0.3),),
    "red planet": (STARS, figure("red planet", 0.35, 0.55, 1.5)),
    "red horizon": (STARS, figure("red planet", 0.45, 0.12, 0.75)),
    "grey planet": (STARS, figure("grey planet", 0.7, 0.5, 1.7)),
    "stone planet": (STARS, figure("stone planet", 0.35, 0.4, 1.4)),
    "two planets": (
        STARS,
        figure("grey planet", 1.3, 1.0, 4.0, depth=0.5),
        figure("red planet", 0.25, 0.35, 1.2),
    ),
}
BACKWARDS = {
    "commander close",
    "commander smiles",
    "commander with shuttle",
    "mission patch",
    "admiral close",
    "admiral at her desk",
    "admiral at the board",
    "medals",
    "handwriting",
    "engine",
    "motorcycle",
    "motorcycle apart",
    "motorcycle at dusk",
    "garage",
    "handlebar",
}
PLAIN = {"wall", "gravel road", "meadow", "moonscape", "vessels", "tissue", "tissue close", "shelves", *SKIES}
"""Surfaces, studies and skies: seldom shown unless a name or a genre asks for them."""

KINDS = {"face": FACES, "figure": FIGURES, "place": PLACES, "thing": THINGS, "sky": SKIES}
SETUPS: dict[str, Setup] = {
    name: Setup(kind, layers, name not in BACKWARDS) for kind, group in KINDS.items() for name, layers in group.items()
}
