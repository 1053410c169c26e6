"""A contact sheet for notebooks: a row of captioned pictures as one piece of HTML that needs no files beside it."""

import base64
from collections.abc import Sequence
from pathlib import Path

from keyart.report.images import thumbnail
from keyart.report.site import environment

__all__ = ["contact_sheet"]


def contact_sheet(pictures: Sequence[tuple[bytes | Path | None, str]], width: int = 240) -> str:
    """HTML of (picture, caption) pairs; a picture is encoded bytes, a file, or None, and captions are text.

    A picture that cannot be decoded leaves its caption.
    """
    rows = []
    for picture, caption in pictures:
        content = picture.read_bytes() if isinstance(picture, Path) else picture
        small = thumbnail(content, width) if content else None
        rows.append((base64.b64encode(small).decode() if small else None, caption))
    return environment().get_template("sheet.html").render(rows=rows, width=width)
