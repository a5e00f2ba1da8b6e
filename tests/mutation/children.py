"""Runs tests in forked children of this process, which has the heavy libraries imported already.

A child imports the project afresh; a mutant takes the place of its module by an import hook, so no file is changed.
Tests that start programs of their own run the unchanged code there, which only makes mutants live longer.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .areas import ROOT

__all__ = ["Ended", "import_changed", "in_child", "module_name", "run_pytest", "warm_up"]

LIBRARIES = ("numpy", "torch", "pytest", "hypothesis", "hypothesis.strategies", "hypothesis.stateful", "gymnasium",
             "pydantic", "rich.console", "tyro", "urllib3", "bm25s", "Stemmer", "filelock", "safetensors.torch",
             "transformers", "tokenizers", "psutil")  # fmt: skip
EXTRA_BYTES = 6 << 30


def warm_up() -> None:
    """Imports what all children need, and nothing of the project."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    assert not any(name.partition(".")[0] == "berrypick" for name in sys.modules), "the project is imported already"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: what it returned, None if it did not; whether it was ended at a limit; what it raised."""

    answer: Any
    timed_out: bool
    fault: str


def in_child(task: Callable[[], object], *, cpu_s: float, wall_s: float) -> Ended:
    """Runs a task in a child and returns its JSON answer. Ends the child and its children at either limit."""
    folder = Path(tempfile.mkdtemp(prefix="berrypick-mutant-"))
    answer = folder / "answer.json"
    pid = os.fork()
    if not pid:
        try:
            _prepare(folder, cpu_s)
            _write(answer, task())
        except BaseException:  # a fault of ours, or of a mutant that leaves the process broken
            _write(folder / "fault.json", traceback.format_exc())
        finally:
            os._exit(0)
    ends, status = time.monotonic() + wall_s, None
    while status is None:
        done, code = os.waitpid(pid, os.WNOHANG)
        if done:
            status = code
        elif time.monotonic() > ends:
            _end(pid)
            status = os.waitpid(pid, 0)[1]
        else:
            time.sleep(0.02)
    _end(pid)  # what it started and left
    late = time.monotonic() > ends or (
        os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
    )
    found, fault = (
        (json.loads(file.read_text()) if file.exists() else None) for file in (answer, folder / "fault.json")
    )
    shutil.rmtree(folder, ignore_errors=True)
    return Ended(found, late and found is None, fault or "")


def _write(path: Path, value: object) -> None:
    path.with_suffix(".part").write_text(json.dumps(value))
    os.replace(path.with_suffix(".part"), path)


def _prepare(folder: Path, cpu_s: float) -> None:
    os.setsid()
    os.chdir(ROOT)
    os.environ.update(TMPDIR=str(folder), BERRYPICK_CACHE=str(folder / "cache"), OMP_NUM_THREADS="1")
    tempfile.tempdir = None
    for descriptor in (1, 2):
        os.dup2(os.open(folder / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_s) + 1, int(cpu_s) + 6))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    room = pages * resource.getpagesize() + EXTRA_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (room, room))


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def run_pytest(arguments: Sequence[str], plugin: object) -> int:
    """Runs pytest in this process and returns its exit code. Failing examples are not shrunk."""
    from hypothesis import HealthCheck, Phase, settings

    settings.register_profile(
        "mutation", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow],
        phases=[Phase.explicit, Phase.generate],
    )  # fmt: skip
    words = ["-s", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-profile", "mutation", "--no-header",
             "--tb", "short", "-m", "not lucene and not slow", "-W", "ignore::pytest.PytestAssertRewriteWarning",
             "--basetemp", str(Path(tempfile.gettempdir()) / "tests")]  # fmt: skip
    return int(pytest.main([*words, *arguments], plugins=[plugin]))


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module from a changed syntax tree; its file stays what it is."""

    change: Callable[[str], ast.Module]

    def get_code(self, fullname: str) -> types.CodeType:
        path = self.get_filename(fullname)
        code = compile(self.change(Path(path).read_text()), path, "exec", dont_inherit=True)
        assert isinstance(code, types.CodeType)
        return code


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, changes: Mapping[str, Callable[[str], ast.Module]]) -> None:
        self._changes = {module_name(source): (ROOT / source, change) for source, change in changes.items()}

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._changes:
            return None
        file, change = self._changes[fullname]
        loader = _Loader(fullname, str(file))
        loader.change = change
        package = [str(file.parent)] if file.stem == "__init__" else None
        return importlib.util.spec_from_file_location(fullname, file, loader=loader, submodule_search_locations=package)


def module_name(source: str) -> str:
    """The name of the module in a file of the project."""
    parts = Path(source).with_suffix("").parts
    return ".".join(("berrypick", *(parts[:-1] if parts[-1] == "__init__" else parts)))


def import_changed(changes: Mapping[str, Callable[[str], ast.Module]]) -> None:
    """From now on this process imports modules, by source file, from the tree that a function makes of their text."""
    sys.meta_path.insert(0, _Finder(changes))
