"""The built site: every link leads somewhere, nothing comes from another server, every public package is documented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from urllib.parse import unquote, urlsplit

import berrypick
import pytest
from fixtures.browser import visit

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "build" / "site"
INTERNAL = {
    *(f"berrypick.experiments.{name}" for name in ("agent", "bench", "commands", "demo", "report", "diversity_tax")),
    *(f"berrypick.experiments.{name}" for name in ("price_law", "real_agent", "real_corpora")),
    "berrypick.policies.kept",
    "berrypick.policies.kept.smollm2_search",
}
"""Packages that nobody imports: commands, what they draw, and single experiments."""

pytestmark = pytest.mark.skipif(not SITE.is_dir(), reason="there is no site; make docs builds it")


class Parts(HTMLParser):
    """What a page refers to, what can be referred to in it, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.text: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if named.get("id"):
            self.ids.add(str(named["id"]))
        if tag == "a" and named.get("href"):
            self.links.append(str(named["href"]))
        if tag == "link" and named.get("rel") in ("stylesheet", "icon", "preload", "preconnect"):
            self.loads.append(str(named.get("href")))
        if named.get("src"):
            self.loads.append(str(named["src"]))
        self._silent += tag in ("script", "style", "code", "pre")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style", "code", "pre")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.text.append(data)


@cache
def parts(page: Path) -> Parts:
    found = Parts()
    found.feed(page.read_text(encoding="utf-8"))
    return found


def pages() -> list[Path]:
    return [page for page in sorted(SITE.rglob("*.html")) if page.name != "404.html"]


def inside(page: Path, target: str) -> tuple[Path, str] | None:
    """The file and the anchor that a link of a page leads to; None if it leads out of the site."""
    split = urlsplit(target)
    if split.scheme or split.netloc:
        return None
    path = (page.parent / unquote(split.path)).resolve() if split.path else page
    return path / "index.html" if path.is_dir() else path, unquote(split.fragment)


def test_every_link_leads_to_a_file_and_every_anchor_to_a_place_in_it() -> None:
    broken = []
    for page in pages():
        for target in parts(page).links:
            found = inside(page, target)
            if found is None:
                continue
            path, anchor = found
            if not path.is_file() or (anchor and path.suffix == ".html" and anchor not in parts(path).ids):
                broken.append(f"{page.relative_to(SITE)}: {target}")
    assert not broken, broken[:20]


def test_pages_load_nothing_from_other_servers() -> None:
    for page in pages():
        for target in parts(page).loads:
            if target.startswith("data:image/png;base64,"):
                continue
            found = inside(page, target)
            assert found is not None, f"{page.name} loads {target}"
            assert found[0].is_file(), f"{page.name} loads {target}"
    for sheet in SITE.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(?:https?:)?//|@import", sheet.read_text(encoding="utf-8")), sheet


def test_no_markup_is_left_in_the_text() -> None:
    for page in pages():
        text = "".join(parts(page).text)
        left = re.findall(r"^.*(?:```|^:::|\]\(|^#{1,4} ).*$", text, re.MULTILINE)
        assert not left, (page.name, left[:3])


def _packages() -> Iterator[str]:
    yield "berrypick"
    for module in walk_packages(berrypick.__path__, "berrypick."):
        if module.ispkg and module.name not in INTERNAL:
            yield module.name


@pytest.mark.parametrize("package", sorted(_packages()))
def test_the_reference_documents_what_a_package_offers(package: str) -> None:
    names = getattr(import_module(package), "__all__", ())
    if not names:
        return
    page = SITE / "reference" / f"{package.replace('.', '-')}.html"
    assert page.is_file(), f"add reference/{page.stem}.md to the navigation of mkdocs.yml"
    ids = parts(page).ids
    missing = [
        name
        for name in names
        if f"{package}.{name}" not in ids and f"{package}.{name}.{name}" not in ids and name != "__version__"
    ]
    assert not missing, missing


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ["index", "measures", "tour_notebook", "reference/berrypick-envs"])
def test_a_page_opens_from_the_disk_in_a_browser_without_errors(name: str) -> None:
    seen = visit(SITE / f"{name}.html")
    assert "md-content" in seen.document
    said = [line for line in seen.console if "search_index" not in line]  # the search needs a server
    assert not [line for line in said if "ERROR" in line or "Uncaught" in line]
