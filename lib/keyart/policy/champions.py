"""Which policies were promoted and which of them stands, from the rows of the table promotions."""

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["PROMOTE", "REFUSE", "ROLLBACK", "rolled_back", "standing"]

PROMOTE, REFUSE, ROLLBACK = "promote", "refuse", "rollback"


def standing(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The champions that a rollback goes back through, the present one last; empty where none was promoted.

    >>> standing([{"number": 1, "action": "promote", "policy_id": "a"}, {"number": 2, "action": "refuse"}])
    ('a',)
    """
    found: list[str] = []
    for row in sorted(rows, key=lambda row: row["number"]):
        if row["action"] == PROMOTE:
            found.append(row["policy_id"])
        elif row["action"] == ROLLBACK:
            found = [name for name in found if name != row["champion_id"]]
    return tuple(found)


def rolled_back(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    """Policies whose last word is that they were rolled back: they come back only by name."""
    found: set[str] = set()
    for row in sorted(rows, key=lambda row: row["number"]):
        if row["action"] == PROMOTE:
            found.discard(row["policy_id"])
        elif row["action"] == ROLLBACK:
            found.add(row["champion_id"])
    return found
