"""Write the pages: facts in, a folder of HTML, CSS, script and pictures out that opens from disk without a network.

What the tables hold is text to the templates (autoescape), never markup. The same facts give the same bytes.
"""

from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from keyart.errors import InputError
from keyart.report import wording
from keyart.report.cards import card_files
from keyart.report.catalogue import Catalogue
from keyart.report.facts import Facts, Source
from keyart.report.members_page import members_page
from keyart.report.operations_page import operations_page
from keyart.report.policy_page import policy_page
from keyart.report.title_page import title_page
from keyart.report.wall_page import wall_page

__all__ = ["IMAGES", "environment", "write_site"]

IMAGES = "assets/images"
"""Where thumbnails lie in the site."""
LEDGER = "assets/files.txt"
"""Names of what was written, so that the next run removes pages of titles that are gone and nothing else."""
ASSETS = ("report.css", "report.js")
PAGES = {
    "index.html": wall_page,
    "members.html": members_page,
    "policy.html": policy_page,
    "operations.html": operations_page,
}
NAVIGATION = (
    ("index.html", "Artworks"),
    ("members.html", "Members"),
    ("policy.html", "Policy"),
    ("operations.html", "Operations"),
)


def environment() -> jinja2.Environment:
    """Templates of this package; everything is escaped and an unknown name is an error."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("keyart.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("clock", "count", "day", "moment", "named", "percent", "signed_percent"):
        found.filters[name] = getattr(wording, name)
    return found


def write_site(facts: Facts, folder: Path) -> list[str]:
    """Write every page under ``folder`` (pictures lie there already) and return the files' names, sorted.

    InputError where the folder cannot be written.
    """
    catalogue = Catalogue(facts)
    before = _earlier(folder)
    templates = environment()
    templates.globals.update(images=IMAGES, navigation=NAVIGATION, footer=_footer(facts.sources))
    files: dict[str, str] = {}
    for page, build in PAGES.items():
        files[page] = _render(templates, page, page, build(catalogue))
    for title in catalogue.titles:
        context = title_page(catalogue, title)
        files[context["page"]] = _render(templates, "title.html", "index.html", context)
    files |= card_files(facts)
    for asset in ASSETS:
        files[f"assets/{asset}"] = resources.files("keyart.report").joinpath("assets", asset).read_text("utf-8")
    written = sorted([*files, *(f"{IMAGES}/{picture.file}" for picture in facts.pictures.values())])
    files[LEDGER] = "\n".join(written) + "\n"
    try:
        for name, text in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(
            f"the report cannot be written to {folder} ({error.strerror}); choose another --report"
        ) from error
    _remove(folder, before - set(written))
    return written


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


def _render(templates: jinja2.Environment, template: str, active: str, context: dict[str, Any]) -> str:
    return templates.get_template(template).render(active=active, **context)


def _footer(sources: Iterable[Source]) -> dict[str, Any]:
    known = list(sources)
    newest = max((source.written for source in known), default=None)
    return {
        "when": wording.moment(newest) if newest else None,
        "versions": [(source.name, source.version) for source in known],
    }
