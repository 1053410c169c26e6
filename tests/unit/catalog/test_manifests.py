"""Manifests and folders: what they may say, and one line for what is wrong."""

import json
from datetime import date
from pathlib import Path

import pytest

from keyart.catalog.manifests import RightsWindow, combined, read_folder, read_items, read_manifest
from keyart.errors import InputError


def test_csv_with_everything(tmp_path):
    file = tmp_path / "catalogue.csv"
    file.write_text(
        "title_id,name,uri,genres,maturity_rating,kids,regions,rights,cast,creators\n"
        't1,"Lakes, quiet",films/a.mp4,Drama|Nature,PG,true,SE|NO,SE:2026-01-01:|NO::2026-06-30,Ada L|Bo,Cy\n'
        "t2,No film,,,,,,,,\n"
    )
    first, second = read_manifest(str(file))
    assert (first.title_id, first.name, first.uri) == ("t1", "Lakes, quiet", str(tmp_path / "films" / "a.mp4"))
    assert first.genres == ("drama", "nature")
    assert first.kids and first.maturity_rating == "PG" and first.regions == ("SE", "NO")
    assert first.rights == (
        RightsWindow("SE", date(2026, 1, 1), None),
        RightsWindow("NO", None, date(2026, 6, 30)),
    )
    assert first.cast_names == ("Ada L", "Bo") and first.creators == ("Cy",) and second.creators == ()
    assert (second.uri, second.genres, second.kids, second.maturity_rating) == ("", (), False, None)


def test_json_lines_say_the_same(tmp_path):
    file = tmp_path / "catalogue.jsonl"
    rows = [
        {"title_id": "t1", "name": "A", "uri": "s3://films/a.mp4", "genres": ["Drama"], "kids": True,
         "rights": [{"region": "SE", "from": "2026-01-01", "to": None}]},
        {"title_id": 2001, "name": "B", "uri": None, "genres": "drama|war"},
    ]  # fmt: skip
    file.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    first, second = read_manifest(str(file))
    assert first.uri == "s3://films/a.mp4"
    assert first.rights == (RightsWindow("SE", date(2026, 1, 1), None),)
    assert (second.title_id, second.uri, second.genres) == ("2001", "", ("drama", "war"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("title_id,name\nt1,A\n", "column uri missing"),
        ("id;name\n1;A\n", "columns title_id, name, uri missing"),
        ('{"title_id": "a", "name": "A"}\n', "line 1: column uri missing"),
        ('{"title_id": "a", "name": "A", "uri": ""}\n{oops\n', "line 2: not JSON"),
        ("title_id,name,uri\n,A,x.mp4\n", "line 2: title_id is empty"),
        ("title_id,name,uri\nt,A,\nt,B,\n", "title_id t stands there more than once"),
        ("title_id,name,uri,kids\nt,A,,maybe\n", "kids is 'maybe'"),
        ("title_id,name,uri,rights\nt,A,,SE:soon:\n", "no ISO date"),
        ("title_id,name,uri\n", "holds no titles"),
        ("", "columns title_id, name, uri missing"),
    ],
)
def test_bad_manifests_are_told_in_one_line(tmp_path, content, words):
    file = tmp_path / "bad.csv"
    file.write_text(content)
    with pytest.raises(InputError, match=words) as told:
        read_manifest(str(file))
    assert str(file) in str(told.value) and "\n" not in str(told.value)


def test_a_manifest_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest(str(tmp_path / "none.csv"))


def test_a_folder_gives_one_title_a_film(tmp_path):
    for name in ("Big Buck_Bunny.mp4", "big-buck-bunny.MKV", "Дом.webm", "notes.txt", "b.gif"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "more.mp4").mkdir()
    titles = read_folder(str(tmp_path))
    assert {t.title_id: t.name for t in titles} == {
        "big-buck-bunny-mp4": "Big Buck Bunny",
        "big-buck-bunny-mkv": "big-buck-bunny",
        "b": "b",
        "дом": "Дом",
    }
    assert all(t.genres == () and t.uri.startswith(str(tmp_path)) for t in titles)


def test_a_manifest_names_what_a_folder_holds(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"x")
    file = tmp_path / "catalogue.csv"
    file.write_text("title_id,name,uri,genres\na,The A,,Drama\nold,Old one,,War\n")
    titles = {t.title_id: t for t in combined(read_folder(str(tmp_path)), read_manifest(str(file)))}
    assert {key: (t.name, Path(t.uri).name) for key, t in titles.items()} == {
        "a": ("The A", "a.mp4"), "b": ("b", "b.mp4"), "old": ("Old one", ""),
    }  # fmt: skip
    assert titles["a"].genres == ("drama",)


@pytest.mark.parametrize("folder", ["empty", "none"])
def test_folders_without_films_are_told(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError):
        read_folder(str(tmp_path / folder))


def test_a_folder_and_a_manifest_on_the_web(web, tmp_path):
    (tmp_path / "First Film.mp4").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("no film")
    (tmp_path / "list.csv").write_text("title_id,name,uri\none,One,sub/one.mp4\ntwo,Two,s3://bucket/two.mp4\n")
    url = web(tmp_path).url
    (title,) = read_folder(f"{url}/")
    assert (title.title_id, title.name, title.uri) == ("first-film", "First Film", f"{url}/First%20Film.mp4")
    one, two = read_manifest(f"{url}/list.csv")
    assert (one.uri, two.uri) == (f"{url}/sub/one.mp4", "s3://bucket/two.mp4")
    with pytest.raises(InputError, match="not there"):
        read_manifest(f"{url}/none.csv")
    with pytest.raises(InputError, match="cannot be listed"):
        read_folder(f"{url}/none/")


def test_names_in_other_languages(tmp_path):
    file = tmp_path / "catalogue.csv"
    file.write_text("title_id,name,uri,names\nt,The Way,,ja:長い道|ar: الطريق\n")
    assert read_manifest(str(file))[0].names == (("ar", "الطريق"), ("ja", "長い道"))
    file.write_text(json.dumps({"title_id": "t", "name": "The Way", "uri": "", "names": {"ja": "長い: 道"}}))
    assert read_manifest(str(file))[0].names == (("ja", "長い: 道"),)
    file.write_text("title_id,name,uri,names\nt,The Way,,長い道\n")
    with pytest.raises(InputError, match="names '長い道:' is no language and name"):
        read_manifest(str(file))


def test_a_folder_of_folders_gives_items(tmp_path):
    for name in ("Blue Lamp/b.png", "Blue Lamp/a.JPG", "mug.webp", "Blue Lamp/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    items, pictures, _ = read_items(str(tmp_path))
    assert [(item.title_id, item.name, item.uri) for item in items] == [
        ("blue-lamp", "Blue Lamp", ""),
        ("mug", "mug", ""),
    ]
    found = [("blue-lamp", "Blue Lamp/a.JPG"), ("blue-lamp", "Blue Lamp/b.png"), ("mug", "mug.webp")]
    assert pictures == [(item, f"{tmp_path}/{name}") for item, name in found]
