"""Items without films, and editors' overrides: from a folder and a CSV to artworks on Delta, and again."""

import re

import cv2
import numpy as np
import pytest
from skimage import data as photographs
from sklearn.datasets import load_sample_image

from keyart import cli
from keyart.catalog.images import artwork_id_of
from keyart.policy.placement_spark import placement_of
from keyart.vision.features import FEATURE_NAMES

pytestmark = pytest.mark.spark

PICTURES = {
    "astronaut": photographs.astronaut,
    "cat": photographs.chelsea,
    "coffee": photographs.coffee,
    "rocket": photographs.rocket,
    "temple": lambda: load_sample_image("china.jpg"),
    "flower": lambda: load_sample_image("flower.jpg"),
}
SELECT = ("select.models_folder=nowhere", "select.artworks_per_title=2", "select.text=strokes", "select.cast=none")


def save(name, path):
    """480 x 270 of a photograph."""
    bgr = cv2.cvtColor(np.ascontiguousarray(PICTURES[name]()), cv2.COLOR_RGB2BGR)
    scale = max(480 / bgr.shape[1], 270 / bgr.shape[0])
    bgr = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), bgr[:270, :480])


def rows(tables, table, where="true"):
    return [row.asDict(recursive=True) for row in tables.read(table).where(where).collect()]


def run(tables, job, *words, also=()):
    settings = [part for setting in also for part in ("--set", setting)]
    return cli.main([job, *words, "--tables", tables.root, *settings])


def versions(tables, *names):
    return {name: tables.version(name) for name in names}


def test_items_become_artworks_and_editors_have_their_say(tables, tmp_path, capsys):
    shop = tmp_path / "shop"
    for name in ("astronaut", "cat", "rocket", "temple"):
        save(name, shop / "Blue Lamp" / f"{name}.png")
    save("coffee", shop / "mug.jpg")
    save("temple", shop / "notes.webp")
    (shop / "torn.jpg").write_bytes(b"not a picture")
    (shop / "read me.txt").write_text("not an image")

    def ingest(*words):
        assert run(tables, "ingest-catalog", "--images", str(shop), *words) == 0
        return capsys.readouterr().out

    def select(*also):
        assert run(tables, "select-artwork", also=(*SELECT, *also)) == 0
        return capsys.readouterr().out

    said = ingest()
    assert "ingested 4 titles, 0 films" in said and "ingested 6 images; 1 images cannot be read" in said
    assert f"unreadable: {shop}/torn.jpg: is no picture that can be decoded" in said
    assert {row["title_id"]: row["name"] for row in rows(tables, "titles")} == {
        "blue-lamp": "Blue Lamp", "mug": "mug", "notes": "notes", "torn": "torn",
    }  # fmt: skip
    assert len(rows(tables, "images")) == 6 and len(rows(tables, "scan_failures")) == 1
    assert "6 candidates (6 looked at now" in select()
    lamp = {row["artwork_id"]: row for row in rows(tables, "artworks", "title_id = 'blue-lamp'")}
    assert len(lamp) == 2 and len(rows(tables, "artworks")) == 4
    for row in lamp.values():
        assert row["variant"] == "original" and row["video_id"] is None and row["active"]
        assert len(row["features"]) == len(FEATURE_NAMES) and len(row["crops"]) == 4
        assert row["reason"].endswith("one of the item's images")

    # Again: nothing is written, nothing is looked at.
    before = versions(tables, "titles", "images", "candidates", "artworks")
    ingest(), select()
    assert {name: version for name, version in versions(tables, *before).items() if name != "titles"} == {
        name: version for name, version in before.items() if name != "titles"
    }

    # An image that is gone goes, and what was learned of the others stays.
    (shop / "Blue Lamp" / "rocket.png").unlink()
    save("flower", shop / "torn.jpg")
    assert "ingested 6 images; 0 images" in ingest()
    assert not rows(tables, "scan_failures")
    assert "6 candidates (1 looked at now" in select()

    # Editors: ban the first of the lamp's, upload a picture for December in SE, pin it; lines that cannot be used.
    lamp = {row["rank"]: row for row in rows(tables, "artworks", "title_id = 'blue-lamp' AND active")}
    save("flower", tmp_path / "cards" / "xmas.png")
    lines = tmp_path / "overrides.csv"
    lines.write_text(
        "title_id,action,artwork,regions,rating,from,until\n"
        f"blue-lamp,ban,{lamp[1]['artwork_id']},,,,\n"
        "blue-lamp,pin,cards/xmas.png,SE|NO,,2026-12-01,2026-12-27\n"
        f"blue-lamp,ban,{lamp[2]['artwork_id']},JP,,,\n"
        "mug,upload,cards/nothing.png,,,,\n"
        "mug,pin,cards/xmas.png,,18,,\n"
        "nobody,ban,abcdef0123456789,,,,\n"
        "mug,bin,abcdef0123456789,,,,\n"
        "mug,pin,abcdef0123456789,,,2026-12-27,2026-12-01\n"
        "mug,ban,abcdef0123456789,,,,\n"
    )
    said = ingest("--overrides", str(lines))
    assert "override kept, but there is no artwork abcdef0123456789 of title mug (yet)" in said
    assert "overrides: 2 pins, 3 bans, 0 uploads; 4 lines cannot be used" in said
    for problem in (
        "line 5: ", "line 7: there is no title nobody", "line 8: action is 'bin'", "line 9: until 2026-12-01 is not",
    ):  # fmt: skip
        assert f"override not kept: {lines}, {problem}" in said
    select()
    now = {row["artwork_id"]: row for row in rows(tables, "artworks", "title_id = 'blue-lamp' AND active")}
    assert lamp[1]["artwork_id"] not in now
    (upload,) = [row for row in now.values() if row["variant"] == "upload"]
    assert upload["artwork_id"] == artwork_id_of("blue-lamp", upload["image_hash"])
    assert upload["reason"].endswith("uploaded by an editor") and len(upload["features"]) == len(FEATURE_NAMES)
    verdicts = {row["image_hash"]: row["verdict"] for row in rows(tables, "candidates", "title_id = 'blue-lamp'")}
    assert verdicts[lamp[1]["image_hash"]] == "banned by an editor"
    assert not rows(tables, "artworks", "title_id = 'mug' AND variant = 'upload'"), "mug is not rated 18"
    rules = {(rule.artwork_id, rule.action, rule.regions, str(rule.begins)) for rule in placement_of(tables).rules}
    assert rules == {
        (lamp[1]["artwork_id"], "ban", (), "None"),
        ("abcdef0123456789", "ban", (), "None"),
        (lamp[2]["artwork_id"], "ban", ("JP",), "None"),
        (upload["artwork_id"], "pin", ("NO", "SE"), "2026-12-01"),
        (upload["artwork_id"], "only", ("NO", "SE"), "2026-12-01"),
    }

    # Again, then without a line: the same tables, then the editor's word is forgotten.
    before = versions(tables, "images", "candidates", "artworks", "editor_overrides")
    ingest("--overrides", str(lines)), select()
    assert versions(tables, *before) == before
    lines.write_text("title_id,action,artwork\n")
    assert "0 pins, 0 bans, 0 uploads" in ingest("--overrides", str(lines))
    select()
    back = {row["artwork_id"] for row in rows(tables, "artworks", "title_id = 'blue-lamp' AND active")}
    assert back == {row["artwork_id"] for row in lamp.values()}


def test_variants_are_artworks_with_lineage(tables, tmp_path, capsys):
    save("coffee", tmp_path / "shop" / "mug" / "a.png")
    save("temple", tmp_path / "shop" / "mug" / "b.png")
    names = tmp_path / "names.csv"
    names.write_text("title_id,name,uri,names\nmug,The Mug,,ja:長い道|ar:الطريق|chr:ᏣᎳᎩ|sv:Muggen\n")
    where = ("--images", str(tmp_path / "shop"), "--manifest", str(names))
    assert run(tables, "ingest-catalog", *where) == 0
    assert {row["language"] for row in rows(tables, "title_names")} == {"ja", "ar", "chr", "sv"}
    languages = "select.languages={JP: ja, SA: ar, AE: ar}"
    asked = (*SELECT, "select.variants=[grade,title]", "select.varied_artworks=1", languages)
    capsys.readouterr()
    assert run(tables, "select-artwork", also=asked) == 0
    said = capsys.readouterr().out
    assert "no font of the extra titles has ᎩᎳᏣ: names with them (chr) are not set on artworks" in said
    assert "2 artworks, 6 variants, 0 retired" in said
    found = rows(tables, "artworks", "active")
    (best,) = [row for row in found if row["rank"] == 1]
    made = {row["variant"]: row for row in found if row["parent_artwork_id"]}
    assert set(made) == {"grade-warm", "grade-cold", "grade-high-contrast", "title", "title-ja", "title-ar"}
    assert {row["parent_artwork_id"] for row in made.values()} == {best["artwork_id"]}
    assert sorted(row["rank"] for row in found) == list(range(1, 9)), "after the artworks they were made of"
    assert made["title-ja"]["only_regions"] == ["JP"] and made["title-ar"]["only_regions"] == ["AE", "SA"]
    assert made["title"]["only_regions"] is None and made["grade-warm"]["only_regions"] is None
    warm, cold = (row["features"][FEATURE_NAMES.index("warmth")] for row in (made["grade-warm"], made["grade-cold"]))
    assert warm > best["features"][FEATURE_NAMES.index("warmth")] > cold
    stored = {row["image_hash"]: row for row in rows(tables, "images")}
    assert all(row["image_hash"] in stored for row in found) and len(stored) == 8
    assert {(rule.action, rule.regions) for rule in placement_of(tables).rules} == {
        ("only", ("JP",)), ("only", ("AE", "SA")),
    }  # fmt: skip
    assert run(tables, "explain-artwork", made["title-ja"]["artwork_id"]) == 0
    said = capsys.readouterr().out
    assert re.search(rf"made from +{best['artwork_id']} \(original\)", said)
    assert re.search(r"shown only in +JP\n", said)

    before = versions(tables, "title_names", "images", "candidates", "artworks")
    assert run(tables, "ingest-catalog", *where) == 0 and run(tables, "select-artwork", also=asked) == 0
    assert versions(tables, *before) == before
    capsys.readouterr()
    assert run(tables, "select-artwork", also=SELECT) == 0
    assert "2 artworks, 0 variants, 6 retired" in capsys.readouterr().out
    assert run(tables, "select-artwork", also=(*SELECT, "select.variants=[painted]")) == 2
    assert "no variant painted" in capsys.readouterr().err
