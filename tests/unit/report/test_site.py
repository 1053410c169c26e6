"""The files of a site: complete, self-contained, escaped, the same twice."""

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from keyart.errors import InputError
from keyart.report.catalogue import page_of
from keyart.report.facts import Facts
from keyart.report.site import write_site

VOID = {"meta", "link", "img", "input", "br", "hr"}


class Outline(HTMLParser):
    """Tags, addresses and whether every tag is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.faults: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] == "script" and data.strip():
            self.scripts.append(data)


def pages(folder: Path) -> dict[str, Outline]:
    return {path.name: Outline(path.read_text("utf-8")) for path in sorted(folder.glob("*.html"))}


@pytest.fixture(params=["whole", "scanned", "empty"])
def facts(request) -> Facts:
    return Facts() if request.param == "empty" else request.getfixturevalue(request.param)


def test_pages_are_well_formed_and_every_link_leads_somewhere(facts, tmp_path):
    written = set(write_site(facts, tmp_path))
    found = pages(tmp_path)
    assert {"index.html", "members.html", "policy.html", "experiments.html", "operations.html"} <= set(found)
    for name, page in found.items():
        assert not page.faults and not page.open, name
        anchors = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
        for _tag, attrs in page.tags:
            for address in (attrs.get(key) for key in ("href", "src") if attrs.get(key)):
                if address == "data:,":
                    continue
                file, _, anchor = address.partition("#")
                assert not file or file in written, f"{name}: {address}"
                assert not anchor or file or anchor in anchors, f"{name}: {address}"


def test_nothing_points_to_a_network(facts, tmp_path):
    for name in write_site(facts, tmp_path):
        path = tmp_path / name
        # The library names addresses (of name spaces, of its documents); the browser tests watch what it asks for.
        if path.suffix in {".html", ".css", ".js"} and path.name != "vega.js":
            assert not re.search(r"https?://|//[a-z]+\.|@import|url\(", path.read_text("utf-8")), name


def test_hostile_text_stays_text(whole, tmp_path):
    write_site(whole, tmp_path)
    for name, page in pages(tmp_path).items():
        scripts = [attrs for tag, attrs in page.tags if tag == "script"]
        assert all(set(attrs) <= {"src", "defer", "type", "class"} for attrs in scripts), name
        assert not any("alert" in text for text in page.scripts if not text.startswith("{")), name
        assert "<b>" not in (tmp_path / name).read_text("utf-8")
    assert "&lt;script&gt;alert(" in (tmp_path / page_of("evil")).read_text("utf-8")


def test_every_picture_says_what_it_shows(whole, tmp_path):
    write_site(whole, tmp_path)
    for name, page in pages(tmp_path).items():
        assert all("alt" in attrs and attrs["width"] for tag, attrs in page.tags if tag == "img"), name
        assert sum(tag == "h1" for tag, _ in page.tags) == 1, name


def test_the_same_facts_give_the_same_bytes(whole, tmp_path):
    shuffled = dataclasses.replace(
        whole,
        **{
            name: list(reversed(getattr(whole, name)))
            for name in ("titles", "videos", "shots", "signal", "candidates", "artworks", "assignments", "seen")
        },
    )
    first, second = tmp_path / "a", tmp_path / "b"
    assert write_site(whole, first) == write_site(shuffled, second)
    for path in first.rglob("*.*"):
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes(), path.name


def test_pages_of_titles_that_are_gone_are_removed_and_nothing_else(whole, tmp_path):
    write_site(whole, tmp_path)
    mine = tmp_path / "notes.html"
    mine.write_text("kept")
    outside = tmp_path.parent / "outside.txt"
    outside.write_text("kept")
    ledger = tmp_path / "assets" / "files.txt"
    ledger.write_text(ledger.read_text() + "../outside.txt\n")
    write_site(dataclasses.replace(whole, titles=[row for row in whole.titles if row["title_id"] == "orbit"]), tmp_path)
    assert mine.exists() and outside.exists()
    assert (tmp_path / page_of("orbit")).exists() and not (tmp_path / page_of("evil")).exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        write_site(Facts(), tmp_path / "file" / "site")


def test_the_footer_says_when_and_from_which_versions(scanned, tmp_path):
    write_site(scanned, tmp_path)
    text = (tmp_path / "operations.html").read_text("utf-8")
    assert "9 March 2026, 12:00 UTC" in text and re.search(r"videos\s*(&nbsp;)?\s*3", text)
