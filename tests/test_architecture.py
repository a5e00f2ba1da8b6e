"""docs/architecture.md is true: its folders are the packages, its names exist, each walk leads from file to file."""

from __future__ import annotations

import ast
import functools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
PICTURE = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)
PROSE = re.sub(r"```.*?```", lambda block: "\n" * block.group().count("\n"), PAGE, flags=re.DOTALL)
WALKS = {part.split("\n")[0]: part for part in PROSE.split("\n## ") if re.search(r"^1\. ", part, re.MULTILINE)}
REFERENCE = re.compile(r"`([\w./-]+\.(?:py|md|toml|jsonl?)|[\w./-]+/)(?:: ([\w., ]+))?`")


def references(text: str) -> Iterator[tuple[str, str]]:
    """(path, name) of each reference in backticks; the name is empty where a file or folder stands alone."""
    for path, names in REFERENCE.findall(text):
        yield from ((path, name) for name in (names.split(", ") if names else [""]))


@functools.cache
def tree_of(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text())


@functools.cache
def defined_in(path: str) -> frozenset[str]:
    """The names that a file defines: functions, classes, constants, and `Class.member`."""
    return frozenset(_defined(tree_of(path).body, ""))


def _defined(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield prefix + node.name
            if isinstance(node, ast.ClassDef):
                yield from _defined(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (prefix + target.id for target in targets if isinstance(target, ast.Name))


@functools.cache
def used_in(path: str) -> frozenset[str]:
    """The names that a file mentions, "module:function" texts included."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found.add(node.name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and ":" in node.value:
            found.update(re.findall(r"\w+", node.value))
    return frozenset(found)


def problem(path: str, name: str) -> str:
    """What is wrong with a reference; empty if nothing is."""
    where = f"`{path}: {name}`" if name else f"`{path}`"
    if path.endswith("/") and any((ROOT / floor / path).is_dir() for floor in FLOORS):  # a folder without its floor
        return ""
    if not (ROOT / path).exists():
        moved = [found for found in ROOT.rglob(Path(path).name) if ".venv" not in found.parts]
        hint = f"; there is {', '.join(str(found.relative_to(ROOT)) for found in moved)}" if moved else ""
        return f"{where}: there is no {path}{hint}{_places(name)}"
    if name and name not in defined_in(path):
        return f"{where}: {path} defines no {name}{_places(name)}"
    return ""


def _places(name: str) -> str:
    """The files that define a name."""
    if not name:
        return ""
    files = (str(path.relative_to(ROOT)) for folder in FLOORS for path in sorted((ROOT / folder).rglob("*.py")))
    places = [file for file in files if name in defined_in(file)]
    return f"; {name} is defined in {', '.join(places) or 'no file'}"


FLOORS = ("experiments", "policies", "envs", "retrieval_index")


def test_every_file_and_name_exists() -> None:
    found = list(references(PROSE))
    assert len(found) > 60
    problems = [wrong for path, name in found if (wrong := problem(path, name))]
    assert not problems, "docs/architecture.md:\n  " + "\n  ".join(problems)


def test_every_name_of_code_is_written_with_its_file() -> None:
    """So that no name escapes the test above; other backticks hold commands and the words listed here."""
    words = {"__all__", "gym.make", "make demo", "make lint", "FILE: NAME"}
    spans = [span for span in re.findall(r"`([^`]+)`", PROSE) if not REFERENCE.fullmatch(f"`{span}`")]
    odd = [span for span in spans if span not in words and not span.startswith(("berrypick ", "--"))]
    assert not odd, f"docs/architecture.md: write these as `file.py: name`: {odd}"


@pytest.mark.parametrize("walk", WALKS)
def test_each_name_of_a_walk_is_used_by_a_file_before_it(walk: str) -> None:
    files: list[str] = []
    unlinked = []
    for path, name in references(WALKS[walk]):
        if not path.endswith(".py") or problem(path, name):
            continue
        short = name.rpartition(".")[2]
        if files and name and not any(short in used_in(file) for file in files):
            unlinked.append(f"`{path}: {name}`: no file named before it in this walk mentions {short}")
        files.append(path)
    assert len(files) > 5
    assert not unlinked, f"docs/architecture.md, {walk}:\n  " + "\n  ".join(unlinked)


def test_the_four_walks_are_there() -> None:
    assert len(WALKS) == 4


def test_the_picture_shows_every_package_once() -> None:
    assert PICTURE
    shown, floor = ["berrypick"], ""
    for line in PICTURE.group(1).splitlines():
        folder = line.split()[0].rstrip("/").replace("/", ".")
        if folder.endswith(".py"):
            continue
        floor = floor if line.startswith(" ") else folder
        shown.append(f"berrypick.{floor}.{folder}" if line.startswith(" ") else f"berrypick.{folder}")
    listed = PROJECT["setuptools"]["packages"]
    assert set(shown) == set(listed), f"missing: {set(listed) - set(shown)}; gone: {set(shown) - set(listed)}"
    assert len(shown) == len(set(shown))


def test_every_import_contract_is_explained() -> None:
    named = [contract["name"].split(":")[0] for contract in PROJECT["importlinter"]["contracts"]]
    rows = re.findall(r"^\| ([^|`]+?) \|", PAGE.split("## The contracts")[1].split("\n\n")[2], re.MULTILINE)
    assert set(rows) - {"contract"} == set(named), "the table of contracts differs from pyproject.toml"


@pytest.mark.slow
def test_a_wrong_reference_would_be_named() -> None:
    assert "there is envs/answers.py" in problem("envs/world/answers.py", "exact_match")
    assert "exact_match is defined in envs/answers.py" in problem("envs/turn.py", "exact_match")
    assert problem("envs/turn.py", "Draft.text") == ""
