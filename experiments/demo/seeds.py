"""The demo over several seeds: each a whole run, then means and seed-paired differences with Student's intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from ...envs.metrics.statistics import paired_t_interval
from ..report.frontier_figure import draw_frontier
from ..report.terminal import report_console
from ..runs.run_folder import environment_facts, write_json
from .demo import ARMS, DemoConfig, run_demo

__all__ = ["pool_seeds", "print_pooled", "run_demo_seeds"]

PAIRS = (*((name, "SFT") for name in ARMS), ("DARLING", "Dr. GRPO"))
SHOWN = ("training_reward", "pass@1", "pass@1_plan", "pass@8", "kind_entropy", "breadth", "frontier_distance")

Report = Mapping[str, Any]


def run_demo_seeds(config: DemoConfig, num_seeds: int, out: Path, *, resume: bool) -> None:
    """Runs seeds `config.seed`, `config.seed` + 1, ... below `out` and writes their pooled report.json.

    Every seed also measures its policies on the fixed training questions. A seed that is finished is kept, one that
    was interrupted goes on.
    """
    reports = {}
    for seed in range(config.seed, config.seed + num_seeds):
        folder = out / f"seed-{seed}"
        one = replace(config, seed=seed, measure_training=True)
        reports[seed] = run_demo(one, folder, resume=resume and folder.exists(), show=False)
    pooled = {"config": asdict(config), "environment": environment_facts(), **pool_seeds(reports)}
    write_json(out / "report.json", pooled)
    if find_spec("matplotlib"):
        title = f"World, preset priced: held-out questions, {num_seeds} seeds"
        draw_frontier(list(reports.values()), out / "figures", title=title)
    print_pooled(pooled, report_console())


def pool_seeds(reports: Mapping[int, Report]) -> dict[str, Any]:
    """Pools reports of `demo_report`, one a seed.

    Returns:
        {"seeds", "arms": {arm: {measure: {"mean", "per_seed"}}}, "differences": {"a - b": {measure: {value, low,
        high, n}}}, "references": {row: {measure: mean over the seeds' test sets}}}. Intervals are Student's over
        seeds, of seed-paired differences.
    """
    seeds = sorted(reports)
    arms: dict[str, dict[str, Any]] = {}
    for name in reports[seeds[0]]["arms"]:
        rows = [_values(reports[seed], name) for seed in seeds]
        shared = sorted(set.intersection(*(set(row) for row in rows)))
        arms[name] = {key: _pooled([row[key] for row in rows]) for key in shared}
    differences = {}
    for first, second in PAIRS:
        if first in arms and second in arms and len(seeds) > 1:
            keys = sorted(set(arms[first]) & set(arms[second]))
            differences[f"{first} - {second}"] = {
                key: asdict(paired_t_interval(_minus(arms[first][key], arms[second][key]))) for key in keys
            }
    rows = reports[seeds[0]]["references"]
    references = {
        name: {key: float(np.mean([reports[seed]["references"][name][key] for seed in seeds])) for key in row}
        for name, row in rows.items()
    }
    return {"seeds": seeds, "arms": arms, "differences": differences, "references": references}


def _values(report: Report, arm: str) -> dict[str, float]:
    values = {key: estimate["value"] for key, estimate in report["arms"][arm]["measures"].items()}
    if arm in report.get("training_reward", {}):
        values["training_reward"] = report["training_reward"][arm]
    return values


def _pooled(values: Sequence[float]) -> dict[str, Any]:
    return {"mean": float(np.mean(values)), "per_seed": [float(value) for value in values]}


def _minus(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[float]:
    return [a - b for a, b in zip(first["per_seed"], second["per_seed"], strict=True)]


def print_pooled(pooled: Report, console: Console) -> None:
    """Means of each arm, then the seed-paired differences; 80 columns are enough."""
    seeds = ", ".join(map(str, pooled["seeds"]))
    note = "training: reward on the training questions; frontier: distance to it"
    console.print(f"means over seeds {seeds} ({note})", style="italic", highlight=False)
    width = min(100, console.width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0, width=width)
    for label in ("", "training", "pass@1", "plan", "pass@8", "kind | hop", "breadth", "frontier"):
        table.add_column(label, justify="left" if not label else "right", no_wrap=True)
    for name, row in pooled["arms"].items():
        table.add_row(name, *(f"{row[key]['mean']:.3f}" if key in row else "—" for key in SHOWN))
    table.add_section()
    for name, exact in pooled["references"].items():
        table.add_row(name, *(f"{exact[key]:.3f}" if key in exact else "" for key in SHOWN), style="dim")
    console.print(table)
    for name, row in pooled["differences"].items():
        parts = [
            f"{key} {row[key]['value']:+.3f} [{row[key]['low']:+.3f}, {row[key]['high']:+.3f}]"
            for key in SHOWN
            if key in row
        ]
        console.print(f"{name}: " + "; ".join(parts), highlight=False)
