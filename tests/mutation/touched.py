"""Which tests run which functions: found once per test file by tracing calls, and kept in a cache.

The cache of a test file is valid as long as its text is. Changed code can make it stale; a mutant then meets fewer
tests than it might, and lives longer. `--trace` makes it anew.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from .areas import ROOT
from .children import in_child, pytest_in_child

__all__ = ["Touched", "Traced", "touched_by"]

TRACE_S = 900


class Traced:
    """A pytest plugin: notes for each test its time and the functions of some files that it calls.

    Functions that are called when a file is collected or a fixture is set up count for all tests of the file.
    """

    def __init__(self, sources: Iterable[str]) -> None:
        self._names = {str(ROOT / source): source for source in sources}
        self._now: set[str] = set()
        self.shared: set[str] = self._now
        self.functions: dict[str, set[str]] = {}
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    def start(self) -> None:
        """Traces all calls of this thread and later ones."""
        threading.settrace(self._on_call)
        sys.settrace(self._on_call)

    def _on_call(self, frame: FrameType, event: str, argument: object) -> None:
        source = self._names.get(frame.f_code.co_filename)
        if source is not None and frame.f_code.co_flags & inspect.CO_OPTIMIZED:  # not the body of a module or class
            self._now.add(f"{source}::{frame.f_code.co_qualname}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Any:
        self._now = self.functions[item.nodeid] = set()
        began = time.process_time()
        self.start()  # whatever the test before did to tracing
        try:
            return (yield)
        finally:
            self._now = self.shared
            self.seconds[item.nodeid] = time.process_time() - began

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed or report.skipped:
            self.failed.add(report.nodeid)


class Touched:
    """The tests of a set of files, by what they run."""

    def __init__(self, files: dict[str, dict[str, Any]]) -> None:
        self.seconds: dict[str, float] = {}
        self.of_function: dict[str, set[str]] = defaultdict(set)
        self.of_file: dict[str, set[str]] = defaultdict(set)
        self.of_test_file: dict[str, set[str]] = defaultdict(set)
        for name, found in files.items():
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


def touched_by(test_paths: Sequence[str], sources: Sequence[str], cache: Path, *, again: bool = False) -> Touched:
    """Traces the test files that are not in the cache, a child each, and says so on stderr."""
    cache.mkdir(parents=True, exist_ok=True)
    files: dict[str, dict[str, Any]] = {}
    for path in test_paths:
        whole = ROOT / path
        for file in [whole] if whole.is_file() else sorted(whole.rglob("test_*.py")):
            name = str(file.relative_to(ROOT))
            kept = cache / f"{hashlib.sha256((name + file.read_text()).encode()).hexdigest()[:16]}.json"
            if again or not kept.exists():
                began = time.monotonic()
                ended = in_child(functools.partial(_trace, name, sources), cpu_s=TRACE_S, wall_s=4 * TRACE_S)
                found = ended.answer or {"tests": {}, "shared": [], "failed": ["did not end"]}
                kept.write_text(json.dumps(found))
                took = time.monotonic() - began
                print(
                    f"traced {name}: {len(found['tests'])} tests, {took:.0f} s, left out: {found['failed']}",
                    file=sys.stderr,
                )
            files[name] = json.loads(kept.read_text())
    return Touched(files)


def _trace(name: str, sources: Sequence[str]) -> dict[str, Any]:
    plugin = Traced(sources)
    plugin.start()
    pytest_in_child(["--maxfail=10000", name], plugin)
    sys.settrace(None)
    whole = [test for test in plugin.functions if test not in plugin.failed]
    return {
        "tests": {test: (round(plugin.seconds[test], 3), sorted(plugin.functions[test])) for test in whole},
        "shared": sorted(plugin.shared),
        "failed": sorted(plugin.failed),
    }
