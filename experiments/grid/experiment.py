"""An experiment: cells that are computed once, and a report of whatever is there."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ..report.format import Report

__all__ = ["Cell", "CellResult", "Experiment", "Report", "Results", "Scale"]

Scale = Literal["smoke", "small", "full"]

CellResult: TypeAlias = dict[str, Any]
"""What a cell computed, JSON-able; a grid's cells have {"checkpoints": {step: {measure: value}}} and more."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The smallest piece that is resumed: one arm in one condition at one strength, in one replicate.

    Attributes:
        key: a file name below `cells/`, unique; "/" makes folders.
        config: JSON-able; together with the experiment's version it decides the result.
    """

    key: str
    config: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """A hash of the configuration: a stored result with another digest is refused."""
        return hashlib.sha256(json.dumps(self.config, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(slots=True)
class Results:
    """What was computed, and what failed.

    Attributes:
        done: cell key -> its result.
        failed: cell key -> one line about the crash.
        not_run: keys of cells without a result that have not failed.
        under_way: those of them that another process is computing.
    """

    done: dict[str, CellResult] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    not_run: list[str] = field(default_factory=list)
    under_way: list[str] = field(default_factory=list)


class Experiment(ABC):
    """One question. A subclass says which cells there are, how one is computed, and what the report says.

    Attributes:
        name: what `berrypick run` calls it.
        summary: one line.
        version: raised by every change that changes a number; results of another version are refused.
    """

    name: str
    summary: str
    version: int = 1

    @abstractmethod
    def cells(self, scale: Scale, num_seeds: int) -> Sequence[Cell]:
        """All cells of a scale."""

    @abstractmethod
    def run_cell(self, cell: Cell, work: Path) -> CellResult:
        """Computes a cell; `work` is its own folder, for what must survive an interruption."""

    @abstractmethod
    def report(self, results: Results, scale: Scale, num_seeds: int) -> Report:
        """The report of whatever is there; "text" is what the terminal shows."""

    def require(self, cells: Sequence[Cell]) -> None:  # noqa: B027
        """Raises BerrypickError, before the first cell, if something that all of them need is missing."""

    def write_files(self, results: Results, report: Report, out: Path) -> None:  # noqa: B027
        """Writes figures, values per world and whatever else belongs beside report.json."""

    def pages(self, report: Report, results: Path | None = None) -> Mapping[str, str]:
        """File names below `docs/` and their text, made from the report and from other published results alone.

        Args:
            report: of this experiment.
            results: the folder of all published results, where there is one.
        """
        return {}
