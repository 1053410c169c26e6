"""Write the pages: facts in, a folder of HTML, CSS, script and pictures out that opens from disk without a network.

What the tables hold is text to the templates (autoescape), never markup. The same facts give the same bytes.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from keyart.errors import InputError
from keyart.report import plots, wording
from keyart.report.cards import card_files
from keyart.report.catalogue import Catalogue
from keyart.report.experiments_page import experiments_page
from keyart.report.facts import Facts, Row, Source
from keyart.report.members_page import members_page
from keyart.report.operations_page import operations_page
from keyart.report.policy_page import policy_page
from keyart.report.title_page import title_page
from keyart.report.wall_page import card, index_pages, wall_data, wall_page

__all__ = ["IMAGES", "TitlePages", "environment", "write_site"]

IMAGES = "assets/images"
"""Where thumbnails lie in the site."""
LEDGER = "assets/files.txt"
"""Names of what was written, so that the next run removes pages of titles that are gone and nothing else."""
ASSETS = ("report.css", "wall.js", "page.js")
PAGES = {
    "members.html": members_page,
    "policy.html": policy_page,
    "experiments.html": experiments_page,
    "operations.html": operations_page,
}
NAVIGATION = (
    ("index.html", "Artworks"),
    ("members.html", "Members"),
    ("policy.html", "Policy"),
    ("experiments.html", "Experiments"),
    ("operations.html", "Operations"),
)


def environment() -> jinja2.Environment:
    """Templates of this package; everything is escaped and an unknown name is an error."""
    found = jinja2.Environment(
        loader=jinja2.DictLoader(_templates()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("clock", "count", "day", "moment", "named", "percent", "signed_percent"):
        found.filters[name] = getattr(wording, name)
    return found


@cache
def _templates() -> dict[str, str]:
    """By name. Jinja's own loader of packages finds none in ./keyart.zip, as spark-submit calls it where tasks run."""
    folder = resources.files("keyart.report") / "templates"
    return {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}


class Pages:
    """Renders templates into a folder."""

    def __init__(self, folder: Path, sources: Iterable[Source]) -> None:
        self.folder = folder
        self.templates = environment()
        self.templates.globals.update(images=IMAGES, navigation=NAVIGATION, footer=_footer(sources))

    def write(self, page: str, template: str, active: str, context: Mapping[str, Any]) -> None:
        """One page of the site's top folder."""
        text = self.templates.get_template(template).render(active=active, **context)
        self.put(page, text)

    def put(self, name: str, text: str) -> None:
        """A file by its name in the site."""
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")


class TitlePages:
    """Writes pages of titles from facts that hold at least what concerns them."""

    def __init__(self, folder: Path, sources: Iterable[Source]) -> None:
        self.pages = Pages(folder, sources)

    def write(self, facts: Facts) -> Iterator[dict[str, Any]]:
        """Write the page of every title of ``facts`` and yield its card."""
        catalogue = Catalogue(facts)
        for title in catalogue.titles:
            context = title_page(catalogue, title)
            self.pages.write(context["page"], "title.html", "index.html", context)
            yield card(catalogue, title)


def write_site(facts: Facts, folder: Path) -> list[str]:
    """Write every page under ``folder`` (pictures lie there already) and return the files' names, sorted.

    Pages of titles are written too unless ``facts.cards`` say that they are. InputError where the folder cannot be
    written.
    """
    try:
        before = _earlier(folder)
        cards = facts.cards or [one for title in facts.titles for one in _alone(facts, title, folder)]
        facts = replace(facts, cards=sorted(cards, key=lambda row: (row["name"].casefold(), row["title_id"])))
        written = sorted({*_write_common(facts, folder), *_of_titles(facts.cards)})
        Pages(folder, ()).put(LEDGER, "\n".join(written) + "\n")
    except OSError as error:
        raise InputError(
            f"the report cannot be written to {folder} ({error.strerror}); choose another --report"
        ) from error
    _remove(folder, before - set(written))
    return written


def _alone(facts: Facts, title: Row, folder: Path) -> Iterator[dict[str, Any]]:
    """A title's page from what of the facts concerns it."""
    videos = [row for row in facts.videos if row["title_id"] == title["title_id"]]
    films = {row["video_id"] for row in videos}
    parts: dict[str, Any] = {
        name: [row for row in getattr(facts, name) if row["video_id"] in films]
        for name in ("shots", "signal", "failures")
    }
    parts |= {
        name: [row for row in getattr(facts, name) if row["title_id"] == title["title_id"]]
        for name in ("candidates", "artworks", "assignments", "segments")
    }
    hashes = {row["image_hash"] for name in ("candidates", "artworks") for row in parts[name]}
    pictures = {key: picture for key, picture in facts.pictures.items() if key in hashes}
    own = replace(facts, titles=[title], videos=videos, pictures=pictures, **parts)
    yield from TitlePages(folder, facts.sources).write(own)


def _write_common(facts: Facts, folder: Path) -> list[str]:
    pages = Pages(folder, facts.sources)
    pages.write("index.html", "index.html", "index.html", wall_page(facts))
    indexes = index_pages(facts)
    for context in indexes:
        pages.write(context["page"], "titles.html", "index.html", context)
    catalogue = Catalogue(facts)
    for page, build in PAGES.items():
        pages.write(page, page, page, build(catalogue))
    files = card_files(facts) | {"assets/wall-data.js": wall_data(facts), "assets/vega.js": plots.library()}
    files["assets/plots.js"] = f"window.keyartPlots = {json.dumps(plots.specifications(), sort_keys=True)};\n"
    for asset in ASSETS:
        files[f"assets/{asset}"] = resources.files("keyart.report").joinpath("assets", asset).read_text("utf-8")
    for name, text in files.items():
        pages.put(name, text)
    return ["index.html", *(context["page"] for context in indexes), *PAGES, *files]


def _of_titles(cards: Iterable[Row]) -> Iterator[str]:
    for row in cards:
        yield row["page"]
        yield from (f"{IMAGES}/{file}" for file in row["files"])


def _earlier(folder: Path) -> set[str]:
    """What an earlier run wrote, as its ledger says."""
    ledger = folder / LEDGER
    return set(ledger.read_text(encoding="utf-8").split("\n")) - {""} if ledger.is_file() else set()


def _remove(folder: Path, names: Iterable[str]) -> None:
    """Remove files of an earlier run; a name that leads out of the folder is left alone."""
    home = folder.resolve()
    for name in names:
        target = (home / name).resolve()
        if target.is_relative_to(home) and target.is_file():
            target.unlink()


def _footer(sources: Iterable[Source]) -> dict[str, Any]:
    known = list(sources)
    newest = max((source.written for source in known), default=None)
    return {
        "when": wording.moment(newest) if newest else None,
        "versions": [(source.name, source.version) for source in known],
    }
