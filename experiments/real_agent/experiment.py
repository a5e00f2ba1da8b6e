"""SFT against RL on real text: does RL gain more than sharpening does, and what does it do to breadth?

SmolLM2-135M-Instruct learns from demonstrations on HotpotQA, narrow or diverse, and then by RL on fresh questions.
Everything is measured on the same 300 held-out questions, and on two other sets. SFT itself is sampled at several
temperatures, because a lower temperature also buys accuracy for breadth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from ...policies.open_policy import require_training
from ..grid.cell_store import write_cells
from ..grid.experiment import Cell, CellResult, Experiment, Results, Scale
from ..report.format import Report
from .agents import AGENTS, SETS, Sizes, task_of
from .cells import SETTINGS, cell_of, run_agent_cell
from .claims import CLAIMS, Array, estimate, judge

__all__ = ["EXPERIMENT", "RealAgent"]

_MAIN = ("hotpotqa", "hotpotqa-greedy", "2wiki-greedy", "musique-greedy")
_MORE = ("2wiki", "musique")
_SHARPER = ("hotpotqa-t0.7", "hotpotqa-t0.5")
_CONTROLS = tuple(name for name, setting in SETTINGS.items() if setting.control)
_ONE_SEED = ("grpo_shuffled", "sft_more")
_PILOT_SEED = 100
_PILOT = (("sft_diverse", "hotpotqa"), ("sft_diverse", "hotpotqa-greedy"))


@dataclass(frozen=True)
class RealAgent(Experiment):
    """The experiment.

    Attributes:
        sizes: of `small` and `full`.
        smoke: of `smoke`: fresh tiny weights, two updates.
    """

    sizes: Sizes = field(default_factory=Sizes)
    smoke: Sizes = field(
        default_factory=lambda: Sizes(
            "tiny",
            held_out=4,
            rl_questions=6,
            sft_steps=1,
            sft_batch=2,
            rl_steps=1,
            questions=1,
            group=2,
            max_new_tokens=12,
        )
    )
    name: str = "real_agent"
    summary: str = "a 135 M search agent on real corpora: SFT against RL, accuracy against breadth"
    version: int = 1

    def cells(self, scale: Scale, num_seeds: int) -> Sequence[Cell]:
        """The pilot, then seed by seed; within a seed the comparisons that need the fewest agents come first."""
        sizes = self.smoke if scale == "smoke" else self.sizes
        out = [cell_of(agent, _PILOT_SEED, setting, sizes, pilot=True) for agent, setting in _PILOT]
        for seed in range(num_seeds):
            agents = [agent for agent in AGENTS if seed == 0 or agent not in _ONE_SEED]
            # agent by agent in turn, so that two workers seldom wait for the training of one
            wanted = [(agent, setting) for setting in _MAIN for agent in agents]
            wanted += [("sft_diverse", setting) for setting in _SHARPER]
            wanted += [(agent, setting) for agent in agents for setting in _MORE]
            if seed == 0:
                wanted += [(agent, setting) for agent in ("sft_diverse", "grpo") for setting in _CONTROLS]
                wanted += [("question", setting) for setting in _MAIN[1:]]
            out += [cell_of(agent, seed, setting, sizes) for agent, setting in wanted]
        return out

    def require(self, cells: Sequence[Cell]) -> None:
        """Checks that torch and the three sets are there."""
        if cells:
            require_training(self.name)
            for name in SETS:
                task_of(name, cells[0].config["sizes"]["held_out"])

    def run_cell(self, cell: Cell, work: Path) -> CellResult:
        """Trains the agent of the cell, if no other cell has, and plays it; see `run_agent_cell`."""
        return run_agent_cell(cell, work)

    def report(self, results: Results, scale: Scale, num_seeds: int) -> Report:
        """Rows of agents and settings, and the verdicts."""
        cells = {cell.key: cell for cell in self.cells(scale, num_seeds)}
        columns = _Columns(cells, results)
        report = {
            "experiment": self.name,
            "scale": scale,
            "seeds": num_seeds,
            "sizes": asdict(self.smoke if scale == "smoke" else self.sizes),
            "cells": {"done": len(results.done), "failed": results.failed, "not_run": len(results.not_run)},
            "rows": columns.rows(),
            "pilot": {setting: {m: columns.pilot(setting, m) for m in ("em", "breadth")} for _, setting in _PILOT},
            "claims": [judge(claim, columns.values, columns.pilot) for claim in CLAIMS],
        }
        from .page import report_text

        return {**report, "text": report_text(report)}

    def write_files(self, results: Results, report: Report, out: Path) -> None:
        """Writes the figure, and the finished cells in one file."""
        from .figure import write_figure

        write_figure(report, out / "figures")
        write_cells(self, results, self.cells(report["scale"], report["seeds"]), out / "agent_cells.jsonl.xz")

    def pages(self, report: Report, results: Path | None = None) -> Mapping[str, str]:
        """docs/real_agent.md."""
        from .page import page

        return {"real_agent.md": page(report)}


class _Columns:
    """The values of finished cells."""

    def __init__(self, cells: Mapping[str, Cell], results: Results) -> None:
        self._found: dict[tuple[str, str], dict[int, dict[str, Array]]] = {}
        self._pilot: dict[str, dict[str, float]] = {}
        digests: dict[str, str] = {}
        for key, result in results.done.items():
            if key not in cells:
                continue
            config, setting = cells[key].config, key.rsplit("/", 1)[1]
            columns = {name: np.array(values, np.float64) for name, values in result["columns"].items()}
            if "shared_entropy" in result:
                columns["shared_entropy"] = np.array(result["shared_entropy"], np.float64)
            if config["pilot"]:
                self._pilot[setting] = {name: float(np.nanmean(column)) for name, column in columns.items()}
                continue
            digest = digests.setdefault(setting, result["questions"])
            if digest != result["questions"]:
                raise ValueError(f"{key} was played on other questions than the cells before it")
            self._found.setdefault((config["agent"], setting), {})[config["seed"]] = columns

    def values(self, agent: str, setting: str, measure: str) -> Mapping[int, Array]:
        """Seed -> float64 [questions], of the seeds that have the measure."""
        found = self._found.get((agent, setting), {})
        return {seed: columns[measure] for seed, columns in found.items() if measure in columns}

    def pilot(self, setting: str, measure: str) -> float | None:
        """Mean of the pilot's sft_diverse; None if it was not run."""
        return self._pilot.get(setting, {}).get(measure)

    def rows(self) -> list[Report]:
        """One row per agent and setting, with the mean of every measure over seeds and questions."""
        out: list[Report] = []
        for (agent, setting), seeds in self._found.items():
            names = list(dict.fromkeys(name for columns in seeds.values() for name in columns))
            estimates = {name: estimate(self.values(agent, setting, name)) for name in names}
            measures = {name: asdict(found) for name, found in estimates.items() if found is not None}
            out.append({"agent": agent, "setting": setting, "seeds": sorted(seeds), "measures": measures})
        return out


EXPERIMENT = RealAgent()
"""What `berrypick run real_agent` runs."""
