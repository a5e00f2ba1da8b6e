"""The demo over several seeds: one run per seed, then means and seed-paired differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

from ..measures.pooled import PooledReport, pool_seeds
from ..measures.rows import ArmsReport
from ..report.closing import Closing, print_closing, report_console
from ..report.frontier_figure import draw_frontier
from ..report.pooled import print_pooled
from ..runs.environment import environment_facts
from ..runs.run_folder import write_json
from .demo import ARMS, DemoConfig, run_demo
from .page import seeds_title

__all__ = ["PAIRS", "PooledReport", "PooledRun", "pool_seeds", "print_pooled", "run_demo_seeds"]

PAIRS = (*((name, "SFT") for name in ARMS), ("DARLING", "Dr. GRPO"))
"""Arms whose seed-paired differences are reported."""

JsonObject: TypeAlias = Mapping[str, Any]


class PooledRun(PooledReport):
    """A pooled report with the configuration of the run and the machine it ran on."""

    config: JsonObject
    environment: JsonObject


def run_demo_seeds(config: DemoConfig, num_seeds: int, out: Path, *, resume: bool, page: bool = True) -> None:
    """Runs the demo for seeds `config.seed`, `config.seed` + 1, ... and writes their pooled report.json.

    Each seed also measures its policies on the fixed training questions. With `resume`, finished seeds are not run
    again and an interrupted seed continues.
    """
    reports: dict[int, ArmsReport] = {}
    for seed in range(config.seed, config.seed + num_seeds):
        folder = out / f"seed-{seed}"
        of_seed = replace(config, seed=seed, measure_training=True)
        reports[seed] = run_demo(of_seed, folder, resume=resume and folder.exists(), show=False, page=page)
    pooled = pool_seeds(reports, PAIRS)
    write_json(out / "report.json", {"config": asdict(config), "environment": environment_facts(), **pooled})
    if find_spec("matplotlib"):
        draw_frontier(list(reports.values()), out / "figures", title=seeds_title(num_seeds))
    print_pooled(pooled, report_console())
    files = [("figure", figure) for figure in sorted((out / "figures").glob("*.png"))]
    files += [("page", out / "seed-*" / "report.html")] if page else []
    files.append(("rollouts", out / "seed-*" / "eval" / "*" / "rollouts.jsonl"))
    print_closing(report_console(), Closing(files, [f"berrypick report {out / f'seed-{config.seed}'}"]))
