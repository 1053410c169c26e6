"""Whether two tables hold the same rows: matched by key, every column compared, floats within what is stated for them.

What two ways of running the same jobs must agree on (a cluster and one machine, a killed run and a clean one).
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

__all__ = ["differences"]

Row = Mapping[str, Any]


def differences(
    expected: Sequence[Row],
    found: Sequence[Row],
    key: Sequence[str],
    tolerance: Mapping[str, float] | None = None,
    ignored: Collection[str] = (),
    most: int = 5,
) -> list[str]:
    """What is not the same, a line each, empty where all is; at most ``most`` lines of a kind, and how many there are.

    ``tolerance`` is by column, relative and, about 0, absolute; it holds within arrays and structs. Columns without one
    are compared exactly, but NaN is the same as NaN. ``ignored`` are columns that may differ; no key may be among them.
    A key that stands twice on either side is a difference. ValueError where a column of the key is missing.

    >>> differences([{"id": 1, "sum": 0.3}], [{"id": 1, "sum": 0.1 + 0.2}], ("id",))
    ['(1,): sum is 0.30000000000000004, not 0.3; 1 in all']
    >>> differences([{"id": 1, "sum": 0.3}], [{"id": 1, "sum": 0.1 + 0.2}], ("id",), {"sum": 1e-12})
    []
    """
    if {*key} & {*ignored}:
        raise ValueError(f"columns of the key are ignored: {sorted({*key} & {*ignored})}")
    lines = []
    one, other = _by_key(expected, key), _by_key(found, key)
    for rows, index, side in ((expected, one, "expected"), (found, other, "found")):
        if len(rows) != len(index):
            counts = Counter(_key(row, key) for row in rows)
            lines += _told([f"{name} stands {n} times among the {side}" for name, n in counts.items() if n > 1], most)
    lines += _told([f"{name} is missing" for name in one if name not in other], most)
    lines += _told([f"{name} is too much" for name in other if name not in one], most)
    unlike: dict[str, list[str]] = {}
    for name in one:
        if name in other:
            for column, line in _unlike(one[name], other[name], tolerance or {}, ignored):
                unlike.setdefault(column, []).append(f"{name}: {line}")
    for found_lines in unlike.values():
        lines += _told(found_lines, most)
    return lines


def _unlike(one: Row, other: Row, tolerance: Mapping[str, float], ignored: Collection[str]) -> list[tuple[str, str]]:
    """(column, what differs in it) of two rows with the same key; a column that only one has differs."""
    lines = []
    for column in [*one, *(column for column in other if column not in one)]:
        if column in ignored:
            continue
        if column not in one or column not in other:
            lines.append((column, f"{column} is only on one side"))
        elif not _same(one[column], other[column], tolerance.get(column, 0.0)):
            lines.append((column, f"{column} is {_short(other[column])}, not {_short(one[column])}"))
    return lines


def _same(one: Any, other: Any, tolerance: float) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        if math.isnan(one) or math.isnan(other):
            return math.isnan(one) and math.isnan(other)
        return one == other or math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[name], other[name], tolerance) for name in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other, [tolerance] * len(one)))
    return type(one) is type(other) and bool(one == other)


def _by_key(rows: Sequence[Row], key: Sequence[str]) -> dict[tuple, Row]:
    return {_key(row, key): row for row in rows}


def _key(row: Row, key: Sequence[str]) -> tuple:
    try:
        return tuple(row[column] for column in key)
    except KeyError as error:
        raise ValueError(f"no column {error} in the rows: {sorted(row)}") from error


def _told(lines: list[str], most: int) -> list[str]:
    """The first ``most``, the last of which says how many there are."""
    if not lines:
        return []
    shown = lines[:most]
    return [*shown[:-1], f"{shown[-1]}; {len(lines)} in all"]


def _short(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= 120 else said[:117] + "..."
