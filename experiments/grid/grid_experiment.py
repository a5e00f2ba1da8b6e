"""An experiment on the planted World in one file: a header, contrasts, arms and conditions; the rest has defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from ...policies.tabular.training import TableConfig
from ..report.format import signed
from .arms import ARMS, Arm
from .cell_store import write_cells
from .condition import Condition
from .contrasts import Contrast
from .earlier import read_earlier, table_settings
from .experiment import Cell, CellResult, Experiment, Report, Results, Scale
from .figures import write_grid_figures
from .language_cells import LanguageGrid, run_language_cell
from .page import grid_page
from .report import grid_report, language_csv, per_seed_csv
from .screen import report_text
from .series import Grid, read_grid
from .table_cells import TableCell, run_table_cell

__all__ = ["GridExperiment"]

SMOKE = TableConfig(sft_steps=10, steps=10, checkpoints=(0, 5, 10), learning_rate=3.0)
SMOKE_SIZES = (32, 64)


@dataclass(frozen=True)
class GridExperiment(Experiment):
    """Arms x conditions x strengths x seeds of the tabular policy, and optionally of a language model.

    Attributes:
        name: what `berrypick run` calls it.
        summary: one line; the title of its page.
        conditions: Worlds and starts.
        contrasts: the registered claims with their endpoints.
        arms: name -> arm, the controls of the arms among them; see `pick_arms`.
        about: the header of its page: the paper, what differs from it and why.
        version: see `Experiment`.
        table: how the tabular policy is trained.
        sizes: numbers of (training, test) questions.
        first_seed: seeds are this one and those after it.
        control_steps: RL steps at which controls are evaluated in addition to the checkpoints of all arms.
        smoke_conditions: conditions of scale smoke; by default the first one.
        language: cells of language models, which only scale full has.
        figure_prefix: of the figures' file names; by default the name.
    """

    name: str
    summary: str
    conditions: tuple[Condition, ...]
    contrasts: tuple[Contrast, ...]
    arms: Mapping[str, Arm] = field(default_factory=lambda: MappingProxyType(ARMS))
    about: str = ""
    version: int = 1
    table: TableConfig = field(default_factory=lambda: TableConfig(learning_rate=3.0))
    sizes: tuple[int, int] = (256, 512)
    first_seed: int = 0
    control_steps: tuple[int, ...] = ()
    smoke_conditions: tuple[Condition, ...] = ()
    language: LanguageGrid | None = None
    figure_prefix: str = ""

    def cells(self, scale: Scale, num_seeds: int) -> Sequence[Cell]:
        """The tabular grid seed by seed, so that an interrupted run has whole seeds; `full` adds language models."""
        smoke = scale == "smoke"
        conditions = (self.smoke_conditions or self.conditions[:1]) if smoke else self.conditions
        controls = {arm.control for arm in self.arms.values()}
        closely = replace(self.table, checkpoints=tuple(sorted({*self.table.checkpoints, *self.control_steps})))
        tabular = [
            TableCell(
                condition.preset,
                condition.start,
                name,
                strength,
                seed,
                SMOKE_SIZES if smoke else self.sizes,
                SMOKE if smoke else closely if name in controls else self.table,
            )
            for seed in range(self.first_seed, self.first_seed + num_seeds)
            for condition in conditions
            for name, arm in self.arms.items()
            if not arm.sets or condition.has_answers
            for strength in (arm.middle if smoke else arm.strengths)
        ]
        cells = [Cell(f"tabular/{cell.key}", cell.as_config()) for cell in tabular]
        if scale == "full" and self.language is not None:
            cells += self.language.cells(num_seeds)
        return cells

    def require_earlier(self, earlier: Path, scale: Scale, num_seeds: int) -> None:
        """Tabular cells are taken over from reports of the same settings and claims."""
        settings = table_settings(self.cells(scale, num_seeds), self.version)
        read_earlier(earlier, self.name, settings, self.contrasts)

    def run_cell(self, cell: Cell, work: Path) -> CellResult:
        """Trains and measures one arm."""
        if cell.config["policy"] == "tabular":
            return run_table_cell(TableCell.from_config(cell.config), self.arms[cell.config["arm"]])
        return run_language_cell(cell, work)

    def report(self, results: Results, scale: Scale, num_seeds: int) -> Report:
        """Tables and verdicts of whatever is there, and their text."""
        cells = self.cells(scale, num_seeds)
        found = grid_report(
            self.name,
            self.version,
            results,
            cells,
            scale,
            arms=self.arms,
            contrasts=self.contrasts,
            further=self.further_rows,
        )
        report = {"seeds": num_seeds, **found}
        return {**report, "text": report_text(report, self.headline(report), self.further_tables(report))}

    def further_rows(self, grid: Grid) -> Report:
        """Rows of the report that only this experiment has; each says its "policy"."""
        return {}

    def headline(self, report: Report) -> str:
        """The first paragraph: by default each decided claim with its difference."""
        decided = [row for row in report["verdicts"] if row["verdict"] in ("supported", "contradicted")]
        sentences = [
            f"{row['verdict'].capitalize()}: {row['claim']['statement']} ({signed(row['estimate'])})."
            for row in decided
        ]
        undecided = len(report["verdicts"]) - len(decided)
        if undecided:
            sentences.append(f"{undecided} of {len(report['verdicts'])} claims are not decided.")
        return " ".join(sentences)

    def further_tables(self, report: Report) -> Sequence[str]:
        """Tables of the terminal that only this experiment has."""
        return ()

    def write_files(self, results: Results, report: Report, out: Path) -> None:
        """Values per seed, and the figures if matplotlib is installed."""
        cells = self.cells(report["scale"], report["seeds"])
        grid = read_grid(results, cells, self.arms)
        for name, answers in (("per_seed.csv", False), ("per_seed_answers.csv", True)):
            if answers and not any(condition.has_answers for condition in self.conditions):
                continue
            taken = results.earlier / name if results.earlier and report["cells"]["taken_over"] else None
            (out / name).write_text(taken.read_text() if taken else per_seed_csv(grid, answers=answers))
        if report["language_model"]:
            (out / "per_seed_language.csv").write_text(language_csv(grid))
            language = [cell for cell in cells if cell.config["policy"] != "tabular"]
            write_cells(self, results, language, out / "language_cells.jsonl.gz")
        write_grid_figures(report, out / "figures", prefix=self.figure_prefix or self.name)

    def pages(self, report: Report) -> Mapping[str, str]:
        """One page, docs/NAME.md."""
        return {f"{self.name}.md": grid_page(report, self.summary, self.about, self.headline(report))}
