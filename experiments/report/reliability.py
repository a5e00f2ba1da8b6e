"""Writes docs/reliability.md from the counts in results/reliability, each file of which is one section:
`python -m berrypick.experiments.report.reliability > docs/reliability.md`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .format import markdown_table

__all__ = ["COUNTS", "reliability_page"]

COUNTS = Path(__file__).resolve().parents[2] / "results" / "reliability"
"""Folder of the counts."""

Counts = Mapping[str, Any]

_HEAD = """# Reliability

<!-- generated: python -m berrypick.experiments.report.reliability > docs/reliability.md -->

- A kill, a full disk or a failing write loses no result. The same command, with `--resume` where there is one, goes on
  and ends with the same bytes as an undisturbed run.
- Damage is named. Checkpoints, cells, index files, rows of `rollouts.jsonl` and of `metrics.jsonl` have checksums.
- Files and requests of strangers give an answer or one line with the cure, never a traceback.

The tables count what was tried, and how often one of these sentences was false. The tests of `make test-all` repeat a
sample of it; the commands repeat all. They need Linux and a C compiler.
"""

_FAULTS = """## Kills and failing disks

A library that is loaded before the program counts its file operations: create, write, fsync, rename, unlink, mkdir,
truncate. In each of five modes, every operation is struck once: the process is killed before it, in the middle of it or
after it; from it on the disk is full; or it fails once. Then the work runs again, undisturbed. Lost is every case that
ends with another exit code than 0 or 2, with a traceback, with other bytes, or with a file left over.
"""

_FAULTS_COMMAND = """
    BERRYPICK_FAULTS=all pytest -m slow tests/reliability/test_faults.py
"""

_FLIPS = """## Damaged files

Bits are flipped and files are cut, also at line ends. Named: a message tells the file. Harmless: what is read is what
was written. Silent: something else is read, and nothing is said.
"""

_FUZZ = """## Hostile inputs

Generated and mutated inputs. Wrong is a traceback, a hang, or an answer that a second reader does not give.
"""

_SERVER = """## A server under attack

Small requests of good clients, with and without attackers that hold themselves to a share of a core: headers and bodies
that never end, floods of connections, huge requests, and clients that hang up. Medians over rounds.
"""

_MUTANTS = """## Do the tests notice?

Small random changes of the code that computes objectives, metrics, frontier, rewards, episodes and claims. A change is
killed if a test fails with it. Equivalent changes alter no behaviour; each is listed with its reason.
"""

_SOAK = """## Long runs

One process evaluates, trains and reports in turn, over a server that it also sends requests, some of them malformed.
After a warm-up, memory and open handles of both must stay flat, and no file may be left over.
"""


def reliability_page(folder: Path = COUNTS) -> str:
    """The page as Markdown, from the counts that are in a folder."""
    parts = [_HEAD]
    for name, section in _SECTIONS.items():
        file = folder / f"{name}.json"
        if file.is_file():
            parts += section(json.loads(file.read_text(encoding="utf-8")))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _faults(counts: Counts) -> list[str]:
    rows = [[f"`{work}`", *_numbers(row, "operations", "tried", "wrong")] for work, row in counts.items()]
    table = markdown_table(["work", "operations", "tried", "lost"], [*rows, _total(rows)])
    idle = [
        f"`{work}` writes no file, so there is nothing to strike." for work, row in counts.items() if not row["tried"]
    ]
    return [_FAULTS, table, *idle, _FAULTS_COMMAND]


def _flips(counts: Counts) -> list[str]:
    columns = ("tried", "named", "harmless", "silent")
    rows = [[name, *_numbers(row, *columns)] for name, row in counts["artefacts"].items()]
    return [_FLIPS, markdown_table(["artefact", *columns], [*rows, _total(rows)]), *_repeat(counts)]


def _fuzz(counts: Counts) -> list[str]:
    rows = [[name, f"{number:,}"] for name, number in counts["inputs"].items()]
    table = markdown_table(["reader", "inputs"], [*rows, _total(rows)])
    return [_FUZZ, table, f"Wrong: {counts['wrong']} (seed {counts['seed']}).", *_repeat(counts)]


def _server(counts: Counts) -> list[str]:
    rows = [[words, _plain(counts[key])] for key, words in _SERVER_ROWS.items() if key in counts]
    return [_SERVER, markdown_table(["what", "value"], rows), *_repeat(counts)]


_SERVER_ROWS = {
    "calm_p50_ms": "median wait, calm (ms)",
    "attack_p50_ms": "median wait, under attack (ms)",
    "calm_p99_ms": "99th percentile, calm (ms)",
    "attack_p99_ms": "99th percentile, under attack (ms)",
    "ratio": "99th percentile, attack / calm",
    "attackers_cpu_share": "cores that the attackers used",
    "right_answers": "right answers",
    "wrong_answers": "wrong answers",
    "refused": "refused",
    "cut_off": "cut off",
}


def _mutants(counts: Counts) -> list[str]:
    columns = ("mutants", "killed", "timed out", "survived", "equivalent", "killed_percent")
    areas = [[name, *(_plain(row.get(key)) for key in columns)] for name, row in counts.get("areas", {}).items()]
    total = ["all", *(_plain(counts.get(key)) for key in columns)]
    heads = ["area", *(column.replace("killed_percent", "killed %") for column in columns)]
    seed = f"Seed {counts.get('seed')}, of {_plain(counts.get('population'))} possible changes."
    return [_MUTANTS, markdown_table(heads, [*areas, total]), seed, *_repeat(counts)]


def _soak(counts: Counts) -> list[str]:
    rows = [
        [name, *(_plain(row.get(key)) for key in ("warm_mib", "end_mib", "slope_kib_per_cycle", "handles_gained"))]
        for name, row in counts["processes"].items()
    ]
    heads = ["process", "MiB after the warm-up", "MiB at the end", "KiB gained per cycle", "handles gained"]
    did = f"{_plain(counts['seconds'])} s, {_plain(counts['cycles'])} cycles, {_plain(counts['requests'])} requests"
    return [_SOAK, markdown_table(heads, rows), f"{did}; files left over: {counts['left_over']}.", *_repeat(counts)]


_SECTIONS: Mapping[str, Callable[[Counts], list[str]]] = {
    "faults": _faults,
    "flips": _flips,
    "fuzz": _fuzz,
    "server": _server,
    "soak": _soak,
    "mutants": _mutants,
}
"""Name of a file of counts -> what makes its section."""


def _repeat(counts: Counts) -> list[str]:
    """The command that repeats it, if the counts tell it."""
    return [f"    {counts['command']}"] if counts.get("command") else []


def _numbers(row: Counts, *keys: str) -> list[str]:
    return [f"{row[key]:,}" for key in keys]


def _total(rows: list[list[str]]) -> list[str]:
    sums = [sum(int(row[at].replace(",", "")) for row in rows) for at in range(1, len(rows[0]))]
    return ["all", *(f"{number:,}" for number in sums)]


def _plain(value: object) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int | float) else str(value)


if __name__ == "__main__":
    sys.stdout.write(reliability_page())
