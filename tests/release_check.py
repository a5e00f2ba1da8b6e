"""`make release-check`: builds wheel and sdist from the tracked files and says what is wrong with them.

Each line is ok, note or FAIL; the exit status is 1 if something fails. Nothing is uploaded.
"""

from __future__ import annotations

import email
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from email.message import Message
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

__all__ = ["Line", "checks", "main", "sdist_names", "sdist_problems", "wheel_names", "wheel_problems"]

ROOT = Path(__file__).resolve().parent.parent
SDIST_HOLDS = (
    "LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff", "SECURITY.md", "Makefile",
    "constraints.txt", "pyproject.toml", "tests/conftest.py", "docs/architecture.md", "results/demo/report.json",
)  # fmt: skip
"""Files without which the source is not whole."""
NEVER = re.compile(
    r"^(\.git|\.venv|\.venv-adapters|\.cache|\.\w+_cache|runs|build|dist)/|(^|/)__pycache__/|\.(pyc|pyo|orig|rej)$|~$"
)
MOST_MIB = 20
"""More than that in a wheel would be a file that nobody meant to ship."""


class Line(NamedTuple):
    """One finding; `passed` is None for a note."""

    passed: bool | None
    text: str

    def __str__(self) -> str:
        word = {True: "ok  ", False: "FAIL", None: "note"}[self.passed]
        return f"{word}  {self.text}"


def main(arguments: Sequence[str] = ()) -> int:
    """Builds both archives in a temporary folder and prints the lines."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "berrypick", Path(folder) / "dist"
        copy_tracked(source)
        out.mkdir()
        for kind in ("wheel", "sdist"):
            code = f"import sys, setuptools.build_meta as build; build.build_{kind}(sys.argv[1])"
            command = [sys.executable, "-W", "ignore", "-c", code, str(out)]
            done = subprocess.run(command, cwd=source, capture_output=True, text=True)
            if done.returncode:
                sys.stderr.write(done.stderr[-2000:])
                sys.stdout.write(f"{Line(False, f'the {kind} does not build')}\n")
                return 1
        lines = list(checks(ROOT, next(out.glob("*.whl")), next(out.glob("*.tar.gz")), final="--final" in arguments))
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return int(any(line.passed is False for line in lines))


def copy_tracked(target: Path) -> None:
    """Copies what git tracks or would add, or in an unpacked sdist everything but folders that tools make."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        listed = subprocess.run(
            ["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        names = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    else:
        files = (path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file())
        names = [name for name in files if not NEVER.search(name) and ".egg-info" not in name]
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target / name)


def checks(root: Path, wheel: Path, sdist: Path, *, final: bool = False) -> Iterator[Line]:
    """All lines.

    Args:
        root: the checkout.
        wheel: built from it.
        sdist: built from it.
        final: this is the release itself, so the changelog must not call the version unreleased.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text())
    names, metadata = wheel_names(wheel), wheel_metadata(wheel)
    yield from _versions(root, project["project"]["version"], metadata, sdist, final=final)
    problems = wheel_problems(names, project["tool"]["setuptools"], root)
    yield Line(not problems, f"wheel: {len(names)} files" if not problems else f"wheel: {'; '.join(problems[:10])}")
    problems = sdist_problems(sdist_names(sdist))
    yield Line(not problems, "sdist: whole" if not problems else f"sdist: {'; '.join(problems[:10])}")
    size = wheel.stat().st_size / 2**20
    yield Line(size <= MOST_MIB, f"wheel: {size:.1f} MiB, at most {MOST_MIB}")
    yield from _metadata(metadata)


def _versions(root: Path, version: str, metadata: Message, sdist: Path, *, final: bool) -> Iterator[Line]:
    found = {
        "__init__.py": _first(r'^__version__ = "(.*)"', root / "__init__.py"),
        "CITATION.cff": _first(r"^version: (.*)", root / "CITATION.cff"),
        "CHANGELOG.md": _first(r"^## (\S+)", root / "CHANGELOG.md"),
        "wheel": str(metadata["Version"]),
        "sdist": sdist.name.removeprefix("berrypick-").removesuffix(".tar.gz"),
    }
    wrong = [f"{place} says {text or 'nothing'}" for place, text in found.items() if text != version]
    yield Line(
        not wrong, f"version {version} everywhere" if not wrong else f"version {version}, but {', '.join(wrong)}"
    )
    entry = (root / "CHANGELOG.md").read_text().partition(f"\n## {version}")[2]
    heading, _, body = entry.partition("\n")
    yield Line("- " in body.partition("\n## ")[0], f"changelog has an entry of {version}")
    unreleased = "not released" in heading
    yield Line((not unreleased) if final else (None if unreleased else True), f"changelog heading: {version}{heading}")


def _first(pattern: str, file: Path) -> str:
    found = re.search(pattern, file.read_text(), re.MULTILINE)
    return found[1].strip().strip('"') if found else ""


def wheel_names(wheel: Path) -> list[str]:
    """Files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return [name for name in archive.namelist() if not name.endswith("/")]


def sdist_names(sdist: Path) -> list[str]:
    """Files of an sdist below its top folder."""
    with tarfile.open(sdist) as archive:
        return [str(PurePosixPath(*PurePosixPath(item.name).parts[1:])) for item in archive if item.isfile()]


def wheel_metadata(wheel: Path) -> Message:
    """METADATA of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name))


def wheel_problems(names: Sequence[str], setuptools: Mapping[str, Any], root: Path) -> list[str]:
    """What a wheel lacks or has too much: it holds the modules and data of the listed packages, and its own facts."""
    wanted = {
        f"{package.replace('.', '/')}/{name}" for package, data in setuptools["package-data"].items() for name in data
    }
    for package in setuptools["packages"]:
        folder = root.joinpath(*package.split(".")[1:])
        wanted |= {f"{package.replace('.', '/')}/{path.name}" for path in folder.glob("*.py")}
    own = {name for name in names if ".dist-info/" not in name}
    facts = {name.partition(".dist-info/")[2] for name in names if ".dist-info/" in name}
    problems = [f"{name} is missing" for name in sorted(wanted - own)]
    problems += [f"{name} must not ship" for name in sorted(own - wanted)]
    needed = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    return problems + [f"dist-info/{name} is missing" for name in sorted(needed - facts)]


def sdist_problems(names: Sequence[str]) -> list[str]:
    """What an sdist lacks or must not have."""
    problems = [f"{name} is missing" for name in SDIST_HOLDS if name not in names]
    return problems + [f"{name} must not ship" for name in sorted(names) if NEVER.search(name)]


def _metadata(metadata: Message) -> Iterator[Line]:
    for name, wanted in (("Name", "berrypick"), ("License-Expression", "MIT"), ("Requires-Python", ">=3.11")):
        yield Line(metadata[name] == wanted, f"metadata: {name} {metadata[name]}")
    urls = metadata.get_all("Project-URL") or []
    if not urls:
        yield Line(None, "metadata: no project URLs; add [project.urls] to pyproject.toml when there is an address")
    for url in urls:
        label, _, address = url.partition(", ")
        yield Line(re.fullmatch(r"https://[\w.-]+(/\S*)?", address) is not None, f"metadata: {label} {address}")
    yield from _description(str(metadata["Description-Content-Type"]), str(metadata.get_payload()))


def _description(kind: str, text: str) -> Iterator[Line]:
    """The long description is Markdown that closes what it opens; an index page shows it without the repository."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    headings = sum(token.type == "heading_open" for token in tokens)
    fences = text.count("\n```")
    yield Line(
        kind.startswith("text/markdown") and headings > 3 and fences % 2 == 0,
        f"long description: {kind}, {headings} headings, {fences // 2} blocks of code",
    )
    links = [child.attrGet("href") for token in tokens for child in token.children or [] if child.type == "link_open"]
    images = [child.attrGet("src") for token in tokens for child in token.children or [] if child.type == "image"]
    relative = [str(link) for link in [*links, *images] if not str(link).startswith(("http", "#", "mailto:"))]
    if relative:
        yield Line(None, f"long description: {len(relative)} links are of the repository, dead on an index page")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
