"""What the site needs beyond the Markdown files: links that leave docs/, pages for notebooks, the API reference.

Pages are written for the repository first, so their links lead to files of the repository. MkDocs knows only docs/. So
each image of results/ and each page of `OUTSIDE` gets a place in the site, and links to it are rewritten. The site has
no source files: a link to one becomes its text. A link that leads nowhere stays as it is, and the strict build refuses
it.
"""

from __future__ import annotations

import ast
import json
import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from markdown import Extension, Markdown
from markdown.inlinepatterns import InlineProcessor
from markdown.util import AtomicString
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]

OUTSIDE = {
    "README.md": "index.md",
    "results/demo/README.md": "demo.md",
    "policies/kept/smollm2_search/README.md": "model_card.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
"""File of the repository -> its page in the site; files that do not exist are left out."""

PACKAGES = ("__init__.py", "envs", "experiments", "policies", "retrieval_index")
"""What the package `berrypick` consists of. Its folder is the root of the repository, which holds other things too."""

INNER = {
    "agent",
    "bench",
    "commands",
    "demo",
    "diversity_tax",
    "price_law",
    "real_agent",
    "real_corpora",
    "report",
    "kept",
}
"""Folders that nobody imports: commands, what they draw, single experiments. They have no page in the reference."""

_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")
_PICTURES = (".png", ".svg", ".gif")


class _Shape(InlineProcessor):  # type: ignore[misc]
    """Keeps shapes such as [path][hop] as they are; Markdown would take them for links."""

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[ElementTree.Element, int, int]:
        element = ElementTree.Element("span")
        element.text = AtomicString(m[0])
        return element, m.start(0), m.end(0)


class _Shapes(Extension):  # type: ignore[misc]
    def extendMarkdown(self, md: Markdown) -> None:
        md.inlinePatterns.register(_Shape(r"\[[\w ]+\](?:\[[\w ]+\])+", md), "shapes", 185)  # after code, before links


def on_startup(**how: Any) -> None:
    """Makes a folder in which the package has its own name, so that the reference reads nothing but the package.

    The plugin of the reference looks for that folder in its own `on_config`, which comes before ours.
    """
    package = ROOT / "build" / "api" / "berrypick"
    package.mkdir(parents=True, exist_ok=True)
    for name in PACKAGES:
        link = package / name
        if not link.is_symlink():
            link.symlink_to(os.path.relpath(ROOT / name, package))


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lists pages and packages that the navigation does not name under "More"."""
    config.markdown_extensions.append(_Shapes())  # type: ignore[arg-type]
    named = set(_names(config.nav or []))
    there = [path.name for path in sorted((ROOT / "docs").glob("*.md"))]
    there += [uri for path, uri in OUTSIDE.items() if (ROOT / path).is_file()]
    there += [f"reference/{'-'.join(('berrypick', *folder.parts))}.md" for folder in _packages()]
    more = [uri for uri in there if uri not in named]
    if config.nav is not None and more:
        config.nav.append({"More": more})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages and pictures from outside docs/, a page for each notebook, and the reference."""
    for path, uri in OUTSIDE.items():
        if (ROOT / path).is_file():
            files.append(File.generated(config, uri, content=(ROOT / path).read_text(encoding="utf-8")))
    for picture in sorted(set(_pictures_outside())):
        if (ROOT / picture).is_file():
            files.append(File.generated(config, picture, abs_src_path=str(ROOT / picture)))
    for notebook in sorted((ROOT / "docs").glob("*.ipynb")):
        content = notebook_page(json.loads(notebook.read_text(encoding="utf-8")), notebook.name)
        files.append(File.generated(config, f"{notebook.stem}_notebook.md", content=content))
    for name in _names(config.nav or []):
        if not name.startswith("reference/"):
            continue
        package = name.removeprefix("reference/").removesuffix(".md").replace("-", ".")
        files.append(File.generated(config, name, content=_reference(package)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrites links out of docs/, and leaves out the names that tests give to blocks of code."""
    here = _real(page.file.src_uri)
    markdown = re.sub(r"^(\s*```\w+) [\w. -]+$", r"\1", markdown, flags=re.MULTILINE)
    return _LINK.sub(lambda found: _rewritten(found, here, page.file.src_uri), markdown)


def _rewritten(link: re.Match[str], here: str, uri: str) -> str:
    opening, target, closing = link.groups()
    if re.match(r"[a-z]+:|#", target):
        return link[0]
    path, _, anchor = target.partition("#")
    real = posixpath.normpath(posixpath.join(posixpath.dirname(here), path))
    if real.startswith("docs/"):
        place = real.removeprefix("docs/")
        if place.endswith(".ipynb") and not uri.endswith("_notebook.md"):
            place = place.replace(".ipynb", "_notebook.md")
    elif real in OUTSIDE or real.endswith(_PICTURES):
        place = OUTSIDE.get(real, real)
    else:
        return opening[1:-2] if (ROOT / real).exists() else link[0]
    place = posixpath.relpath(place, posixpath.dirname(uri) or ".")
    return f"{opening}{place}#{anchor}{closing}" if anchor else f"{opening}{place}{closing}"


def _real(uri: str) -> str:
    """The file of the repository that a page is made from."""
    return {place: path for path, place in OUTSIDE.items()}.get(uri, f"docs/{uri}")


def _pictures_outside() -> Iterator[str]:
    pages = [*(ROOT / "docs").glob("*.md"), *(ROOT / path for path in OUTSIDE if (ROOT / path).is_file())]
    for page in pages:
        here = page.relative_to(ROOT).as_posix()
        for _, target, _ in _LINK.findall(page.read_text(encoding="utf-8")):
            real = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
            if real.endswith(_PICTURES) and not real.startswith(("docs/", "../")) and ":" not in target:
                yield real


def _packages() -> Iterator[Path]:
    """Folders of packages that offer something, from the root of the repository."""
    for top in PACKAGES[1:]:
        for file in sorted((ROOT / top).rglob("__init__.py")):
            folder = file.parent.relative_to(ROOT)
            if not INNER & set(folder.parts) and _offered(file.parent):
                yield folder


def _offered(folder: Path) -> list[str]:
    """The names in `__all__` of a package."""
    for node in ast.parse((folder / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def _reference(package: str) -> str:
    """The page of a package. What has the name of its module would be hidden by it, and is named with it."""
    folder = ROOT.joinpath(*package.split(".")[1:])
    hidden = [name for name in _offered(folder) if (folder / f"{name}.py").is_file()]
    parts = [f"# `{package}`", f"::: {package}"]
    parts += [f"::: {package}.{name}.{name}\n    options: {{show_root_heading: true}}" for name in hidden]
    return "\n\n".join(parts) + "\n"


def _names(nav: Any) -> Iterator[str]:
    """The pages that a navigation names, in order."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        yield from _names(list(nav.values()))
    else:
        for entry in nav:
            yield from _names(entry)


def notebook_page(notebook: dict[str, Any], name: str) -> str:
    """A notebook with its stored outputs as Markdown.

    Args:
        notebook: format 4.5.
        name: of the file, which the page offers for download.
    """
    parts = [f"*[{name}]({name}) is this page as a notebook.*"]
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        parts += [_output(output) for output in cell["outputs"]]
    head = parts[1] if parts[1].startswith("# ") else ""
    title, _, rest = head.partition("\n")
    return "\n\n".join([title, parts[0], rest, *parts[2:]] if head else parts) + "\n"


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {"text/plain": output.get("text", [])})
    if "image/png" in data:
        return f'<img alt="figure" src="data:image/png;base64,{data["image/png"]}">'
    if "text/html" in data:
        return f'<div class="output" markdown="0">{"".join(data["text/html"])}</div>'
    return "```text\n" + "".join(data["text/plain"]).rstrip("\n") + "\n```"
