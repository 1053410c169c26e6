"""A site whose every name is an attack: nothing of it becomes markup, script, address or formula, seen in a browser.

The pages forbid foreign scripts by policy; the policy is taken out here, so that escaping alone has to hold.
"""

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from keyart.report.facts import Facts, Picture
from keyart.report.site import write_site

ATTACKS = (
    '"><img src=x onerror=alert(1)>', "</script><script>alert(2)</script>", "' onmouseover='alert(3)",
    "javascript:alert(4)", "<svg/onload=alert(5)>", "{{7*7}}{% raw %}", "\u2028alert(6)//", "=HYPERLINK(7)",
    "-2+3+cmd|' /C calc'!A0", "]]><script>alert(8)</script>", "&lt;b&gt;", "%22%3E%3Cscript%3E", "`${alert(9)}`",
    "</title><script>alert(10)</script>", "<!--", "\\u003cscript>alert(11)", "</style><script>alert(12)</script>",
)  # fmt: skip
FREE = {
    "title_id", "name", "genres", "moods", "flags", "maturity_rating", "cast_names", "artwork_id", "artwork_ids",
    "title_ids", "region", "cell", "codec", "uri", "segment", "reason", "reasons", "policy_id", "shot_type", "variant",
    "verdict", "video_id",
}  # fmt: skip
"""Fields that hold what somebody wrote; others hold words of ours."""
OURS = {"*", "original", "selected", "blurred", "ok", "drama"}
FORMULA = re.compile(r'"?[=@]|"?[-+](?![\d.,]+%?([,"]|$| to ))')
"""A cell at the begin of a line that a spreadsheet would compute; a number is none."""
MARK = re.compile(r"\(\d+\)|7\*7|cmd\|")


def poisoned(facts: Facts) -> Facts:
    """The facts with an attack behind every free text, the same behind the same."""
    known: dict[str, str] = {}

    def text(value: str) -> str:
        if value in OURS or not value:
            return value
        return known.setdefault(value, f"{ATTACKS[len(known) % len(ATTACKS)]} {value}")

    def one(value: Any, name: str) -> Any:
        if isinstance(value, str):
            return text(value) if name in FREE else value
        if isinstance(value, list | tuple):
            return [one(part, name) for part in value]
        if isinstance(value, dict):
            return {key: one(part, key) for key, part in value.items()}
        return value

    changed = {field.name: one(getattr(facts, field.name), "") for field in fields(Facts)}
    changed["regions"] = {text(name): text(parent) for name, parent in facts.regions.items()}
    changed["sources"], changed["pictures"] = facts.sources, facts.pictures
    return replace(facts, **changed)


@pytest.fixture
def site(whole, tmp_path) -> Path:
    names = {one.file: one for one in whole.pictures.values()}
    failures = [
        {"video_id": "film-evil", "scan_id": "s", "uri": "evil.mp4", "segment": -1, "reason": "no", "frames_lost": None}
    ]
    aside = [{"reason": "unknown title", "rows": 3}]
    facts = poisoned(replace(whole, failures=failures, all_failures=failures, quarantine=aside))
    write_site(facts, tmp_path)
    for name, picture in names.items():
        write_picture(tmp_path / "assets" / "images" / name, picture)
    return tmp_path


def write_picture(path: Path, picture: Picture) -> None:
    import cv2
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((picture.height, picture.width, 3), np.uint8))


def test_files_of_the_site_have_names_of_ours(site):
    names = [path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()]
    assert all(re.fullmatch(r"[A-Za-z0-9._/-]+", name) and ".." not in name for name in names), names


def test_markdown_holds_no_markup(site):
    cards = list((site / "cards").glob("*.md"))
    assert cards
    for card in cards:
        assert not re.search(r"(?<!\\)<(script|img|svg)", card.read_text("utf-8")), card.name


@pytest.mark.browser
def test_no_attack_does_anything_in_a_browser(chromium, site):
    playwright = pytest.importorskip("playwright.sync_api")
    for path in site.glob("*.html"):
        page = path.read_text("utf-8")
        assert page.count("Content-Security-Policy") == 1
        path.write_text(re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page), encoding="utf-8")
    faults: list[str] = []
    with playwright.sync_playwright() as driver:
        engine = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = engine.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True).new_page()
        tab.on("dialog", lambda dialog: (faults.append(f"dialog {dialog.message}"), dialog.dismiss()))
        tab.on("pageerror", lambda error: faults.append(f"error {error}"))
        tab.on("request", lambda request: faults.append(request.url) if not ours(request.url, site) else None)
        seen = ""
        for path in sorted(site.glob("*.html")):
            tab.goto(path.as_uri())
            tab.wait_for_load_state("load")
            for figure in tab.locator("figure[data-plot]").all():
                figure.scroll_into_view_if_needed()
            if path.name == "index.html":
                tab.locator("input[type=search]").first.fill("alert")
                tab.wait_for_timeout(500)
            tab.evaluate("document.querySelectorAll('*').forEach(one => one.dispatchEvent(new Event('mouseover')))")
            tab.wait_for_timeout(200)
            faults += [f"{path.name}: {one}" for one in tab.evaluate(STRANGE)]
            seen += tab.locator("body").inner_text()
            for button in tab.locator("button.csv").all()[:4]:
                with tab.expect_download() as told:
                    button.dispatch_event("click")
                rows = Path(told.value.path()).read_text("utf-8-sig").splitlines()
                faults += [f"formula {row}" for row in rows if FORMULA.match(row)]
        engine.close()
    assert faults == []
    assert len(set(MARK.findall(seen))) > 8, "the attacks are there to be read, as text"


def ours(url: str, site: Path) -> bool:
    return url.startswith((site.as_uri(), "data:", "blob:"))


STRANGE = """() => {
  const found = [];
  for (const one of document.querySelectorAll("*")) {
    for (const {name, value} of one.attributes) {
      if (name.startsWith("on")) found.push(`${one.tagName} ${name}`);
      if (/^(href|src|action|formaction|xlink:href)$/.test(name) && /^\\s*(javascript|vbscript|data:text)/i.test(value))
        found.push(`${one.tagName} ${name}=${value}`);
    }
    if (one.tagName === "SCRIPT" && !one.src && one.type !== "application/json") found.push(one.textContent);
    if (/^(IFRAME|OBJECT|EMBED|BASE)$/.test(one.tagName)) found.push(one.tagName);
    if (one.tagName === "IMG" && one.getAttribute("src") === "x") found.push("img");
  }
  return found;
}"""
