"""What a list may name: its own folder, roots that are allowed, URLs of known stores, and nothing else."""

import pytest

from keyart.catalog.manifests import read_folder, read_items, read_manifest
from keyart.catalog.overrides import read_overrides
from keyart.paths import Bounds

OUT = "lies outside"


@pytest.fixture
def home(tmp_path):
    """A folder of films with links, beside a file that must not be read."""
    (tmp_path / "secret.mp4").write_bytes(b"x")
    (tmp_path / "films-of-others").mkdir()
    (tmp_path / "films-of-others" / "a.mp4").write_bytes(b"x")
    folder = tmp_path / "films"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.mp4", "deep/b.png", "c d.mp4"):
        (folder / name).write_bytes(b"x")
    (folder / "in.mp4").symlink_to(folder / "a.mp4")
    (folder / "out.mp4").symlink_to(tmp_path / "secret.mp4")
    (folder / "loop.mp4").symlink_to(folder / "loop.mp4")
    (folder / "up").symlink_to(tmp_path)
    return folder


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("a.mp4", ""),
        ("deep/../a.mp4", ""),
        ("in.mp4", ""),
        ("not-there-yet.mp4", ""),
        ("../films/a.mp4", ""),
        ("https://host/films/a%20b.mp4", ""),
        ("simplecache::s3://bucket/a.mp4", ""),
        ("../../etc/passwd", OUT),
        ("../secret.mp4", OUT),
        ("/etc/passwd", OUT),
        ("../films-of-others/a.mp4", OUT),
        ("out.mp4", OUT),
        ("up/secret.mp4", OUT),
        ("%2e%2e/secret.mp4", OUT),
        ("%252e%252e%252fsecret.mp4", OUT),
        ("file:///etc/passwd", OUT),
        ("FILE:///etc/passwd", OUT),
        ("file://localhost/etc/passwd", OUT),
        ("simplecache::file:///etc/passwd", OUT),
        ("zip://passwd::/etc/archive.zip", OUT),
        ("zip://passwd::file:///etc/archive.zip", OUT),
        ("https://host/films/../../private.mp4", "leads upwards"),
        ("https://host/films/%2e%2e/private.mp4", "leads upwards"),
        ("https://host/films/%252e%252e%255cprivate.mp4", "leads upwards"),
        ("sftp://host/etc/passwd", "sftp:// is not among sources.schemes"),
        ("memory://x", "memory:// is not"),
        ("data://text,x", "data:// is not"),
        ("simplecache::ssh://host/x", "ssh:// is not"),
        ("a\x00.mp4", "characters that no name has"),
        ("a\ud800.mp4", "characters that no name has"),
    ],
)
def test_a_row_may_name_what_lies_beside_its_list(home, uri, why):
    from keyart.catalog.manifests import address_beside

    file = str(home / "list.csv")
    told = Bounds().beside(file).refusal(address_beside(file, uri))
    assert (why in told) if why else (told == ""), told
    assert "\n" not in told


def test_a_setting_allows_more_and_the_line_names_it(home):
    elsewhere = str(home.parent / "secret.mp4")
    told = Bounds().beside(f"{home}/list.csv").refusal(elsewhere)
    assert told == f"lies outside {home}; sources.roots allows more folders"
    for root in (str(home.parent), f"{home.parent}/", f"file://{home.parent}", "/"):
        assert Bounds((root,)).refusal(elsewhere) == ""
    assert Bounds((str(home.parent),)).refusal(str(home / "out.mp4")) == ""
    assert Bounds(schemes=("sftp",)).refusal("sftp://host/a.mp4") == ""


def test_a_list_on_the_web_names_nothing_of_this_machine(home):
    assert OUT in Bounds().beside("https://host/list.csv").refusal(str(home / "a.mp4"))


def test_a_manifest_loses_the_row_that_leads_out_and_nothing_else(home):
    file = home / "list.csv"
    file.write_text("title_id,name,uri\none,One,a.mp4\nbad,Bad,../../etc/passwd\ntwo,Two,in.mp4\nnone,None,\n")
    titles = {title.title_id: title for title in read_manifest(str(file))}
    assert [title.problem for key, title in titles.items() if key != "bad"] == ["", "", ""]
    assert titles["bad"].problem.startswith(f"{file}, line 3: lies outside {home}; sources.roots")


def test_folders_lose_links_that_lead_out(home):
    titles = {title.title_id: title.problem for title in read_folder(str(home))}
    assert {key for key, problem in titles.items() if problem} == {"out"}
    assert set(titles) == {"a", "c-d", "in", "out"}
    (home / "deep" / "x.png").symlink_to(home.parent / "secret.mp4")
    items, pictures, refused = read_items(str(home))
    assert [item.title_id for item in items] == ["deep"]
    assert [uri for _, uri in pictures] == [str(home / "deep/b.png")]
    assert [(title, uri) for title, uri, _ in refused] == [("deep", str(home / "deep/x.png"))]


def test_overrides_lose_the_line_and_nothing_else(home):
    file = home / "overrides.csv"
    rows = ("t,upload,deep/b.png", "t,pin,../secret.mp4", "t,ban,abc", "t,upload,/etc/shadow.png")
    file.write_text("title_id,action,artwork\n" + "\n".join(rows) + "\n")
    good, bad = read_overrides(str(file))
    assert [one.artwork for one in good] == [str(home / "deep/b.png"), "abc"]
    assert [line.partition(": ")[0] for line in bad] == [f"{file}, line 3", f"{file}, line 5"]
    assert all(OUT in line for line in bad)


def test_links_among_logs_that_lead_out_are_found(home):
    assert set(Bounds().stray(str(home))) == {str(home / "out.mp4"), str(home / "up")}
    assert Bounds((str(home.parent),)).stray(str(home)) == {}
    assert Bounds().stray("s3://bucket/logs") == {}
