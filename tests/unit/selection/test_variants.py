"""Variants: grades do what they are called; titles are legible, off the faces, and in letters that the font has."""

import cv2
import numpy as np
import pytest
from skimage import data as photographs

from keyart.errors import ConfigError
from keyart.selection.lettering import (
    LEAST_CONTRAST,
    contrast_ratio,
    font_for,
    luminance,
    missing_letters,
    script_of,
    set_title,
)
from keyart.selection.variants import GRADES, Source, Variation, grade, regions_of, variant_named, vary
from keyart.selection.varied import varied_artwork
from keyart.vision.colour import measure
from keyart.vision.faces import Face
from keyart.vision.features import look, named
from keyart.vision.picture import prepare

NAMES = ("astronaut", "chelsea", "coffee", "rocket")
TITLES = {
    "": "The Long Way", "he": "הדרך הארוכה", "ar": "الطريق الطويل", "ja": "長い道のり", "el": "Ο δρόμος", "ko": "먼 길",
    "zh": "漫长的路", "zh-TW": "漫長的路", "th": "ทางอันยาวไกล", "hi": "लंबा रास्ता",
}  # fmt: skip


def photograph(name: str) -> np.ndarray:
    return cv2.resize(cv2.cvtColor(getattr(photographs, name)(), cv2.COLOR_RGB2BGR), (640, 400))


def colour(bgr: np.ndarray):
    picture = prepare(bgr)
    return measure(picture.thumb, picture.lab)


@pytest.mark.parametrize("name", NAMES)
def test_grades_warm_cool_and_harden(name):
    bgr = photograph(name)
    plain, warm, cold, hard = (colour(one) for one in (bgr, *(grade(bgr, g) for g in GRADES)))
    assert warm.warmth > plain.warmth + 0.03 and cold.warmth < plain.warmth - 0.03
    spread = [float(cv2.cvtColor(one, cv2.COLOR_BGR2GRAY).std()) for one in (bgr, grade(bgr, "high-contrast"))]
    assert spread[1] > spread[0] and abs(hard.warmth - plain.warmth) < 0.15


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", sorted(TITLES))
def test_titles_are_legible_whatever_lies_under_them(name, language):
    bgr = photograph(name)
    made = set_title(bgr, TITLES[language], [], language)
    x, y, w, h = made.box
    assert x >= 0 and y >= 0 and x + w <= 640 and y + h <= 400
    assert made.contrast >= LEAST_CONTRAST
    # Held against the picture itself: the letters' pixels and those right beside them.
    patch = luminance(made.bgr[y : y + h, x : x + w])
    ink = (patch > 0.97) if made.ink == 255 else (patch < 0.005)
    rest = patch[cv2.dilate(ink.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0]
    assert ink.sum() > 100
    assert np.percentile(contrast_ratio(rest, patch[ink].mean()), 10) >= LEAST_CONTRAST


def test_a_title_keeps_off_faces_and_gives_up_where_there_is_no_room():
    bgr = np.full((360, 640, 3), 90, np.uint8)
    for face in (Face(0.0, 0.0, 1.0, 0.5, 0.9), Face(0.0, 0.5, 1.0, 0.5, 0.9)):
        _, y, _, h = set_title(bgr, "A Title", [face]).box
        top, bottom = (face.y - 0.2 * face.height) * 360, (face.y + face.height) * 360
        assert y >= bottom or y + h <= top
    assert set_title(bgr, "A Title", [Face(0.0, 0.0, 1.0, 1.0, 0.9)]) is None
    assert set_title(bgr, "  ", []) is None


def test_it_stands_where_the_picture_is_calm():
    noise = np.random.default_rng(1).integers(0, 255, (360, 640, 3), dtype=np.uint8)
    noise[:120] = 40
    _, y, _, h = set_title(noise, "Calm", []).box
    assert y + h <= 120


@pytest.mark.parametrize("language", sorted(TITLES))
def test_fonts_have_the_letters(language):
    title = TITLES[language]
    font = font_for(script_of(title, language), 40)
    nothing = bytes(font.getmask("\U000f0000"))
    assert all(bytes(font.getmask(letter)) != nothing for letter in title if letter.strip())


def test_arabic_is_joined_and_hebrew_runs_from_the_right():
    font = font_for("arabic", 60)
    apart = sum(font.getlength(letter) for letter in "فيلم")
    assert font.getlength("فيلم") < 0.9 * apart, "joined forms are narrower than letters alone"
    hebrew = font_for("hebrew", 60)
    # Lamed rises above the line; first in the word, it must stand at the right.
    mask = hebrew.getmask("לאא")
    rows = np.asarray(mask, np.uint8).reshape(mask.size[::-1])
    inked = np.flatnonzero(rows[: rows.shape[0] // 6].sum(axis=0))
    assert inked.min() > 0.5 * rows.shape[1]


def test_variants_are_plugins_by_name():
    source = Source(photograph("coffee"), [], {"": "Coffee", "ja": "珈琲"})
    names = [made.name for made in vary(source, ["grade", "title"])]
    assert names == ["grade-warm", "grade-cold", "grade-high-contrast", "title", "title-ja"]
    with pytest.raises(ConfigError, match="known are grade, title"):
        vary(source, ["paint"])


def test_letters_that_no_font_has_are_named_and_such_titles_left_off():
    assert all(missing_letters(title, language) == "" for language, title in TITLES.items())
    assert missing_letters("The ᏣᎳᎩ Way") == "ᎩᎳᏣ"
    assert missing_letters("电影", "ja") == "电", "simplified"
    names = [made.name for made in vary(Source(photograph("coffee"), [], {"": "Mug", "chr": "ᏣᎳᎩ"}), ["title"])]
    assert names == ["title"]


def test_chinese_characters_are_written_as_their_language_does():
    written = {
        "ja": "japanese", "ko": "korean", "zh_TW": "traditional", "zh-Hant-HK": "traditional", "zh-CN": "simplified",
        "zh-MO": "traditional", "yue": "traditional", "yue-Hans": "simplified", "cmn-Hant-TW": "traditional",
    }  # fmt: skip
    assert {language: script_of("漫長的路", language) for language in written} == written
    assert (script_of("映画"), script_of("电影"), script_of("長い道")) == ("japanese", "simplified", "japanese")
    # The same character in another form: a Japanese reader sees at once that it is Chinese.
    drawn = {script: bytes(font_for(script, 64).getmask("直")) for script in ("japanese", "simplified")}
    assert drawn["japanese"] != drawn["simplified"]


def test_vowels_of_thai_and_devanagari_stand_by_their_consonants():
    """Shaped, not one letter after the other: what stands above or below takes no room of its own."""
    thai, devanagari = font_for("thai", 60), font_for("devanagari", 60)
    assert thai.getlength("กี่") == thai.getlength("ก")
    assert devanagari.getlength("क्ष") < devanagari.getlength("क") + devanagari.getlength("ष")


def upside_down(source: Source) -> list[Variation]:
    return [Variation("upside-down", source.bgr[::-1].copy())]


def test_a_function_plugs_in_by_its_address():
    assert variant_named(f"{__name__}:upside_down") is upside_down
    (made,) = vary(Source(photograph("coffee")), [f"{__name__}:upside_down"])
    assert (made.bgr == photograph("coffee")[::-1]).all()
    for wrong in ("painted", "nowhere.at:all", f"{__name__}:nothing"):
        with pytest.raises(ConfigError, match=r"select\.variants: no variant"):
            variant_named(wrong)


def test_a_localised_title_is_shown_where_its_language_is_read():
    languages = {"JP": "ja", "SA": "ar", "AE": "ar"}
    assert regions_of("title-ar", languages) == ["AE", "SA"]
    assert regions_of("title-ko", languages) == [], "nowhere: it need not be made"
    assert regions_of("title-ko", {}) is None and regions_of("grade-warm", languages) is None


def test_a_variation_is_looked_at_anew_and_keeps_what_does_not_change():
    bgr = photograph("coffee")
    face = Face(0.1, 0.1, 0.2, 0.3, 0.9, [])
    parent = {
        "artwork_id": "p", "title_id": "t", "rank": 2, "reason": "sharp", "score": 0.5, "flags": ["spoiler"],
        "variant": "original", "only_regions": None,
        "faces": [{"x": 0.1, "y": 0.1, "width": 0.2, "height": 0.3, "score": 0.9, "landmarks": []}],
        "features": look(bgr, 0.01, 0.02, lambda _: [face]).features.tolist(),
    }  # fmt: skip
    row, image = varied_artwork(parent, Variation("grade-cold", grade(bgr, "cold")), 9, None)
    assert (row["parent_artwork_id"], row["variant"], row["rank"], row["score"]) == ("p", "grade-cold", 9, 0.5)
    assert row["flags"] == ["spoiler"] and row["image_hash"] == image.image_hash and image.width == 640
    assert row["artwork_id"] not in ("p", image.image_hash)
    before, after = named(parent["features"]), named(row["features"])
    assert after["warmth"] < before["warmth"]
    for name in ("face_size", "camera_motion", "subject_motion"):
        assert after[name] == pytest.approx(before[name])
    assert [crop["aspect"] for crop in row["crops"]] == ["16:9", "2:3", "1:1", "4:1"]
