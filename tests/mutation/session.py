"""A pytest session that is collected once and forked for each mutant: quick, because nothing is imported again.

In the child the code of one function is exchanged for the mutant's. Mutants of defaults and of class bodies change the
defaults in place. What was computed at import, such as the values of `parametrize`, stays what it was. A survivor whose
function ran while the tests were collected is therefore left open, as are mutants of module bodies and of what cannot
be exchanged: `__main__` asks about them with a fresh import. All other survivors have survived.
"""

from __future__ import annotations

import builtins
import functools
import gc
import inspect
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import CodeType, FunctionType, SimpleNamespace
from typing import Any

import pytest

from .areas import ROOT
from .children import import_changed, in_child, module_name
from .mutants import Mutant, tree_of
from .touched import NOTE, with_notes

__all__ = ["Collected", "killer_of", "notes_installed"]


SLOW_S = 5.0
"""Tests that take longer, in seconds of CPU, are not asked."""


def notes_installed(sources: Sequence[str]) -> set[str]:
    """Imports the sources so that their functions note each call, from now on, in the set that is returned."""
    notes: set[str] = set()
    setattr(builtins, NOTE, lambda name: notes.add(name))
    import_changed({source: functools.partial(with_notes, source) for source in sources})
    return notes


class Collected:
    """A pytest plugin: calls `work` with itself in place of running the collected tests.

    Args:
        notes: see `notes_installed`.
        work: what to do with the collected tests.
    """

    def __init__(self, notes: set[str], work: Callable[[Collected], None]) -> None:
        self._notes, self._work = notes, work
        self.items: dict[str, pytest.Item] = {}
        self._failed = ""
        self._shared: set[str] = set()
        self._began = self._fixtures_s = 0.0
        self._functions: dict[tuple[str, str], list[FunctionType]] = defaultdict(list)
        self._ran_at_import: frozenset[str] = frozenset()

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("a test file cannot be collected")
        self.items = {item.nodeid: item for item in session.items}
        self._ran_at_import = frozenset(self._notes)
        for function in gc.get_objects():
            if type(function) is FunctionType and function.__code__.co_filename.startswith(str(ROOT)):
                self._functions[function.__code__.co_filename, function.__code__.co_qualname].append(function)
        gc.freeze()  # a collection in a child would touch, and so copy, all of this process's memory
        self._work(self)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed or report.skipped:
            self._failed = self._failed or report.nodeid
        if report.when == "setup":
            self._shared |= self._notes
            self._fixtures_s = max(self._fixtures_s, _used_s() - self._began)

    def _run(self, item: pytest.Item, following: pytest.Item | None) -> None:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)

    def traced(self, test_file: str) -> dict[str, Any]:
        """In a child: what each test of a file calls, how long it takes, and what its fixtures call.

        Tests that fail, are skipped or take longer than SLOW_S are left out.
        """
        signal.signal(signal.SIGPROF, _too_slow)
        items = [item for name, item in self.items.items() if name.partition("::")[0] == test_file]
        tests, failed = {}, []
        for item, following in zip(items, [*items[1:], None], strict=True):
            self._notes.clear()
            self._failed = ""
            began = self._began = _used_s()
            signal.setitimer(signal.ITIMER_PROF, SLOW_S)
            self._run(item, following)
            signal.setitimer(signal.ITIMER_PROF, 0)
            if self._failed:
                failed.append(item.nodeid)
            else:
                tests[item.nodeid] = (round(_used_s() - began, 3), sorted(self._notes))
        return {"tests": tests, "shared": sorted(self._shared), "fixtures_s": self._fixtures_s, "failed": failed}

    def ran_at_import(self, source: str, scope: str) -> bool:
        """Whether a function, or any method of a class, was called while the tests were collected."""
        name = f"{source}::{_outer(scope)}"
        return any(ran == name or ran.startswith(f"{name}.") for ran in self._ran_at_import)

    def first_failing(self, source: str, mutant: Mutant, tests: Mapping[str, float]) -> str:
        """In a child: the first test that fails with the mutant, or takes far longer; empty if none does.

        Args:
            source: the file.
            mutant: of the file.
            tests: test -> its seconds without the mutant.

        Raises:
            LookupError: the mutant cannot be exchanged.
        """
        path = str(ROOT / source)
        tree = tree_of(Path(path).read_text(), mutant.number)
        code = compile(tree, path, "exec", dont_inherit=True)
        if module_name(source) not in sys.modules:  # a test imports it when it runs
            import_changed({source: functools.partial(tree_of, number=mutant.number)})
        live = self._functions.get((path, _outer(mutant.scope)), [])
        if live and mutant.operator != "default":
            codes = {(one.co_qualname, one.co_firstlineno): one for one in _nested(code)}
            inner = f"{_outer(mutant.scope)}.<locals>."
            made = [  # what the function returned at import
                function
                for (file, name), functions in self._functions.items()
                if file == path and name.startswith(inner) and "<lambda>" not in name
                for function in functions
            ]
            for function in (*live, *made):
                old = function.__code__
                function.__code__ = codes[old.co_qualname, old.co_firstlineno]
        elif module_name(source) in sys.modules:
            _exchange_defaults(module_name(source), mutant.scope, code)
        items = [self.items[test] for test in tests]
        signal.signal(signal.SIGPROF, _too_slow)
        for item, following in zip(items, [*items[1:], None], strict=True):
            signal.setitimer(signal.ITIMER_PROF, 2 + 5 * tests[item.nodeid])  # a loop that never ends fails its test
            self._run(item, following)
            signal.setitimer(signal.ITIMER_PROF, 0)
            if self._failed:
                break
        return self._failed


def _too_slow(*_: object) -> None:
    raise TimeoutError("too slow to be asked about every mutant")


def _exchange_defaults(name: str, scope: str, code: CodeType) -> None:
    """Gives a function the defaults, and a class the fields, that it has in another version of its module.

    Raises:
        LookupError: there is no such function or class, or what differs is no default, such as a field's factory.
    """
    module = sys.modules[name]
    new = {key: vars(module)[key] for key in ("__name__", "__package__", "__file__", "__spec__")}
    exec(code, new)
    old_part: Any = module
    new_part: Any = SimpleNamespace(**new)
    for step in scope.split("."):  # no name is a LookupError: what a body of a module computes is spread too widely
        if not hasattr(old_part, step):
            raise LookupError(f"{name} has no {scope}")
        old_part, new_part = getattr(old_part, step), getattr(new_part, step)
    differs = False
    if isinstance(old_part, type):
        for key, value in vars(new_part).items():
            if isinstance(value, bool | int | float | str | None) and not key.startswith("__"):
                differs |= getattr(old_part, key) != value
                setattr(old_part, key, value)
        old_part, new_part = old_part.__init__, new_part.__init__
    old_part, new_part = inspect.unwrap(old_part), inspect.unwrap(new_part)
    differs |= _plain(old_part) != _plain(new_part)
    old_part.__defaults__, old_part.__kwdefaults__ = new_part.__defaults__, new_part.__kwdefaults__
    if not differs:
        raise LookupError(f"no default of {scope} differs")


def _plain(function: FunctionType) -> str:
    """The defaults of a function, but for objects that are made anew with each version."""
    values = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    return repr([value for value in values if isinstance(value, bool | int | float | str | tuple | None)])


def _used_s() -> float:
    """CPU seconds of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


def _outer(scope: str) -> str:
    """The outermost function of a scope: its code holds that of the functions in it."""
    return scope.partition(".<locals>")[0]


def _nested(code: CodeType) -> list[CodeType]:
    below = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return [code, *(deeper for one in below for deeper in _nested(one))]


def killer_of(collected: Collected, source: str, mutant: Mutant, tests: Mapping[str, float]) -> tuple[str, str]:
    """(status, test) of a mutant in a fork of this process: "killed", "timed out", "survived", or "" if it is open."""
    task = functools.partial(collected.first_failing, source, mutant, tests)
    seconds = sum(tests.values())
    ended = in_child(task, cpu_s=5 + 5 * seconds, wall_s=900 + 20 * seconds)
    if ended.timed_out:
        return "timed out", ""
    if ended.answer or (ended.answer is None and not ended.fault):
        return "killed", ended.answer or "the process ended"
    return ("" if ended.fault or collected.ran_at_import(source, mutant.scope) else "survived"), ""
