"""The demo over several seeds: one run per seed, then means and seed-paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from ...envs.metrics.statistics import paired_t_interval
from ..measures.measures import measure_of
from ..measures.rows import ArmsReport, EstimateRow, ReferenceRows, estimate_row
from ..report.closing import WIDTH, Closing, print_closing, report_console
from ..report.format import NOTHING, number, signed
from ..report.frontier_figure import draw_frontier
from ..report.takeaway import takeaway_of, verdicts_of
from ..report.verdict_table import print_verdicts
from ..runs.run_folder import environment_facts, write_json
from .demo import ARMS, DemoConfig, run_demo
from .page import seeds_title

__all__ = ["PooledReport", "PooledRun", "pool_seeds", "print_pooled", "run_demo_seeds"]

PAIRS = (*((name, "SFT") for name in ARMS), ("DARLING", "Dr. GRPO"))
SHOWN = ("training_reward", "pass@1", "pass@1_plan", "pass@8", "kind_entropy", "breadth", "frontier_distance")

JsonObject: TypeAlias = Mapping[str, Any]


class PooledMeasure(TypedDict):
    """A measure of one arm: its mean over seeds, and its value for each seed in order."""

    mean: float
    per_seed: list[float]


class PooledReport(TypedDict):
    """Several seeds of the demo.

    Attributes:
        seeds: sorted.
        arms: name -> key of a measure -> values.
        differences: "a - b" -> key of a measure -> mean of a - b over seeds, with Student's 95 % interval.
        references: exact values, averaged over the seeds' test sets.
    """

    seeds: list[int]
    arms: dict[str, dict[str, PooledMeasure]]
    differences: dict[str, dict[str, EstimateRow]]
    references: ReferenceRows


class PooledRun(PooledReport):
    """A pooled report with the configuration of the run and the machine it ran on."""

    config: JsonObject
    environment: JsonObject


def run_demo_seeds(config: DemoConfig, num_seeds: int, out: Path, *, resume: bool, page: bool = True) -> None:
    """Runs the demo for seeds `config.seed`, `config.seed` + 1, ... and writes their pooled report.json.

    Each seed also measures its policies on the fixed training questions. With `resume`, finished seeds are not run
    again and an interrupted seed continues.
    """
    reports = {}
    for seed in range(config.seed, config.seed + num_seeds):
        folder = out / f"seed-{seed}"
        of_seed = replace(config, seed=seed, measure_training=True)
        reports[seed] = run_demo(of_seed, folder, resume=resume and folder.exists(), show=False, page=page)
    pooled = pool_seeds(reports)
    write_json(out / "report.json", {"config": asdict(config), "environment": environment_facts(), **pooled})
    if find_spec("matplotlib"):
        draw_frontier(list(reports.values()), out / "figures", title=seeds_title(num_seeds))
    print_pooled(pooled, report_console())
    files = [("figure", figure) for figure in sorted((out / "figures").glob("*.png"))]
    files += [("page", out / "seed-*" / "report.html")] if page else []
    files.append(("rollouts", out / "seed-*" / "eval" / "*" / "rollouts.jsonl"))
    print_closing(report_console(), Closing(files, [f"berrypick report {out / f'seed-{config.seed}'}"]))


def pool_seeds(reports: Mapping[int, ArmsReport]) -> PooledReport:
    """Pools the reports of several seeds; only measures that every seed has are kept.

    Args:
        reports: seed -> what `demo_report` returned.
    """
    seeds = sorted(reports)
    arms: dict[str, dict[str, PooledMeasure]] = {}
    for name in reports[seeds[0]]["arms"]:
        rows = [_values(reports[seed], name) for seed in seeds]
        shared = sorted(set.intersection(*(set(row) for row in rows)))
        arms[name] = {key: _pooled([row[key] for row in rows]) for key in shared}
    differences = {}
    for first, second in PAIRS:
        if first in arms and second in arms and len(seeds) > 1:
            keys = sorted(set(arms[first]) & set(arms[second]))
            differences[f"{first} - {second}"] = {
                key: estimate_row(paired_t_interval(_minus(arms[first][key], arms[second][key]))) for key in keys
            }
    references = {
        name: {key: float(np.mean([reports[seed]["references"][name][key] for seed in seeds])) for key in row}
        for name, row in reports[seeds[0]]["references"].items()
    }
    return {"seeds": seeds, "arms": arms, "differences": differences, "references": references}


def _values(report: ArmsReport, arm: str) -> dict[str, float]:
    values = {key: estimate["value"] for key, estimate in report["arms"][arm]["measures"].items()}
    rewards = report.get("training_reward", {})
    return values | ({"training_reward": rewards[arm]} if arm in rewards else {})


def _pooled(values: Sequence[float]) -> PooledMeasure:
    return {"mean": float(np.mean(values)), "per_seed": [float(value) for value in values]}


def _minus(first: PooledMeasure, second: PooledMeasure) -> list[float]:
    return [a - b for a, b in zip(first["per_seed"], second["per_seed"], strict=True)]


def print_pooled(pooled: PooledReport, console: Console) -> None:
    """Prints the means of each arm, then the seed-paired differences; 80 columns are enough."""
    seeds = ", ".join(map(str, pooled["seeds"]))
    console.print(f"means over seeds {seeds} (reward: on training questions)", style="italic", highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0, width=min(100, console.width))
    table.add_column("", no_wrap=True)
    for key in SHOWN:
        measure = measure_of(key)
        table.add_column(measure.short or measure.label, justify="right", no_wrap=True)
    for name, row in pooled["arms"].items():
        table.add_row(name, *(number(row[key]["mean"]) if key in row else NOTHING for key in SHOWN))
    table.add_section()
    for name, exact in pooled["references"].items():
        table.add_row(name, *(number(exact[key]) if key in exact else "" for key in SHOWN), style="dim")
    console.print(table)
    for name, differences in pooled["differences"].items():
        parts = [f"{measure_of(key).label} {signed(differences[key])}" for key in SHOWN if key in differences]
        console.print(f"{name}: " + "; ".join(parts), highlight=False)
    if found := verdicts_of(pooled["arms"], pooled["differences"]):
        print_verdicts(console, found, takeaway_of(found), min(WIDTH, console.width))
