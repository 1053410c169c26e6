"""Editors' CSV and items' images read without Spark: what is kept, one clear line on what is not."""

from datetime import date

import cv2
import numpy as np
import pytest

from keyart.catalog.images import read_image
from keyart.catalog.manifests import read_items
from keyart.catalog.overrides import EditorOverride, read_overrides
from keyart.errors import InputError, VideoError

HEADER = "title_id,action,artwork,regions,rating,from,until\n"


def written(tmp_path, text):
    file = tmp_path / "overrides.csv"
    file.write_text(text)
    return str(file)


def test_lines_are_read_as_editors_write_them(tmp_path):
    file = written(
        tmp_path,
        HEADER
        + "t,PIN,abc123,SE | NO,,,\nt,ban,abc124,*,18,2026-01-01,\n"
        + "u,upload,pics/a.png,,,,2026-02-01\nu,upload,https://x.org/a.png,,,,\n",
    )
    good, bad = read_overrides(file)
    assert not bad
    assert good == [
        EditorOverride(2, "t", "pin", "abc123", False, ("NO", "SE")),
        EditorOverride(3, "t", "ban", "abc124", False, (), "18", date(2026, 1, 1)),
        EditorOverride(4, "u", "upload", str(tmp_path / "pics/a.png"), True, until=date(2026, 2, 1)),
        EditorOverride(5, "u", "upload", "https://x.org/a.png", True),
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("t,pin,,,,,", "artwork is empty"),
        (",pin,abc,,,,", "title_id is empty"),
        ("t,drop,abc,,,,", "action is 'drop'; write pin, ban, upload"),
        ("t,pin,a b,,,,", "artwork is 'a b'; write an artwork's id"),
        ("t,pin,abc,,,soon,", "from is 'soon'; write a day as 2026-12-01"),
        ("t,pin,abc,,,2026-02-01,2026-02-01", "until 2026-02-01 is not after from 2026-02-01"),
        ("t,pin,abc,,,,,more", "has more fields than the first line"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_kept(tmp_path, line, why):
    good, bad = read_overrides(written(tmp_path, f"{HEADER}t,ban,first,,,,\n{line}\nt,ban,last,,,,\n"))
    assert [one.artwork for one in good] == ["first", "last"]
    assert len(bad) == 1 and bad[0].startswith(f"{tmp_path}/overrides.csv, line 3: ") and why in bad[0]


def test_a_file_that_is_no_overrides_is_refused(tmp_path):
    with pytest.raises(InputError, match="column action, artwork missing"):
        read_overrides(written(tmp_path, "title_id,what\nt,x\n"))
    with pytest.raises(InputError, match="column region is unknown"):
        read_overrides(written(tmp_path, "title_id,action,artwork,region\n"))
    with pytest.raises(InputError, match="cannot be read as overrides"):
        read_overrides(str(tmp_path / "nowhere.csv"))


def test_items_from_a_table_have_a_line_an_image(tmp_path):
    table = tmp_path / "items.csv"
    table.write_text("title_id,name,uri,regions\nmug,The Mug,a.png,SE\nlamp,Lamp,b.png,\nmug,,c.png,\n")
    items, pictures, _ = read_items(str(table))
    assert [(item.title_id, item.name, item.uri, item.regions) for item in items] == [
        ("mug", "The Mug", "", ("SE",)), ("lamp", "Lamp", "", ()),
    ]  # fmt: skip
    assert pictures == [
        ("mug", str(tmp_path / "a.png")),
        ("lamp", str(tmp_path / "b.png")),
        ("mug", str(tmp_path / "c.png")),
    ]
    table.write_text("title_id,name,uri\nmug,The Mug,\n")
    with pytest.raises(InputError, match="no images in it"):
        read_items(str(table))


def test_pictures_are_kept_as_they_are_or_made_showable(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    for name, mime in (("a.png", "image/png"), ("b.jpg", "image/jpeg"), ("c.bmp", "image/jpeg")):
        file = tmp_path / name
        cv2.imwrite(str(file), pixels)
        image = read_image(str(file))
        assert (image.mime, image.width, image.height, image.preview) == (mime, 60, 40, None)
        assert (image.content == file.read_bytes()) == (name != "c.bmp")
    (tmp_path / "d.jpg").write_bytes(b"")
    for name in ("d.jpg", "nowhere.png"):
        with pytest.raises(VideoError):
            read_image(str(tmp_path / name))
