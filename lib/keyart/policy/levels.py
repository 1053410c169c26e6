"""The levels an answer can come from: a segment of a region's members, a region, its parent, the whole world; and which
one answers for a region."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from keyart.errors import ModelError

__all__ = ["GLOBAL", "SEGMENT", "Levels", "segment_cell"]

GLOBAL = ("global", "*")
SEGMENT = "segment"
ORDER = (SEGMENT, "region", "parent", "global")


def segment_cell(level: str, cell: str, segment: str) -> str:
    """The name of a segment's cell: it belongs to the cell that answers without it, so that a member's region, its
    rights and its liking hold.

    >>> segment_cell("region", "SE", "taste-2"), segment_cell("parent", "nordics", "taste-2")
    ('SE/taste-2', 'nordics/*/taste-2')
    >>> segment_cell("global", "*", "taste-2")
    '*/taste-2'
    """
    return f"{cell}/*/{segment}" if level == "parent" else f"{cell}/{segment}"


@dataclass(frozen=True)
class Levels:
    """Cells as (level, name), in the order of the response model's rows, and each region's parent."""

    cells: tuple[tuple[str, str], ...]
    parents: Mapping[str, str]
    _index: Mapping[tuple[str, str], int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index = {cell: i for i, cell in enumerate(self.cells)}
        if GLOBAL not in index:
            raise ModelError("the response model has no global cell; run train-response again")
        if unknown := {level for level, _ in self.cells} - set(ORDER):
            raise ModelError(f"the response model has cells of unknown levels {sorted(unknown)}")
        object.__setattr__(self, "_index", index)

    @classmethod
    def of(cls, cells: Iterable[Mapping[str, str | None]], regions: Mapping[str, str]) -> "Levels":
        """From the response model's description of its cells; its own word on parents wins over the settings'."""
        rows = [
            (str(c["level"]), GLOBAL[1] if c["level"] == "global" else str(c["cell"]), c.get("parent")) for c in cells
        ]
        known = {name: parent for level, name, parent in rows if level == "region" and parent}
        return cls(tuple((level, name) for level, name, _ in rows), {**regions, **known})

    def parent(self, region: str) -> str:
        """The parent region's name; "other" for regions that nobody named."""
        return self.parents.get(region, "other")

    def of_segment(self, cell: int, segment: str) -> int | None:
        """The cell of a segment's members where this one answers for the others; None where it has none."""
        return self._index.get((SEGMENT, segment_cell(*self.cells[cell], segment))) if segment else None

    def chain(self, region: str | None) -> list[int]:
        """Cells that can answer for a region, segments apart, most specific first; the last is always global.

        >>> Levels((("global", "*"), ("parent", "nordics"), ("region", "SE")), {"SE": "nordics"}).chain("SE")
        [2, 1, 0]
        """
        wanted = [GLOBAL] if region is None else [("region", region), ("parent", self.parent(region)), GLOBAL]
        return [self._index[cell] for cell in wanted if cell in self._index]
