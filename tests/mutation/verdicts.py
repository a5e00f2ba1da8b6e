"""Verdicts on mutants: kept while a run goes on, counted at its end; and the mutants that no test can kill."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .areas import AREAS
from .mutants import Mutant

__all__ = ["Drawn", "Progress", "equivalents", "report_of", "table"]

EQUIVALENT = Path(__file__).with_name("equivalent.json")
STATUSES = ("killed", "timed out", "survived", "equivalent")

Drawn = tuple[str, str, Mutant]
"""Area, file and mutant."""


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


class Progress:
    """The verdicts so far, one per line of a file, so that an interrupted run goes on."""

    def __init__(self, path: Path, *, again: bool) -> None:
        self._path, self._again, self._equivalent = path, again, equivalents()
        self._rows: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.read()
        if again:
            self._rows = {key: row for key, row in self._rows.items() if row["status"] != "survived"}

    def read(self) -> None:
        """Takes in what another process has added."""
        if self._path.exists():
            rows = map(json.loads, self._path.read_text().splitlines())
            self._rows |= {(row["file"], row["scope"], row["text"]): row for row in rows}

    def add(self, one: Drawn, status: str, by: str) -> None:
        area, file, mutant = one
        row = {"area": area, "file": file, "scope": mutant.scope, "operator": mutant.operator,
               "text": mutant.text, "status": status, "by": by}  # fmt: skip
        self._rows[file, mutant.scope, mutant.text] = row
        with self._path.open("a") as lines:
            lines.write(json.dumps(row) + "\n")

    def row(self, one: Drawn) -> dict[str, Any]:
        area, file, mutant = one
        key = (file, mutant.scope, mutant.text)
        names = {"area": area, "file": file, "scope": mutant.scope, "text": mutant.text}
        return names | {"status": "equivalent"} if key in self._equivalent else self._rows[key]

    def is_decided(self, one: Drawn) -> bool:
        key = (one[1], one[2].scope, one[2].text)
        return key in self._equivalent or key in self._rows
