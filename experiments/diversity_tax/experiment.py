"""The diversity tax: what training for diversity costs in single-shot pass@1, when, and why.

Arms share start, questions, draws and number of rollouts; the tax is read against each arm's own control, at the end
and at matched breadth; the exact frontier of the test questions says which part of it was avoidable. The full grid runs
with the tabular policy (`policies/tabular`), whose values are exact; the language-model grid (`--scale full`) is
resumable by the same runner. Claims and their endpoints: `diversity_tax_claims.py`, written before the grid was run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...envs.world.world import PRESETS
from ...policies.tabular.training import TableConfig
from ..grid.arms import ARMS
from ..grid.cell_store import write_cells
from ..grid.experiment import Cell, Results, Scale
from ..grid.table_cells import ANSWERS_SUFFIX, CUE_SUFFIX, TableCell, run_table_cell

__all__ = ["EXPERIMENT", "DiversityTax"]

GRID = TableConfig(learning_rate=3.0)
"""Learning rate: of .3, 1 and 3 the one whose GRPO (6 seeds apart from the grid's, priced, diverse start) ends nearest
to the entropy of kinds that the language-model prototype of the World's specification had after 200 steps (.245)."""

CONTROL_STEPS = (
    *range(10), *range(10, 20, 2), *range(20, 40, 5), *range(40, 80, 10), 80, 100, 120, 140, 160, 180, 200,
)  # fmt: skip
"""Where controls are evaluated: arms are matched to points between them, and the way is curved, most at the start."""

SMOKE = TableConfig(sft_steps=10, steps=10, checkpoints=(0, 5, 10), learning_rate=3.0)


@dataclass(frozen=True)
class DiversityTax:
    """The experiment.

    Attributes:
        presets: conditions of price.
        cue_presets: presets whose questions name a favoured kind.
        answer_presets: presets with conflicting answers, from a diverse start; they have the arms that train on sets.
        starts: what SFT demonstrated.
        arms: names in `diversity_tax_arms.ARMS`.
        sizes: questions of (training, test).
        first_seed: seeds are this one and those after it.
        table: how the table of kinds is trained.
        control_steps: at which controls are evaluated beside the checkpoints of all.
    """

    name: str = "diversity_tax"
    summary: str = "what training for diversity costs in single-shot pass@1, when, and why"
    version: int = 1
    presets: tuple[str, ...] = tuple(PRESETS)
    cue_presets: tuple[str, ...] = tuple(f"{name}{CUE_SUFFIX}" for name in PRESETS)
    answer_presets: tuple[str, ...] = (f"priced{ANSWERS_SUFFIX}",)
    starts: tuple[str, ...] = ("diverse", "narrow")
    arms: tuple[str, ...] = tuple(ARMS)
    sizes: tuple[int, int] = (256, 512)
    first_seed: int = 0
    table: TableConfig = field(default=GRID)
    control_steps: tuple[int, ...] = CONTROL_STEPS

    def cells(self, scale: Scale, num_seeds: int) -> Sequence[Cell]:
        """The tabular grid, seed by seed, so that an interrupted run holds whole seeds; `full` adds language models."""
        smoke = scale == "smoke"
        controls = {arm.control for arm in ARMS.values()}
        closely = replace(self.table, checkpoints=tuple(sorted({*self.table.checkpoints, *self.control_steps})))
        table_cells = [
            TableCell(
                preset,
                start,
                arm,
                strength,
                seed,
                (32, 64) if smoke else self.sizes,
                SMOKE if smoke else closely if arm in controls else self.table,
            )
            for seed in range(self.first_seed, self.first_seed + num_seeds)
            for preset, start in self._conditions(smoke=smoke)
            for arm in self.arms
            if not ARMS[arm].sets or preset.endswith(ANSWERS_SUFFIX)
            for strength in (ARMS[arm].middle if smoke else ARMS[arm].strengths)
        ]
        cells = [Cell(f"tabular/{cell.key}", cell.as_config()) for cell in table_cells]
        if scale == "full":
            from ..grid.language_cells import LANGUAGE_SEEDS, language_cells

            cells += language_cells(min(num_seeds, LANGUAGE_SEEDS))
        return cells

    def _conditions(self, *, smoke: bool) -> list[tuple[str, str]]:
        """(preset, start)."""
        if smoke:
            return [("free", "diverse"), ("priced", "diverse"), (self.answer_presets[0], "diverse")]
        crossed = [(preset, start) for preset in (*self.presets, *self.cue_presets) for start in self.starts]
        return crossed + [(preset, "diverse") for preset in self.answer_presets]

    def require(self, cells: Sequence[Cell]) -> None:
        """Worlds are made, not read: nothing."""

    def require_earlier(self, earlier: Path, scale: Scale, num_seeds: int) -> None:
        """The table of kinds is taken over from reports of the same settings and claims."""
        from ..grid.earlier import read_earlier, table_settings

        read_earlier(earlier, table_settings(self.cells(scale, num_seeds), self.version))

    def run_cell(self, cell: Cell, work: Path) -> dict[str, Any]:
        """Trains and measures one arm."""
        if cell.config["policy"] == "tabular":
            return run_table_cell(TableCell.from_config(dict(cell.config)))
        from ..grid.language_cells import run_language_cell

        return run_language_cell(cell, work)

    def report(self, results: Results, scale: Scale, num_seeds: int) -> dict[str, Any]:
        """Tables, verdicts and the paragraph of what is there."""
        from ..grid.report import diversity_report

        return {"seeds": num_seeds, **diversity_report(results, self.cells(scale, num_seeds), scale, self.version)}

    def write_files(self, results: Results, report: Mapping[str, Any], out: Path) -> None:
        """Values by seed, and the pictures where matplotlib is installed."""
        from ..grid.report import language_csv, per_seed_csv
        from ..report.grid_figures import write_tax_figures

        cells = self.cells(report["scale"], report["seeds"])
        for name, answers in (("per_seed.csv", False), ("per_seed_answers.csv", True)):
            taken = results.earlier / name if results.earlier and report["cells"]["taken_over"] else None
            (out / name).write_text(taken.read_text() if taken else per_seed_csv(results, cells, answers=answers))
        if report["language_model"]:
            (out / "per_seed_language.csv").write_text(language_csv(results, cells))
            language = [cell for cell in cells if cell.config["policy"] != "tabular"]
            write_cells(self, results, language, out / "language_cells.jsonl.gz")
        write_tax_figures(report, out / "figures")

    def pages(self, report: Mapping[str, Any]) -> Mapping[str, str]:
        """docs/findings.md and the tables of all strengths."""
        from .page import findings, strengths

        return {"findings.md": findings(report), "findings_strengths.md": strengths(report)}


EXPERIMENT = DiversityTax()
