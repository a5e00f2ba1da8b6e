"""Publishes the demo over several seeds: README.md and the frontier figure of results/demo, from its JSON.

`python -m berrypick.experiments.demo.page results/demo` writes them anew. With the run folder as a second argument it
first copies the run's JSON.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..measures.measures import measure_of
from ..measures.rows import ArmsReport, EstimateRow
from ..report.figure_files import can_draw
from ..report.format import markdown_table, number, signed
from ..report.frontier_figure import draw_frontier
from ..runs.run_folder import stored_json

if TYPE_CHECKING:
    from .seeds import PooledRun

__all__ = ["demo_page", "seeds_title", "write_demo_page"]

_SHOWN = (
    "training_reward",
    "pass@1",
    "pass@1_plan",
    "give_up_loss",
    "execution_loss",
    "pass@8",
    "pass@8_plan",
    "kind_entropy",
    "query_token_entropy",
    "breadth",
    "frontier_distance",
)


def seeds_title(num_seeds: int) -> str:
    """The title of the frontier figure of several seeds."""
    return f"World, preset priced: held-out questions, {num_seeds} seeds"


def write_demo_page(folder: Path, run_folder: Path | None = None) -> Path:
    """Writes README.md, frontier.svg and frontier.png from the JSON of a folder, and returns README.md.

    Args:
        folder: holds report.json, the report of the first seed as seed-N.json, and sft-check-*.json.
        run_folder: of `berrypick demo --seeds N`; its report.json and the report of its first seed are copied first.
    """
    if run_folder is not None:
        shutil.copy(run_folder / "report.json", folder / "report.json")
    run: PooledRun = stored_json(folder / "report.json")
    first = folder / f"seed-{run['seeds'][0]}.json"
    if run_folder is not None:
        shutil.copy(run_folder / first.stem / "report.json", first)
    if can_draw():
        draw_frontier(_reports(run, stored_json(first)), folder, title=seeds_title(len(run["seeds"])))
    checks = {path.stem.removeprefix("sft-check-"): stored_json(path) for path in folder.glob("sft-check-*.json")}
    page = folder / "README.md"
    page.write_text(demo_page(run, dict(sorted(checks.items()))))
    return page


def _reports(run: PooledRun, first: ArmsReport) -> list[ArmsReport]:
    """One report for each seed, as the figure reads them; the exact values are those of the first seed's questions."""

    def measures(arm: str, at: int) -> dict[str, EstimateRow]:
        values = {key: row["per_seed"][at] for key, row in run["arms"][arm].items()}
        return {key: {"value": value, "low": value, "high": value, "n": 1} for key, value in values.items()}

    return [
        {**first, "arms": {name: {**first["arms"][name], "measures": measures(name, at)} for name in run["arms"]}}
        for at in range(len(run["seeds"]))
    ]


def demo_page(run: PooledRun, checks: Mapping[str, ArmsReport]) -> str:
    """Builds the page, in Markdown.

    Args:
        run: the report of `berrypick demo --seeds N`.
        checks: seed -> report of `berrypick eval --samples 16` over all test questions with that seed's SFT policy.
    """
    config, seeds = run["config"], run["seeds"]
    lines = [
        "# The demo over several seeds",
        "",
        "Generated from report.json by `python -m berrypick.experiments.demo.page results/demo`. The command of the "
        "run was:",
        "",
        f"    berrypick demo --seeds {len(seeds)} --seed {seeds[0]} --steps {config['steps']} "
        f"--sft-steps {config['sft_steps']} --questions {config['questions']} --samples {config['samples']} "
        f"--index {config['index']} --out runs/seeds",
        "",
        f"World, preset priced; seeds {', '.join(map(str, seeds))}; {config['questions']} held-out questions x "
        f"{config['samples']} samples for each seed; training reward over the 256 fixed training questions. "
        + _versions(run),
        "",
        "## Means over seeds",
        "",
        _means(run),
        "",
        "Rows in italics are exact values for this test set (`berrypick.envs.world.frontier`). The measures are "
        "explained in [docs/measures.md](../../docs/measures.md).",
        "",
        "## Seed-paired differences",
        "",
        "Means over seeds with Student's 95 % intervals. With so few seeds the intervals are wide; the figure shows "
        "each seed as a small dot.",
        "",
        _differences(run),
        "",
        "![pass@1 against pass@8 with the exact frontier; open marks: planned](frontier.png)",
    ]
    if checks:
        lines += ["", "## SFT against the exact uniform order", "", _checks(checks)]
    return "\n".join(lines) + "\n"


def _versions(run: PooledRun) -> str:
    facts = run["environment"]
    names = ("torch", "transformers", "pyserini", "numpy")
    shown = ", ".join(f"{name} {facts['versions'][name]}" for name in names)
    return f"Python {facts['python']}, {facts['cpus']} CPUs, {shown}."


def _means(run: PooledRun) -> str:
    header = ["policy", *(measure_of(key).label for key in _SHOWN)]
    rows = [
        [name, *(number(row[key]["mean"]) if key in row else "" for key in _SHOWN)] for name, row in run["arms"].items()
    ]
    rows += [
        [f"*{name}*", *(number(exact[key]) if key in exact else "" for key in _SHOWN)]
        for name, exact in run["references"].items()
    ]
    return markdown_table(header, rows)


def _differences(run: PooledRun) -> str:
    pairs = run["differences"]
    rows = [
        [measure_of(key).label, *(signed(pair[key]) if key in pair else "" for pair in pairs.values())]
        for key in _SHOWN
    ]
    return markdown_table(["measure", *pairs], rows)


def _checks(checks: Mapping[str, ArmsReport]) -> str:
    text = (
        "`berrypick eval --env berrypick/World-v0 --env-arg index=lucene --policy runs/seeds/seed-N/sft --samples 16`, "
        "all test questions. SFT imitates the uniform order, whose exact pass@1 and pass@8 are those of the same "
        "questions."
    )
    header = ["seed", "questions x samples", "pass@1", "exact pass@1", "pass@8", "exact pass@8"]
    header += [measure_of(key).label for key in ("pass@1_plan", "executed_right")]
    rows = []
    for seed, report in checks.items():
        arm = next(iter(report["arms"].values()))
        measured, exact = arm["measures"], report["references"]["uniform order"]
        cells = [
            measured["pass@1"]["value"],
            exact["pass@1"],
            measured["pass@8"]["value"],
            exact["pass@8"],
            measured["pass@1_plan"]["value"],
            measured["executed_right"]["value"],
        ]
        rows.append([seed, f"{arm['num_questions']} x {arm['samples']}", *map(number, cells)])
    return f"{text}\n\n{markdown_table(header, rows)}"


if __name__ == "__main__":
    import sys

    sys.stdout.write(f"{write_demo_page(*map(Path, sys.argv[1:3]))}\n")
