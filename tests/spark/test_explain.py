"""explain-artwork on Delta: by id, by its beginning, by an image's hash, of what was not chosen, and of nothing."""

from hashlib import sha256

import cv2
import numpy as np
import pytest

from keyart import cli
from keyart.schemas import TABLES
from keyart.vision.features import FEATURE_NAMES, FEATURE_VERSION

pytestmark = pytest.mark.spark


def zero(kind):
    plain = {"string": "", "boolean": True, "double": 0.25, "array": []}
    return plain.get(kind.typeName(), 1)


def put(tables, table, *rows):
    schema = TABLES[table].schema
    full = [tuple(row.get(f.name, None if f.nullable else zero(f.dataType)) for f in schema) for row in rows]
    tables.merge(table, tables.spark.createDataFrame(full, schema))


@pytest.fixture
def catalogue(tables):
    """A title with one artwork and one candidate that was not chosen."""
    pictures = [cv2.imencode(".jpg", np.full((90, 160, 3), grey, np.uint8))[1].tobytes() for grey in (40, 200)]
    hashes = [sha256(picture).hexdigest() for picture in pictures]
    features = [np.full(len(FEATURE_NAMES), value).tolist() for value in (0.9, 0.1)]
    looked = [{"features": vector, "feature_version": FEATURE_VERSION} for vector in features]
    put(tables, "titles", {"title_id": "t", "name": "The Film"})
    put(
        tables,
        "images",
        *(
            {"image_hash": h, "mime": "image/jpeg", "content": bytearray(p)}
            for h, p in zip(hashes, pictures, strict=True)
        ),
    )
    put(tables, "candidates", *(
        {"scan_id": "s", "video_id": "v", "title_id": "t", "pts": i, "image_hash": hashes[i], "faces": [],
         "verdict": ("selected", "near-duplicate of 0:00")[i], "score": 0.5, **looked[i]} for i in range(2)
    ))  # fmt: skip
    name = sha256(f"t\x1f{hashes[0]}".encode()).hexdigest()[:32]
    put(
        tables,
        "artworks",
        {
            "artwork_id": name,
            "title_id": "t",
            "image_hash": hashes[0],
            "reason": "sharp",
            "variant": "original",
            **looked[0],
        },
    )
    return tables, name, hashes


def test_a_picture_is_explained_by_what_it_is_called(catalogue, tmp_path, capsys):
    tables, name, hashes = catalogue
    out = tmp_path / "deep" / "explained.html"
    assert cli.main(["explain-artwork", name[:8], "--tables", tables.root, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"The Film: {name}\n  chosen: sharp\n  picture: {out}\n")
    assert "brightness           0.90  [0, 1]      100%  brighter light" in said
    html = out.read_text()
    assert html.count("<meter") == len(FEATURE_NAMES) and "data:image/jpeg;base64," in html

    assert cli.main(["explain-artwork", hashes[1], "--tables", tables.root]) == 0
    said = capsys.readouterr().out
    assert (
        "not chosen: near-duplicate of 0:00" in said
        and "brightness           0.10  [0, 1]        0%  a darker light" in said
    )

    for wrong, why in (("feedfeed", "no artwork or candidate is called feedfeed"), ("abc", "too short")):
        assert cli.main(["explain-artwork", wrong, "--tables", tables.root]) == 2
        assert why in capsys.readouterr().err
