"""What an experiment is: cells that are computed once, and a report of whatever is there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

__all__ = ["Cell", "Experiment", "Results", "Scale", "failure_lines"]

Scale = Literal["smoke", "small", "full"]


@dataclass(frozen=True, slots=True)
class Cell:
    """The smallest piece that is resumed: one arm in one condition at one strength and seed.

    Attributes:
        key: a file name below `cells/`, unique; "/" makes folders.
        config: JSON-able; together with the experiment's version it decides the result.
    """

    key: str
    config: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Of the configuration."""
        return hashlib.sha256(json.dumps(self.config, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(slots=True)
class Results:
    """What was computed, and what failed.

    Attributes:
        done: cell key -> its result.
        failed: cell key -> one line about the crash.
        not_run: keys of cells without a result that have not failed.
        under_way: those of them that another process is computing.
        earlier: published results of the same experiment, whose report speaks for cells that they do not keep.
    """

    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    not_run: list[str] = field(default_factory=list)
    under_way: list[str] = field(default_factory=list)
    earlier: Path | None = None


def failure_lines(failed: Mapping[str, str]) -> list[str]:
    """A line a reason: the first cell that failed of it, and how many more."""
    by_reason: dict[str, list[str]] = {}
    for key, why in failed.items():
        by_reason.setdefault(why, []).append(key)
    return [
        f"failed: {keys[0]}{f' and {len(keys) - 1} more' if len(keys) > 1 else ''}: {why}"
        for why, keys in by_reason.items()
    ]


class Experiment(Protocol):
    """One question, one file."""

    @property
    def name(self) -> str:
        """What `berrypick run` calls it."""
        ...

    @property
    def summary(self) -> str:
        """One line."""
        ...

    @property
    def version(self) -> int:
        """Raised by every change that changes a number; results of another version are refused."""
        ...

    def cells(self, scale: Scale, num_seeds: int) -> Sequence[Cell]:
        """All cells of a scale."""
        ...

    def require(self, cells: Sequence[Cell]) -> None:
        """Raises BerrypickError, before the first cell, where what all of them need is not there."""
        ...

    def require_earlier(self, earlier: Path, scale: Scale, num_seeds: int) -> None:
        """Raises BerrypickError where a folder of published results cannot speak for cells that are not run here."""
        ...

    def run_cell(self, cell: Cell, work: Path) -> dict[str, Any]:
        """The JSON-able result of a cell; `work` is a folder of its own for what must survive an interruption."""
        ...

    def report(self, results: Results, scale: Scale, num_seeds: int) -> dict[str, Any]:
        """The report of whatever is there."""
        ...

    def write_files(self, results: Results, report: Mapping[str, Any], out: Path) -> None:
        """Pictures, per-seed values and whatever else stands beside report.json."""
        ...

    def pages(self, report: Mapping[str, Any]) -> Mapping[str, str]:
        """File names below `docs/` and their text, made of the report alone."""
        ...
