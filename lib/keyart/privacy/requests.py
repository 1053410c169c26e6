"""A request to erase members: their ids as they were handed in, and what they are known by."""

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from keyart.errors import InputError
from keyart.feedback.privacy import user_keys
from keyart.seeding import bucket

__all__ = ["MOST", "Request", "ids_of", "request_of"]

MOST = 100_000
"""Members of one request: their ids reach every task of the proof."""


@dataclass(frozen=True)
class Request:
    """Members to erase; the three lists belong together. Nothing of it is printed by accident."""

    request_id: str
    ids: tuple[str, ...] = field(repr=False)
    keys: tuple[str, ...] = field(repr=False)
    suppressions: tuple[str, ...] = field(repr=False)

    @property
    def buckets(self) -> tuple[int, ...]:
        """The user buckets that hold them."""
        return tuple(sorted({bucket(key) for key in self.keys}))


def ids_of(lines: Iterable[str], column: str, name: str) -> list[str]:
    """Ids from a file's lines: one a line, or the column of a CSV whose first line names it; blanks are no ids.

    InputError where there are none, too many, or a CSV's header lacks the column.

    >>> ids_of(["user_id,since", "ann,2026", '"b,n",2025'], "user_id", "f.csv")
    ['ann', 'b,n']
    """
    kept = [line for line in lines if line.strip()]
    if name.lower().endswith(".csv"):
        rows = list(csv.reader(io.StringIO("\n".join(kept))))
        header = [cell.strip().lstrip("\ufeff") for cell in rows[0]] if rows else []
        if column not in header:
            raise InputError(f"{name} has no column {column}; its first line names {', '.join(header)[:200]}")
        place = header.index(column)
        found = [row[place].strip() for row in rows[1:] if len(row) > place]
    else:
        found = [line.strip().lstrip("\ufeff") for line in kept]
    ids = list(dict.fromkeys(member for member in found if member))
    if not ids:
        raise InputError(f"{name} names no members; write one id a line, or a CSV with a column {column}")
    if len(ids) > MOST:
        raise InputError(f"{name} names {len(ids):,} members; a request holds {MOST:,}: split the file")
    return ids


def request_of(ids: Sequence[str], key: bytes, suppression_key: bytes, request_id: str = "") -> Request:
    """The request; without a name of its own it is called by a hash of its members under the suppression key."""
    suppressions = user_keys(suppression_key, ids)
    derived = hashlib.sha256("\n".join(sorted(suppressions)).encode()).hexdigest()[:16]
    return Request(request_id or derived, tuple(ids), tuple(user_keys(key, ids)), tuple(suppressions))
