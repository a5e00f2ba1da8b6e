"""The Hivemind experiment's kind: a `PanelSystem` with one cell of rollouts on a real corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..grid.experiment import Cell, CellResult, Results, Scale
from ..grid.panel_system import PanelSystem
from ..report.format import Report
from .rollouts import ROLLOUTS, rollout_cells, rollout_section, run_rollout_cell

__all__ = ["Hivemind"]


@dataclass(frozen=True)
class Hivemind(PanelSystem):
    """Adds to the grid, at scale full, the similarity of rollouts on a real corpus; no claim reads it."""

    def cells(self, scale: Scale, num_seeds: int) -> Sequence[Cell]:
        """The grid, then the rollouts."""
        return [*super().cells(scale, num_seeds), *(rollout_cells() if scale == "full" else ())]

    def run_cell(self, cell: Cell, work: Path) -> CellResult:
        """A cell of the grid, or the rollouts."""
        return run_rollout_cell(cell) if cell.config["policy"] == ROLLOUTS else super().run_cell(cell, work)

    def report(self, results: Results, scale: Scale, num_seeds: int) -> Report:
        """The grid's report, with "rollouts": the cell's result, {} before it has been run."""
        (cell,) = rollout_cells()
        found = results.done.get(cell.key, {})
        kept = {name: value for name, value in found.items() if name != "checkpoints"}
        return {**super().report(results, scale, num_seeds), "rollouts": kept}

    def pages(self, report: Report, results: Path | None = None) -> Mapping[str, str]:
        """The page of a system, with a section on the rollouts."""
        section = rollout_section(report["rollouts"])
        return {
            name: text.replace("\n## Limits\n", f"\n{section}\n\n## Limits\n", 1).replace(
                "![Published and ours]", "![Similarity of pairs of policies, by what they share]", 1
            )
            for name, text in super().pages(report, results).items()
        }
