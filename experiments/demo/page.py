"""Writes results/demo/README.md from its JSON: means over seeds, and SFT against exact values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..measures.measures import measure_of
from ..measures.rows import ArmsReport
from ..report.format import markdown_table, number, signed

if TYPE_CHECKING:
    from .seeds import PooledRun

__all__ = ["demo_page", "write_demo_page"]

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


def write_demo_page(folder: Path) -> Path:
    """Writes README.md from the report.json and the sft-check-*.json of a folder."""
    run: PooledRun = json.loads((folder / "report.json").read_text())
    checks = {
        path.stem.removeprefix("sft-check-"): json.loads(path.read_text()) for path in folder.glob("sft-check-*.json")
    }
    page = folder / "README.md"
    page.write_text(demo_page(run, dict(sorted(checks.items()))))
    return page


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

    sys.stdout.write(f"{write_demo_page(Path(sys.argv[1]))}\n")
