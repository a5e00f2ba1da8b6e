"""An experiment on the planted World in one file: a header, contrasts, arms and conditions; the rest has defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from ...policies.tabular.training import TableConfig
from ..report.format import signed
from .arms import ARMS, Arm
from .cell_store import write_cells
from .condition import FIRST_WORLD, Condition
from .contrasts import LARGEST_WASTE, Contrast
from .experiment import Cell, CellResult, Experiment, Report, Results, Scale
from .figures import write_grid_figures
from .measuring import Beside, LanguageCells, Measuring
from .page import grid_page
from .pilot import PILOT_WORLDS
from .report import Reported, grid_report, is_pilot, language_csv, per_world_csv
from .screen import report_text
from .series import Grid, read_grid
from .table_cells import TableCell, run_table_cell

__all__ = ["GridExperiment"]

Procedure = Callable[[TableCell], CellResult]
SMOKE = TableConfig(sft_steps=10, steps=10, checkpoints=(0, 5, 10), learning_rate=3.0)
SMOKE_QUESTIONS = 64


@dataclass(frozen=True)
class GridExperiment(Experiment):
    """Arms x conditions x strengths x worlds of the tabular policy, and optionally of a language model.

    A replicate is a world with a training seed of its own; all conditions of a replicate share the world's seed.

    Attributes:
        name: what `berrypick run` calls it.
        summary: one line; the title of its page.
        conditions: Worlds and starts.
        contrasts: the registered claims with their endpoints.
        arms: name -> arm, the controls of the arms among them; see `pick_arms`.
        arms_of: condition -> names of the arms that it has, where these are not all.
        about: the header of its page: the paper, what differs from it and why.
        version: see `Experiment`.
        table: how the tabular policy is trained.
        with_pilot: whether worlds kept apart are run first, for the checks before registration.
        control_steps: RL steps at which controls are evaluated in addition to the checkpoints of all arms.
        smoke_conditions: conditions of scale smoke; by default the first one.
        language: cells of language models, which only scale full has.
        language_measures: names of their measures, where they are not those of `language_report`.
        figure_prefix: of the figures' file names; by default the name.
        measuring: measures of the tabular policy that replace the exact ones in the population.
        beside: measures of the tabular policy that are added to the exact ones in the population.
        procedure: runs a cell of the tabular policy, where its training is not that of `run_table_cell`.
        measures: names of all that are reported, in the order of tables; by default those of the population.
        swept: conditions in which every strength is run, where the others have the middle one alone.
        smoke_table: how the tabular policy is trained at scale smoke.
        first_replicate: of the tabular grid, where its worlds must not be those that another experiment reported.
        pilot_replicates: of the worlds kept apart.
    """

    name: str
    summary: str
    conditions: tuple[Condition, ...]
    contrasts: tuple[Contrast, ...]
    arms: Mapping[str, Arm] = field(default_factory=lambda: MappingProxyType(ARMS))
    arms_of: Mapping[Condition, tuple[str, ...]] = field(default_factory=dict)
    about: str = ""
    version: int = 1
    table: TableConfig = field(default_factory=lambda: TableConfig(learning_rate=3.0))
    with_pilot: bool = False
    control_steps: tuple[int, ...] = ()
    smoke_conditions: tuple[Condition, ...] = ()
    language: LanguageCells | None = None
    figure_prefix: str = ""
    measuring: Measuring | None = None
    beside: Beside | None = None
    procedure: Procedure | None = None
    measures: tuple[str, ...] = ()
    language_measures: tuple[str, ...] = ()
    swept: tuple[Condition, ...] | None = None
    smoke_table: TableConfig = SMOKE
    first_replicate: int = 0
    pilot_replicates: tuple[int, ...] = PILOT_WORLDS

    def cells(self, scale: Scale, num_seeds: int) -> Sequence[Cell]:
        """Those of the grid; an experiment may add others of its own, which its report must read itself."""
        return self.grid_cells(scale, num_seeds)

    def grid_cells(self, scale: Scale, num_seeds: int) -> list[Cell]:
        """The pilot, then the grid world by world, so that a cut run has whole worlds; then language models."""
        cells = [*self._pilot_cells(scale)]
        for replicate in range(self.first_replicate, self.first_replicate + num_seeds):
            cells += [Cell(f"tabular/{cell.key}", cell.as_config()) for cell in self._table_cells(scale, replicate)]
        if scale == "full" and self.language is not None:
            cells += self.language.cells(num_seeds)
        return cells

    def _pilot_cells(self, scale: Scale) -> list[Cell]:
        """The conditions and arms of the claims, at the strengths that claims read, in worlds kept apart."""
        if not self.with_pilot or scale == "smoke":
            return []
        claimed = {one.condition for one in self.contrasts if one.policy == "tabular"}
        swept = {one.arm for one in self.contrasts if one.measure == LARGEST_WASTE}
        swept |= {one.ladder for one in self.contrasts if one.ladder}
        return [
            Cell(f"pilot/{cell.key}", cell.as_config())
            for replicate in self.pilot_replicates
            for cell in self._table_cells(scale, replicate)
            if cell.where in claimed and (cell.arm in swept or (cell.strength,) == self.arms[cell.arm].middle)
        ]

    def _table_cells(self, scale: Scale, replicate: int) -> list[TableCell]:
        smoke = scale == "smoke"
        conditions = (self.smoke_conditions or self.conditions[:1]) if smoke else self.conditions
        controls = {arm.control for arm in self.arms.values()}
        closely = replace(self.table, checkpoints=tuple(sorted({*self.table.checkpoints, *self.control_steps})))
        out = []
        for condition in conditions:
            for name in self.arms_of.get(condition, tuple(self.arms)):
                arm = self.arms[name]
                several = arm.sets or arm.candidates > 0
                if (several and not condition.has_answers) or (arm.own_tables and not condition.own):
                    continue
                table = self.smoke_table if smoke else closely if name in controls else self.table
                if condition.rate:
                    table = replace(table, learning_rate=condition.rate)
                all_strengths = not smoke and (self.swept is None or condition in self.swept)
                for strength in arm.strengths if all_strengths else arm.middle:
                    out.append(
                        TableCell(
                            condition.name,
                            name,
                            strength,
                            replicate,
                            FIRST_WORLD + replicate,
                            SMOKE_QUESTIONS if smoke else condition.questions,
                            name in controls and self.measuring is None,
                            table,
                        )
                    )
        return out

    def run_cell(self, cell: Cell, work: Path) -> CellResult:
        """Trains and measures one arm."""
        if cell.config["policy"] == "tabular":
            arm = self.arms[cell.config["arm"]]
            if self.procedure is not None:
                return self.procedure(TableCell.from_config(cell.config))
            return run_table_cell(TableCell.from_config(cell.config), arm, self.measuring, self.beside)
        assert self.language is not None, "only its cells are not tabular"
        return self.language.run(cell, work)

    def report(self, results: Results, scale: Scale, num_seeds: int) -> Report:
        """Tables and verdicts of whatever is there, and their text."""
        cells = self.grid_cells(scale, num_seeds)
        found = grid_report(
            self.name,
            self.version,
            results,
            cells,
            scale,
            arms=self.arms,
            contrasts=self.contrasts,
            further=self.further_rows,
            reported=self.reported(),
            language_cells=self.language,
        )
        report = {"seeds": num_seeds, **found}
        return {**report, "text": report_text(report, self.headline(report), self.further_tables(report))}

    def reported(self) -> Reported:
        """Names of the measures in the report."""
        return Reported(self.measures, self.language_measures)

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
        """Values per world, the cells themselves, and the figures if matplotlib is installed."""
        cells = self.cells(report["scale"], report["seeds"])
        grid = read_grid(results, [cell for cell in cells if not is_pilot(cell)], self.arms)
        (out / "per_world.csv").write_text(per_world_csv(grid))
        if any(condition.has_answers for condition in self.conditions):
            (out / "per_world_answers.csv").write_text(per_world_csv(grid, answers=True))
        if report["language_model"]:
            (out / "per_world_language.csv").write_text(language_csv(grid))
        write_cells(self, results, cells, out / "grid_cells.jsonl.xz")
        write_grid_figures(report, out / "figures", prefix=self.figure_prefix or self.name)

    def pages(self, report: Report, results: Path | None = None) -> Mapping[str, str]:
        """One page, docs/NAME.md."""
        return {f"{self.name}.md": grid_page(report, self.summary, self.about, self.headline(report))}
