"""Mutation testing: changes the code in one place at a time and asks whether a test notices.

    python -m tests.mutation --mutants 300 --seed 1

Draws mutants of the areas at random, runs the tests that call the changed function, the nearest first, and writes
`results/reliability/mutants.json`. An interrupted run goes on where it was; `--again` repeats the survivors, after
tests were written. Mutants that no test can kill are listed in equivalent.json with the reason, and count neither way.
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from .areas import AREAS, ROOT, TESTS, files_of, nearness
from .children import import_mutant, in_child, pytest_in_child, warm_up
from .mutants import Mutant, mutants_of
from .touched import Touched, touched_by

EQUIVALENT = Path(__file__).with_name("equivalent.json")
RING_S = 60.0
"""Seconds of tests, as traced, that a mutant meets in each of three rings at most."""
STATUSES = ("killed", "timed out", "survived", "equivalent")


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


def all_mutants() -> list[tuple[str, str, Mutant]]:
    """(area, file, mutant) of all areas, in a fixed order."""
    return [
        (area, file, mutant)
        for area in AREAS
        for file in files_of(area)
        for mutant in mutants_of((ROOT / file).read_text())
    ]


def rings_of(file: str, scope: str, touched: Touched) -> list[list[str]]:
    """The tests to ask: those that call the function in its folder, those elsewhere, the rest of their files."""
    direct = touched.tests_of(file, scope)

    def cost(test: str) -> tuple[int, float, str]:
        return nearness(test.partition("::")[0], file), touched.seconds[test], test

    files = {test.partition("::")[0] for test in direct}
    rest = {test for name in files for test in touched.of_test_file[name]} - direct
    near = {test for test in direct if cost(test)[0] < 2}
    rings = []
    for ring in (near, direct - near, rest):
        taken, seconds = [], 0.0
        for test in sorted(ring, key=cost):
            if seconds <= RING_S:
                taken.append(test)
                seconds += touched.seconds[test]
        rings.append(taken)
    return rings


def _ask(file: str, number: int, tests: Sequence[str]) -> tuple[int, str]:
    """In a child: pytest's exit code with the mutant, and the test that failed."""
    import_mutant(file, number)
    plugin = Chosen(tests)
    return pytest_in_child(list(dict.fromkeys(test.partition("::")[0] for test in tests)), plugin), plugin.failed


def status_of(file: str, mutant: Mutant, touched: Touched) -> tuple[str, str]:
    """(status, the test that killed it) of a mutant."""
    for tests in rings_of(file, mutant.scope, touched):
        if not tests:
            continue
        expected = sum(touched.seconds[test] for test in tests)
        ended = in_child(
            functools.partial(_ask, file, mutant.number, tests), cpu_s=40 + 3 * expected, wall_s=600 + 10 * expected
        )
        if ended.timed_out:
            return "timed out", ""
        if ended.answer is None:
            return "killed", "the process ended"
        code, failed = ended.answer
        if code not in (0, 5):  # 5: none of the tests is there any more
            return "killed", failed
    return "survived", ""


def equivalents() -> dict[tuple[str, str, str], str]:
    """(file, scope, text) -> why no test can kill the mutant."""
    return {(row["file"], row["scope"], row["text"]): row["reason"] for row in json.loads(EQUIVALENT.read_text())}


def report_of(rows: Sequence[Mapping[str, Any]], seed: int, population: int) -> dict[str, Any]:
    """The counts by area and in all, and the survivors."""

    def counts(part: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        by = Counter(row["status"] for row in part)
        dead, judged = by["killed"] + by["timed out"], sum(by.values()) - by["equivalent"]
        numbers: dict[str, Any] = {"mutants": sum(by.values()), **{status: by[status] for status in STATUSES}}
        return numbers | {"killed_percent": round(100 * dead / judged, 1) if judged else None}

    return {
        "seed": seed,
        "population": population,
        **counts(rows),
        "areas": {area: counts(row for row in rows if row["area"] == area) for area in AREAS},
        "survivors": [f"{row['file']}: {row['scope']}: {row['text']}" for row in rows if row["status"] == "survived"],
    }


def table(report: Mapping[str, Any]) -> str:
    """The report as a table of areas."""
    heads = ("mutants", *STATUSES, "killed_percent")
    lines = [f"{'area':12}" + "".join(f"{head.replace('_percent', ' %'):>12}" for head in heads)]
    for name, row in [*report["areas"].items(), ("all", report)]:
        lines.append(f"{name:12}" + "".join(f"{'-' if row[head] is None else row[head]:>12}" for head in heads))
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description="Mutation testing; see the module.")
    parser.add_argument("--mutants", type=int, default=300, help="how many are drawn")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="repeat the survivors of this seed")
    parser.add_argument("--trace", action="store_true", help="find out anew which tests call what")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "reliability" / "mutants.json")
    args = parser.parse_args(words)
    everything = all_mutants()
    drawn = random.Random(args.seed).sample(everything, min(args.mutants, len(everything)))
    print(f"seed {args.seed}: {len(drawn)} of {len(everything)} mutants", flush=True)
    cache = ROOT / ".cache" / "mutation"
    warm_up()
    sources = [file for area in AREAS for file in files_of(area)]
    touched = touched_by(TESTS, sources, cache, again=args.trace)
    progress, known = cache / f"seed-{args.seed}.jsonl", {}
    if progress.exists():
        rows = [json.loads(line) for line in progress.read_text().splitlines()]
        known = {(row["file"], row["scope"], row["text"]): row for row in rows}
    equivalent, rows = equivalents(), []
    with progress.open("a") as file_of_progress:
        for area, file, mutant in drawn:
            key = (file, mutant.scope, mutant.text)
            row = known.get(key)
            if key in equivalent:
                row = {"area": area, "file": file, "scope": mutant.scope, "text": mutant.text, "status": "equivalent"}
            elif row is None or (args.again and row["status"] == "survived"):
                began = time.monotonic()
                status, by = status_of(file, mutant, touched)
                row = {"area": area, "file": file, "scope": mutant.scope, "operator": mutant.operator,
                       "text": mutant.text, "status": status, "by": by}  # fmt: skip
                file_of_progress.write(json.dumps(row) + "\n")
                file_of_progress.flush()
                seconds = time.monotonic() - began
                print(
                    f"{len(rows) + 1:4} {seconds:5.1f} s {status}: {file}:{mutant.line} {mutant.scope}: {mutant.text}",
                    flush=True,
                )
            rows.append(row)
    report = report_of(rows, args.seed, len(everything))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    print(table(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
