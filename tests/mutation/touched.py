"""Which tests run which functions: found once per test file by functions that note their calls, and kept in a cache.

The cache of a test file is valid as long as its text is. Changed code can make it stale; a mutant then meets fewer
tests than it might, and lives longer. `--trace` makes it anew.
"""

from __future__ import annotations

import ast
import hashlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .areas import NOT_ASKED, ROOT, TESTS

__all__ = ["NOTE", "Touched", "cached_files", "with_notes"]

NOTE = "__note_of_a_call__"


def with_notes(source: str, text: str) -> ast.Module:
    """A module in which each function first calls NOTE with "source::qualified name"."""
    tree = ast.parse(text)

    def visit(node: ast.AST, inner: str) -> None:
        for child in ast.iter_child_nodes(node):
            below = inner
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                below = f"{inner}{child.name}.<locals>."
                note = ast.parse(f"{NOTE}({f'{source}::{inner}{child.name}'!r})").body[0]
                child.body.insert(0 if ast.get_docstring(child) is None else 1, note)
            elif isinstance(child, ast.ClassDef):
                below = f"{inner}{child.name}."
            visit(child, below)

    visit(tree, "")
    return ast.fix_missing_locations(tree)


class Touched:
    """The tests of a set of files, by what they run.

    Args:
        files: test file -> {"tests": test -> [seconds, functions], "shared": functions that fixtures call}.
    """

    def __init__(self, files: Mapping[str, Mapping[str, Any]]) -> None:
        self.seconds: dict[str, float] = {}
        self.fixture_seconds: dict[str, float] = {}  # the longest setup of a file
        self.of_function: dict[str, set[str]] = defaultdict(set)
        self.of_file: dict[str, set[str]] = defaultdict(set)
        self.of_test_file: dict[str, set[str]] = defaultdict(set)
        for name, found in files.items():
            self.fixture_seconds[name] = found.get("fixtures_s", 0.0)
            for test, (seconds, functions) in found["tests"].items():
                self.seconds[test] = seconds
                self.of_test_file[name].add(test)
                for function in {*functions, *found["shared"]}:
                    self.of_function[function].add(test)
                    self.of_file[function.partition("::")[0]].add(test)

    def tests_of(self, source: str, scope: str) -> set[str]:
        """The tests that call a function or any method of a class; if there are none, all that call something there."""
        name = f"{source}::{scope}"
        direct = set(self.of_function.get(name, ()))
        for function, tests in self.of_function.items():
            if scope and function.startswith(f"{name}."):
                direct |= tests
        return direct or set(self.of_file.get(source, ()))


def cached_files(cache: Path) -> dict[str, Path]:
    """Test file -> where what it touches is kept, whether it is there yet or not."""
    files = sorted({path for pattern in TESTS for path in ROOT.glob(pattern)})
    names = [name for path in files if (name := str(path.relative_to(ROOT))) not in NOT_ASKED]
    digests = [hashlib.sha256((name + (ROOT / name).read_text()).encode()).hexdigest() for name in names]
    return {name: cache / f"{digest[:16]}.json" for name, digest in zip(names, digests, strict=True)}
