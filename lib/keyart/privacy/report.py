"""Whether the report's page of members shows one of them: it prints the first characters of a key."""

from collections.abc import Sequence
from pathlib import Path

from keyart.report.members_page import KEY

__all__ = ["PAGE", "is_shown"]

PAGE = "members.html"


def is_shown(folder: Path, keys: Sequence[str]) -> bool:
    """Whether the site in ``folder`` shows one of the members; a site that is not there shows nobody."""
    page = folder / PAGE
    if not page.is_file():
        return False
    text = page.read_text(encoding="utf-8")
    return any(key[:KEY] in text for key in keys)
