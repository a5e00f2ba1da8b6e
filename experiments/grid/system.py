"""A published system in one file: what it claims, how it is tried here, and what its page says.

A file declares one `SystemExperiment`: conditions, arms and contrasts as any grid, measures of its own if it needs
them, the published figures with their counterparts, and the texts of its page. Cells, pilot, report, verdicts, screen,
figure and page follow from these.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..report.format import Report
from .cell_store import write_cells
from .contrasts import Contrast
from .experiment import CellResult, Results
from .grid_experiment import GridExperiment
from .report import Reported, is_pilot
from .system_figure import write_system_figure
from .system_page import system_page, system_screen
from .system_parts import Panel, Published, SystemTable

__all__ = ["SystemExperiment"]


def _no_sentences(report: Report) -> Sequence[str]:
    return ()


CELL_DIGITS = 6
"""After the decimal point, in published cells."""


@dataclass(frozen=True)
class SystemExperiment(GridExperiment):
    """A grid whose page sets published figures beside ours.

    Attributes:
        plain: the three sentences in plain words at the top of the page, from the report: what the system is for, what
            was found, and where that ends.
        published: figures of the paper; None if none has a counterpart.
        tables: of the page.
        panels: of the figure, after the published figures.
        limits: what the experiment cannot say; one sentence each.
        corrections: mistakes that were found after the registration, and what was done about them.
        reproduced: key of the cell that the page shows how to compute again.
    """

    with_pilot: bool = True
    plain: Callable[[Report], Sequence[str]] = _no_sentences
    published: Published | None = None
    tables: tuple[SystemTable, ...] = ()
    panels: tuple[Panel, ...] = ()
    limits: tuple[str, ...] = ()
    corrections: tuple[str, ...] = ()
    reproduced: str = ""

    @property
    def language_about(self) -> str:
        """See `LanguageCells.about`; "" without language models."""
        return "" if self.language is None else self.language.about

    def reported(self) -> Reported:
        """Beside all measures, the differences of those that the figure and the published figures are of."""
        shown = [panel.measure for panel in self.panels] + [
            panel.reference[1] for panel in self.panels if panel.reference
        ]
        beside = self.published.columns.values() if self.published else ()
        return Reported(self.measures, self.language_measures, tuple(dict.fromkeys(("pass@1", *shown, *beside))))

    def headline(self, report: Report) -> str:
        """The sentences in plain words, or what any grid says."""
        return " ".join(self.plain(report)) or super().headline(report)

    def further_tables(self, report: Report) -> Sequence[str]:
        """What the pilot said."""
        return system_screen(report)

    def write_files(self, results: Results, report: Report, out: Path) -> None:
        """The cells themselves, from which every value per world can be read, and the figure."""
        cells = [cell for cell in self.cells(report["scale"], report["seeds"]) if not is_pilot(cell)]
        wanted = {*self.reported().compared, *(name for one in self.contrasts for name in _read_along_the_way(one))}
        few = Results(
            {cell.key: _thinned(results.done[cell.key], wanted) for cell in cells if cell.key in results.done}
        )
        write_cells(self, few, cells, out / "grid_cells.jsonl.xz", digits=CELL_DIGITS)
        write_system_figure(report, self.published, self.panels, out / "figures", self.name)

    def pages(self, report: Report, results: Path | None = None) -> Mapping[str, str]:
        """One page, docs/NAME.md."""
        return {f"{self.name}.md": system_page(report, self, self.headline(report))}


def _read_along_the_way(one: Contrast) -> set[str]:
    """The measures whose values between the first and the last checkpoint a contrast may read."""
    return {one.measure, *one.needs, one.held_equal}


def _thinned(result: CellResult, wanted: Collection[str]) -> CellResult:
    """A cell without what no report reads: tables of single questions, and measures other than `wanted` between the
    first and the last checkpoint."""
    steps = sorted(result["checkpoints"], key=int)
    ends = {steps[0], steps[-1]}
    return {
        **{name: value for name, value in result.items() if name != "question_tables"},
        "checkpoints": {
            step: {name: value for name, value in values.items() if step in ends or name in wanted}
            for step, values in result["checkpoints"].items()
        },
    }
