"""The expensive look at a finalist: lettering by a learned detector, who is who, plug-ins."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from keyart.vision.cast import build_embedder, embeds
from keyart.vision.faces import Face
from keyart.vision.features import FEATURE_NAMES
from keyart.vision.ocr import build_reader, describe_lines, reads
from keyart.vision.picture import decode
from keyart.vision.plugins import Plugin, build_plugin, read_plugin
from keyart.vision.text import find_lettering

__all__ = ["Closer", "find_closer"]

LETTERING, CARD = FEATURE_NAMES.index("lettering"), FEATURE_NAMES.index("title_card")


@dataclass(frozen=True)
class Closer:
    """Which expensive detectors look; it travels to workers in a closure, each of which builds them once."""

    text: str = "strokes"
    cast: str = "none"
    plugins: tuple[Plugin, ...] = ()

    @property
    def expensive(self) -> bool:
        """Whether there is anything beyond the first look."""
        return self.text != "strokes" or self.cast != "none" or bool(self.plugins)

    @property
    def key(self) -> str:
        """What ``looked_with`` says after the look."""
        return "+".join([self.text, self.cast, *(plugin.name for plugin in self.plugins)])

    def has_seen(self, looked_with: str | None) -> bool:
        """Whether a candidate's ``looked_with`` tells that these detectors looked already."""
        return bool(looked_with) and str(looked_with).partition("+")[2] == self.key

    def look(self, row: dict[str, Any], content: bytes) -> dict[str, Any]:
        """A candidate's row with what the detectors add to features, face details and sightings."""
        bgr = decode(content)
        if bgr is None:
            return row
        news: dict[str, Any] = {"looked_with": f"{str(row['looked_with']).partition('+')[0]}+{self.key}", "fresh": True}
        if self.text != "strokes":
            lettering, card = describe_lines(build_reader(self.text)(bgr), find_lettering(bgr).plain)
            features = list(row["features"])
            features[LETTERING], features[CARD] = max(features[LETTERING], lettering), max(features[CARD], card)
            news["features"] = features
        if self.cast != "none":
            faces = [Face(**face) for face in row["faces"]]
            vectors = build_embedder(self.cast)(bgr, faces)
            news["face_details"] = [d | {"embedding": v} for d, v in zip(row["face_details"], vectors, strict=True)]
        if self.plugins:
            news["sightings"] = [asdict(seen) for plugin in self.plugins for seen in build_plugin(plugin)(bgr)]
        return row | news


def find_closer(text: str, cast: str, plugins: Sequence[str]) -> Closer:
    """The detectors that are asked for; auto takes what is installed and one line tells what is not."""
    lacking = [
        what
        for what, said, there in (
            ("extra text: only strokes find lettering", text, reads("rapidocr")),
            ("extra cast: faces are not told apart", cast, embeds("dlib")),
        )
        if said == "auto" and not there
    ]
    if lacking:
        print(f"keyart: not installed: {'; '.join(lacking)}", file=sys.stderr)
    chosen_text = ("rapidocr" if reads("rapidocr") else "strokes") if text == "auto" else text
    chosen_cast = ("dlib" if embeds("dlib") else "none") if cast == "auto" else cast
    if chosen_text != "strokes":
        build_reader(chosen_text)
    if chosen_cast != "none":
        build_embedder(chosen_cast)
    return Closer(chosen_text, chosen_cast, tuple(read_plugin(path) for path in plugins))
