"""What a look costs by stage: milliseconds a picture on one core, over pictures of the 10-minute film.

The first look is taken at every candidate, the closer one at finalists only (3 for each artwork wanted).
"""

import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import av
import cv2
from films import FILM, MEDIA
from results import record

from keyart.vision import colour, composition, technical
from keyart.vision.cast import build_embedder
from keyart.vision.expression import express
from keyart.vision.faces import build_detector, find_model
from keyart.vision.features import attention_of, look
from keyart.vision.hashing import perceptual_hash
from keyart.vision.ocr import build_reader
from keyart.vision.picture import decode, prepare
from keyart.vision.text import find_lettering

PICTURES = 24


def pictures() -> list[bytes]:
    """JPEGs from all over the film, as candidates are stored."""
    taken = []
    with av.open(str(FILM)) as film:
        stream = film.streams.video[0]
        length = float(stream.duration * stream.time_base)
        for k in range(PICTURES):
            film.seek(int((k + 0.5) / PICTURES * length / stream.time_base), stream=stream)
            bgr = next(film.decode(stream)).to_ndarray(format="bgr24")
            taken.append(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
    return taken


def milliseconds(stage: Callable[..., Any], *columns: list) -> tuple[float, list]:
    """Mean milliseconds of a stage over pictures, after a first one that builds what it needs, and its results."""
    stage(*(column[0] for column in columns))
    begin = time.process_time()
    found = [stage(*row) for row in zip(*columns, strict=True)]
    return round(1000 * (time.process_time() - begin) / len(found), 2), found


def main() -> None:
    cv2.setNumThreads(1)
    detector = build_detector(find_model(MEDIA.parent / "models", "face_detection_yunet_2023mar.onnx"))
    first: dict[str, float] = {}
    first["decoding"], bgr = milliseconds(decode, pictures())
    first["bars and sizes"], prepared = milliseconds(prepare, bgr)
    first["faces"], faces = milliseconds(detector, bgr)
    first["attention"], attention = milliseconds(attention_of, prepared, faces)
    first["expression"], _ = milliseconds(lambda one, its: [express(one, face) for face in its], bgr, faces)
    first["technical"], _ = milliseconds(lambda one: technical.measure(one.fine, one.bgr), prepared)
    blocks = lambda one: technical.coding(cv2.cvtColor(one.source, cv2.COLOR_BGR2GRAY))  # noqa: E731
    first["coding blocks"], _ = milliseconds(blocks, prepared)
    first["colour"], _ = milliseconds(lambda one: colour.measure(one.thumb, one.lab), prepared)
    first["composition"], _ = milliseconds(
        lambda one, where: composition.measure(one.luma, where, one.fine), prepared, attention
    )
    first["lettering"], _ = milliseconds(find_lettering, bgr)
    first["hash"], _ = milliseconds(lambda one: perceptual_hash(one.luma), prepared)
    whole, _ = milliseconds(lambda one: look(one, 0.0, 0.0, detector), bgr)
    closer = {}
    if find_spec("rapidocr"):
        closer["text by rapidocr"], _ = milliseconds(build_reader("rapidocr"), bgr)
    if find_spec("dlib"):
        closer["cast by dlib"], _ = milliseconds(build_embedder("dlib"), bgr, faces)
    figures = {
        "pictures": PICTURES,
        "first look by stage": first,
        "a whole look, decoded": whole,
        "closer look": closer,
    }
    record("look_cost", {"milliseconds of one core a picture": figures})


if __name__ == "__main__":
    main()
