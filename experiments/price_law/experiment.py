"""Over random Worlds: does the exact frontier, or do the World's settings alone, tell what diversity training costs?

A cell is a World: its frontier is solved once, and every objective at every strength is trained from one start. The tax
of an arm is the pass@1 it lost against its control; the price is what the frontier says that its pass@k must cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from ...envs.world.population import population_frontier
from ...policies.tabular.kinds import kind_probabilities
from ...policies.tabular.training import TableConfig
from ...policies.tabular.values import RowTable, exact_values
from ..grid.arms import ARMS, Arm
from ..grid.cell_store import write_cells
from ..grid.experiment import Cell, CellResult, Experiment, Results, Scale
from ..grid.table_cells import DIGITS, FRONTIER_K
from ..grid.table_training import sft_start, train_arm, training_world
from ..report.format import Report
from .worlds import PILOT, random_world

__all__ = ["EXPERIMENT", "PriceLaw"]

SMOKE_TABLE = TableConfig(sft_steps=10, steps=10, checkpoints=(0, 10), learning_rate=3.0)
SMOKE_QUESTIONS = 64

_TABLE = TableConfig(learning_rate=3.0, checkpoints=(0, 20, 40, 80, 200))

RUNS: tuple[tuple[str, float], ...] = (
    ("dr_grpo", 0.0), ("grpo", 0.0),
    ("darling", 0.1), ("darling_power", 0.5), ("darling_power", 8.0),
    ("pass_mix", 0.9), ("pass_mix", 0.5), ("pass_mix", 0.1),
    ("pass_at_k", 2.0), ("pass_at_k", 4.0), ("pass_at_k_undivided", 2.0),
    ("batch", 0.2), ("batch", 0.8),
    ("entropy", 0.03), ("entropy", 0.1),
    ("maxrl", 0.0), ("darling_random_equal", 2.0),
)  # fmt: skip
"""(arm, strength) of what is trained in each World: both controls, then the arms."""

NUM_WORLDS = 208
"""Of the law, beside the pilot's."""


@dataclass(frozen=True)
class PriceLaw(Experiment):
    """The experiment.

    Attributes:
        name: what `berrypick run` calls it.
        summary: one line.
        version: see `Experiment`.
        runs: (arm, strength) of each World, controls included.
        arms: name -> arm.
        table: how the tabular policy is trained.
        smoke_worlds: numbers of the Worlds of the smoke scale, whose frontiers take a few seconds each.
    """

    name: str = "price_law"
    summary: str = "over 208 random worlds: what diversity training costs, against what the exact frontier says it must"
    version: int = 1
    runs: tuple[tuple[str, float], ...] = RUNS
    arms: Mapping[str, Arm] = field(default_factory=lambda: ARMS)
    table: TableConfig = _TABLE
    smoke_worlds: tuple[int, ...] = (2, 8, 26, 130, 190, 194)

    def cells(self, scale: Scale, num_seeds: int) -> Sequence[Cell]:
        """One cell per World; those of the pilot first. The number of seeds does not matter: each World has its own."""
        smoke = scale == "smoke"
        table, questions = (SMOKE_TABLE, SMOKE_QUESTIONS) if smoke else (self.table, random_world(0).num_train)
        numbers = self.smoke_worlds if smoke else range(PILOT, NUM_WORLDS)
        return [
            Cell(
                f"pilot/world-{number - PILOT:03d}" if number < 0 else f"law/world-{number:03d}",
                {
                    "policy": "tabular",
                    "world": number,
                    "questions": questions,
                    "runs": [list(run) for run in self.runs],
                    "table": {**asdict(table), "checkpoints": list(table.checkpoints)},
                },
            )
            for number in numbers
        ]

    def run_cell(self, cell: Cell, work: Path) -> CellResult:
        """Solves the frontier of a World and trains every arm in it.

        Returns:
            {"world": settings, "frontier": rows of `PopulationFrontier`, "runs": {"arm-strength": {step: [pass@1,
            pass@k, breadth]}}}; step 0 is the start.
        """
        torch.set_num_threads(1)
        config = random_world(cell.config["world"], cell.config["questions"])
        table = TableConfig(**{**cell.config["table"], "checkpoints": tuple(cell.config["table"]["checkpoints"])})
        front = population_frontier(config, FRONTIER_K)
        world, rows = training_world(config), RowTable.population(config)
        seed = cell.config["world"] - PILOT
        start = sft_start(config, "diverse", seed, table)

        def point(logits: Any) -> list[float]:
            found, _ = exact_values(rows, kind_probabilities(logits), config.budget, (1, FRONTIER_K))
            return [round(found[name], DIGITS) for name in ("pass@1", f"pass@{FRONTIER_K}", "breadth")]

        runs = {}
        for arm, strength in cell.config["runs"]:
            trained = train_arm(world, self.arms[arm], strength, start, table, seed=seed, demos="diverse")
            runs[f"{arm}-{strength:g}"] = {str(step): point(logits) for step, logits in trained.items()}
        settings = {name: getattr(config, name) for name in ("availability", "budget", "hops", "cue", "seed")}
        return {
            "world": {**settings, "availability": list(config.availability)},
            "frontier": [[round(value, DIGITS + 3) for value in row] for row in front.as_rows()],
            "runs": runs,
        }

    def report(self, results: Results, scale: Scale, num_seeds: int) -> Report:
        """The law over the Worlds that are there, its claims and their verdicts."""
        from .law import law_report
        from .page import screen

        config = self.cells(scale, num_seeds)[0].config
        report = {
            "experiment": self.name,
            "version": self.version,
            "scale": scale,
            "seeds": num_seeds,
            "cells": {
                "done": len(results.done),
                "failed": dict(sorted(results.failed.items())),
                "not_run": len(results.not_run),
            },
            "training": {"steps": config["table"]["steps"], "questions": config["questions"]},
            **law_report(results, self.runs, self.arms),
        }
        return {**report, "text": screen(report)}

    def write_files(self, results: Results, report: Report, out: Path) -> None:
        """The cells themselves, a line for each World and arm, and the figure."""
        from .figure import write_figure
        from .law import law_csv

        write_cells(self, results, self.cells(report["scale"], report["seeds"]), out / "law_cells.jsonl.xz")
        (out / "per_world.csv").write_text(law_csv(results, self.runs, self.arms))
        write_figure(report, out / "figures")

    def pages(self, report: Report, results: Path | None = None) -> Mapping[str, str]:
        """docs/price_law.md."""
        from .page import page

        return {"price_law.md": page(report)}


EXPERIMENT = PriceLaw()
"""What `berrypick run price_law` runs."""
