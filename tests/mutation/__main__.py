"""Mutation testing: changes the code in one place at a time and asks whether a test notices.

    python -m tests.mutation --mutants 300 --seed 1

Draws mutants of the areas at random, runs the tests that call the changed function, the nearest first, and writes
`results/reliability/mutants.json`. An interrupted run goes on where it was; `--again` repeats the survivors, after
tests were written. Mutants that no test can kill are listed in equivalent.json with the reason, and count neither way.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import pytest

from .areas import AREAS, ROOT, files_of, nearness
from .children import import_changed, in_child, run_pytest, warm_up
from .mutants import Mutant, mutants_of, tree_of
from .session import Collected, killer_of, notes_installed
from .touched import Touched, cached_files
from .verdicts import Drawn, Progress, report_of, table

LIMITS_S = (10.0, 10.0, 5.0)
"""Seconds of tests, as traced, that a mutant meets at most in each ring."""


class Chosen:
    """A pytest plugin: runs the chosen tests only, in their order, and notes the first that fails."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._rank = {test: at for at, test in enumerate(tests)}
        self.failed = ""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._rank), key=lambda item: self._rank[item.nodeid]
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid


def all_mutants() -> list[Drawn]:
    """(area, file, mutant) of all areas, in a fixed order."""
    return [
        (area, file, mutant)
        for area in AREAS
        for file in files_of(area)
        for mutant in mutants_of((ROOT / file).read_text())
    ]


def draw(everything: Sequence[Drawn], seed: int, number: int) -> list[Drawn]:
    """A random sample. A change of the code replaces only mutants of the changed lines; a larger number only adds."""

    def rank(one: Drawn) -> str:
        _, file, mutant = one
        return hashlib.sha256(f"{seed}:{file}:{mutant.scope}:{mutant.text}".encode()).hexdigest()

    return sorted(everything, key=rank)[:number]


def rings_of(file: str, mutant: Mutant, touched: Touched, limits: Sequence[float] = LIMITS_S) -> list[list[str]]:
    """The tests to ask: those that call the function in its folder, those elsewhere, the rest of their files."""
    direct = touched.tests_of(file, mutant.scope)

    callers = frozenset(direct)

    def cost(test: str) -> tuple[int, bool, float, str]:
        return nearness(test.partition("::")[0], file), test not in callers, touched.seconds[test], test

    if mutant.operator == "default":  # may be read without a call, as documentation is
        direct |= {test for test in touched.seconds if cost(test)[0] < 2}
    files = {test.partition("::")[0] for test in direct}
    rest = {test for name in files for test in touched.of_test_file[name]} - direct
    near = {test for test in direct if cost(test)[0] < 2}
    rings = []
    for ring, limit in zip((near, direct - near, rest), limits):
        taken, opened, spent = list[str](), set[str](), 0.0
        for test in sorted(ring, key=cost):
            name = test.partition("::")[0]
            price = touched.seconds[test] + (0.0 if name in opened else touched.fixture_seconds[name])
            if spent + price <= limit:
                taken.append(test)
                opened.add(name)
                spent += price
        rings.append(taken)
    return rings


def _ask(file: str, number: int, tests: Sequence[str]) -> tuple[int, str]:
    """In a child: pytest's exit code with the mutant, and the test that failed."""
    import_changed({file: functools.partial(tree_of, number=number)})
    plugin = Chosen(tests)
    return run_pytest(list(dict.fromkeys(test.partition("::")[0] for test in tests)), plugin), plugin.failed


def status_of(file: str, mutant: Mutant, touched: Touched) -> tuple[str, str]:
    """(status, the test that killed it) of a mutant, in one process that imports the project afresh."""
    tests = [test for ring in rings_of(file, mutant, touched) for test in ring]
    if not tests:
        return "survived", ""
    expected = sum(touched.seconds[test] for test in tests)
    ended = in_child(
        functools.partial(_ask, file, mutant.number, tests), cpu_s=60 + 3 * expected, wall_s=900 + 10 * expected
    )
    if ended.timed_out:
        return "timed out", ""
    if ended.fault:
        raise RuntimeError(f"{file}: {mutant.scope}: {mutant.text}: {ended.fault}")
    if ended.answer is None:
        return "killed", "the process ended"
    code, failed = ended.answer
    return ("survived", "") if code in (0, 5) else ("killed", failed)  # 5: none of the tests is there any more


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _name(one: Drawn) -> str:
    return f"{one[1]}:{one[2].line} {one[2].scope}: {one[2].text}"


def ask_in_session(waiting: Sequence[Drawn], cache: Path, progress: Progress) -> None:
    """Traces the test files that are not in the cache, then asks about the mutants, in a session of a child.

    Raises:
        RuntimeError: a test file cannot be collected.
    """
    files = cached_files(cache)

    def work(collected: Collected) -> None:
        for name, kept in files.items():
            if not kept.exists():
                began = time.monotonic()
                ended = in_child(functools.partial(collected.traced, name), cpu_s=600, wall_s=3600)
                found = ended.answer or {"tests": {}, "shared": [], "failed": [ended.fault or "did not end"]}
                kept.write_text(json.dumps(found))
                cpu = sum(seconds for seconds, _ in found["tests"].values())
                took = f"{cpu:.0f} of {time.monotonic() - began:.0f} s"
                _say(f"traced {name}: {len(found['tests'])} tests, {took}, left out: {found['failed']}")
        touched = Touched({name: json.loads(kept.read_text()) for name, kept in files.items()})
        for at, one in enumerate(waiting):
            _, file, mutant = one
            tests = [test for ring in rings_of(file, mutant, touched) for test in ring]
            if not tests or not mutant.scope:
                continue
            began = time.monotonic()
            status, by = killer_of(collected, file, mutant, {test: touched.seconds[test] for test in tests})
            if status:
                progress.add(one, status, by)
            _say(f"{at + 1} of {len(waiting)}, {time.monotonic() - began:.1f} s: {status or 'open'}: {_name(one)}")

    pid = os.fork()
    if not pid:
        code = 99
        try:
            notes = notes_installed([file for area in AREAS for file in files_of(area)])
            code = run_pytest(list(files), Collected(notes, work))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    if (code := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])) not in (0, 5):
        raise RuntimeError(f"the session of tests ended with {code}")


def ask(waiting: Sequence[Drawn], cache: Path, progress: Progress, *, quick: bool) -> None:
    """Gives all mutants that wait a verdict: in one session, and those that it leaves open after a fresh import."""
    warm_up()
    ask_in_session(waiting, cache, progress)
    progress.read()
    touched = Touched({name: json.loads(kept.read_text()) for name, kept in cached_files(cache).items()})
    for at, one in enumerate([one for one in waiting if not progress.is_decided(one)]):
        began = time.monotonic()
        status, by = ("survived", "") if quick else status_of(one[1], one[2], touched)
        progress.add(one, status, by)
        _say(f"{at + 1}, {time.monotonic() - began:.1f} s: {status}: {_name(one)}")


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description="Mutation testing; see the module.")
    parser.add_argument("--mutants", type=int, default=300, help="how many are drawn")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="repeat the survivors of this seed")
    parser.add_argument("--quick", action="store_true", help="no fresh imports: what the session leaves open survives")
    parser.add_argument("--trace", action="store_true", help="find out anew which tests call what")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "reliability" / "mutants.json")
    args = parser.parse_args(words)
    everything = all_mutants()
    drawn = draw(everything, args.seed, args.mutants)
    print(f"seed {args.seed}: {len(drawn)} of {len(everything)} mutants", flush=True)
    cache = ROOT / ".cache" / "mutation"
    cache.mkdir(parents=True, exist_ok=True)
    if args.trace:
        for kept in cached_files(cache).values():
            kept.unlink(missing_ok=True)
    progress = Progress(cache / f"seed-{args.seed}.jsonl", again=args.again)
    waiting = [one for one in drawn if not progress.is_decided(one)]
    if waiting:
        ask(waiting, cache, progress, quick=args.quick)
    report = report_of([progress.row(one) for one in drawn], args.seed, len(everything))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    print(table(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
