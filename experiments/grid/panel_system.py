"""A published system that compares policies with each other: methods one by one, and panels of many policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..report.format import Report
from .arms import Arm
from .experiment import Cell, CellResult, Results
from .pair_figure import write_pair_figure
from .panel_cells import run_panel_cell
from .system import SystemExperiment
from .table_cells import TableCell

__all__ = ["PANEL", "PanelSystem"]

PANEL = "panel"
"""The arm whose cells are panels; see `run_panel_cell`."""


@dataclass(frozen=True)
class PanelSystem(SystemExperiment):
    """A `SystemExperiment` of which one arm is a panel, and whose figure shows the similarity of pairs by their type.

    Attributes:
        panel: name -> arm of the methods that train in a panel.
        shown: condition of a panel -> its name in the figure.
    """

    panel: Mapping[str, Arm] = field(default_factory=dict)
    shown: Mapping[str, str] = field(default_factory=dict)

    def run_cell(self, cell: Cell, work: Path) -> CellResult:
        """Trains and measures one arm, or a panel."""
        if cell.config.get("arm") == PANEL:
            return run_panel_cell(TableCell.from_config(cell.config), self.panel)
        return super().run_cell(cell, work)

    def write_files(self, results: Results, report: Report, out: Path) -> None:
        """The cells, and the figure of pairs."""
        super().write_files(results, report, out)
        write_pair_figure(report, PANEL, self.shown, out / "figures", self.name)
