"""What maintain did to a table, in figures and words; files on disk are counted where the tables lie in a folder."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["NOTHING", "Size", "Upkeep", "on_disk", "told"]

LOG = "_delta_log"


@dataclass(frozen=True)
class Size:
    """Files and bytes: of the newest version, and of all that lies there (None where that is no local folder)."""

    files: int
    size: int
    disk_files: int | None
    disk_size: int | None


NOTHING = Size(0, 0, 0, 0)


@dataclass(frozen=True)
class Upkeep:
    """A table before and after, or why its upkeep failed."""

    table: str
    before: Size
    after: Size
    error: str = ""


def on_disk(folder: str) -> tuple[int, int] | tuple[None, None]:
    """Files and bytes under a table's local folder without its log; (None, None) for what is no such folder.

    >>> on_disk("s3://bucket/table")
    (None, None)
    """
    root = Path(folder.removeprefix("file://").removeprefix("file:"))
    if not root.is_dir():
        return None, None
    files, size = 0, 0
    for path, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name != LOG]
        for name in names:
            if name.endswith(".crc"):  # a checksum beside each file
                continue
            try:
                size += (Path(path) / name).stat().st_size
            except FileNotFoundError:  # a writer at work
                continue
            files += 1
    return files, size


def told(done: Sequence[Upkeep]) -> list[str]:
    """A line for each table that changed or failed, and one for all.

    >>> one = Upkeep("titles", Size(9, 9000, 12, 12000), Size(1, 4000, 10, 11000))
    >>> for line in told([one]): print(line)
    titles: 9 files -> 1, 9.0 kB -> 4.0 kB; on disk 12 files -> 10, 12.0 kB -> 11.0 kB
    maintain: 1 table, 9 files -> 1, 9.0 kB -> 4.0 kB; on disk 12 files -> 10, 12.0 kB -> 11.0 kB
    """
    lines = [f"{one.table}: {_change(one.before, one.after)}" for one in done if one.before != one.after]
    whole = _change(_sum([one.before for one in done]), _sum([one.after for one in done]))
    return [*lines, f"maintain: {len(done)} table{'s' if len(done) != 1 else ''}, {whole}"]


def _sum(sizes: Sequence[Size]) -> Size:
    def total(name: str) -> int | None:
        values = [getattr(size, name) for size in sizes]
        return None if any(value is None for value in values) else sum(values)

    return Size(total("files") or 0, total("size") or 0, total("disk_files"), total("disk_size"))


def _change(before: Size, after: Size) -> str:
    text = f"{before.files:,} files -> {after.files:,}, {_bytes(before.size)} -> {_bytes(after.size)}"
    if before.disk_size is not None and after.disk_size is not None:
        text += (
            f"; on disk {before.disk_files:,} files -> {after.disk_files:,}, "
            f"{_bytes(before.disk_size)} -> {_bytes(after.disk_size)}"
        )
    return text


def _bytes(size: float) -> str:
    """With a unit of a thousand.

    >>> _bytes(12), _bytes(4096), _bytes(7.2e9)
    ('12 B', '4.1 kB', '7.2 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} B" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
