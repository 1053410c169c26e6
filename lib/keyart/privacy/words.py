"""What erase-members says: counts and folders, never an id or a key."""

from collections.abc import Mapping, Sequence
from datetime import date

from keyart.privacy.requests import Request

__all__ = ["of_erasure", "of_proof", "of_retention"]

SHOWN = 20
"""Files with a finding that are printed."""


def of_erasure(request: Request, rows: Mapping[str, int], days: Sequence[date], report: bool) -> str:
    """One line: who many were erased, from where."""
    where = ", ".join(f"{count:,} {table}" for table, count in rows.items()) or "no rows: no table knew them"
    again = f"; cells of {len(days)} days counted again" if days else ""
    page = "; the report showed one of them and was made again" if report else ""
    return f"erase-members: request {request.request_id}, {_members(request)}: removed {where}{again}{page}"


def of_proof(
    request: Request,
    roots: Sequence[str],
    kinds: Mapping[str, int],
    size: int,
    found: int,
    named: Sequence[tuple[str, str]],
) -> list[str]:
    """Lines: the files with a finding, then what was gone through and with which result."""
    lines = [f"{path}: {why}" for path, why in named[:SHOWN]]
    if found > len(lines):
        lines.append(f"and {found - len(lines):,} files more")
    seen = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items()) or "none"
    whom = f"any of the {len(request.ids):,} members" if len(request.ids) > 1 else "the member"
    verdict = (
        f"{found:,} hold {whom}, or could not be decoded: remove or mend them and run it again"
        if found
        else f"none holds {whom}"
    )
    lines.append(
        f"erase-members: decoded {sum(kinds.values()):,} files ({size / 1e6:,.1f} MB: {seen}) "
        f"under {', '.join(roots)}: {verdict}"
    )
    return lines


def of_retention(first: Mapping[str, date]) -> str:
    """One line: the first day that each table keeps."""
    return "erase-members: " + ", ".join(f"{table} from {day} on" for table, day in first.items()) + "; older rows gone"


def _members(request: Request) -> str:
    return f"{len(request.ids):,} member{'s' if len(request.ids) > 1 else ''}"
