"""What became of a table's columns from one version of it to the next, and how an older table is read and brought on.

A table's first version is 1, and every step makes it one more; the number stands in its properties. A step is about one
column. A column whose type or meaning changes gets a new name: nothing can tell old values from new ones.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

__all__ = ["PROPERTY", "Added", "Removed", "Renamed", "Step", "as_read", "defaults", "last_name"]

PROPERTY = "keyart.version"
"""The table property that holds its version; tables from before it are of version 1."""
BY_NAME = "ALTER TABLE {table} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')"
"""Without it Delta renames and drops columns only by writing all files again."""


class Step(Protocol):
    """A change of one column."""

    def read(self, columns: Mapping[str, str]) -> dict[str, str]:
        """Of columns and the SQL that gives each, those after the step; as they are where it was made already."""
        ...

    def statements(self, columns: Set[str], kinds: Mapping[str, str]) -> list[str]:
        """The SQL that is still to do on {table}, which has these columns; ``kinds`` are SQL types of columns by name.

        Each is whole in itself, and one that was done before a writer died is left out or does nothing.
        """
        ...


@dataclass(frozen=True)
class Added:
    """A column that came; rows from before have ``default`` in it, a SQL literal.

    >>> Added("sd").read({"weight": "weight"})
    {'weight': 'weight', 'sd': 'NULL'}
    """

    column: str
    default: str | None = None

    def read(self, columns: Mapping[str, str]) -> dict[str, str]:
        return {**columns, self.column: columns.get(self.column, self.default or "NULL")}

    def statements(self, columns: Set[str], kinds: Mapping[str, str]) -> list[str]:
        if self.column not in kinds:  # it is gone again
            return []
        add = f"ALTER TABLE {{table}} ADD COLUMNS (`{self.column}` {kinds[self.column]})"
        fill = f"UPDATE {{table}} SET `{self.column}` = {self.default} WHERE `{self.column}` IS NULL"
        return [add] * (self.column not in columns) + [fill] * (self.default is not None)


@dataclass(frozen=True)
class Renamed:
    """A column that is called otherwise now.

    >>> Renamed("score", "weight").read({"score": "score"})
    {'weight': 'score'}
    """

    before: str
    now: str

    def read(self, columns: Mapping[str, str]) -> dict[str, str]:
        return {self.now if name == self.before else name: found for name, found in columns.items()}

    def statements(self, columns: Set[str], kinds: Mapping[str, str]) -> list[str]:
        rename = f"ALTER TABLE {{table}} RENAME COLUMN `{self.before}` TO `{self.now}`"
        return [BY_NAME, rename] if self.before in columns else []


@dataclass(frozen=True)
class Removed:
    """A column that is gone. Its values stay in files until they are written anew.

    >>> Removed("note").read({"weight": "weight", "note": "note"})
    {'weight': 'weight'}
    """

    column: str

    def read(self, columns: Mapping[str, str]) -> dict[str, str]:
        return {name: found for name, found in columns.items() if name != self.column}

    def statements(self, columns: Set[str], kinds: Mapping[str, str]) -> list[str]:
        return [BY_NAME, f"ALTER TABLE {{table}} DROP COLUMN `{self.column}`"] if self.column in columns else []


def as_read(steps: Sequence[Step], columns: Sequence[str]) -> dict[str, str]:
    """Of a table with these columns, those after the steps, each with the SQL that gives it.

    >>> as_read([Added("sd"), Renamed("sd", "spread")], ["weight"])
    {'weight': '`weight`', 'spread': 'NULL'}
    """
    found = {name: f"`{name}`" for name in columns}
    for step in steps:
        found = step.read(found)
    return found


def last_name(steps: Sequence[Step], column: str) -> str | None:
    """What a column is called after the steps; None where it is gone.

    >>> last_name([Renamed("sd", "spread")], "sd"), last_name([Removed("sd")], "sd")
    ('spread', None)
    """
    return next((name for name, found in as_read(steps, [column]).items() if found == f"`{column}`"), None)


def defaults(steps: Sequence[Step]) -> dict[str, str]:
    """The SQL literal that stands in for null, by column as it is called after the steps.

    >>> defaults([Added("sd"), Added("share", "0.5"), Renamed("share", "part")])
    {'part': '0.5'}
    """
    return {name: found for name, found in as_read(steps, []).items() if found != "NULL"}
