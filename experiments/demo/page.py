"""The demo's results as a page: pooled seeds, SFT against exact values. Every number comes from JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["demo_page", "write_demo_page"]

_COLUMNS = {
    "training_reward": "training reward",
    "pass@1": "pass@1",
    "pass@1_plan": "plan",
    "give_up_loss": "give-up loss",
    "execution_loss": "execution loss",
    "pass@8": "pass@8",
    "pass@8_plan": "pass@8, plan",
    "kind_entropy": "kind entropy",
    "query_token_entropy": "token entropy",
    "breadth": "breadth",
    "frontier_distance": "to the frontier",
}

Report = Mapping[str, Any]


def write_demo_page(folder: Path) -> Path:
    """Writes README.md from the folder's report.json and the sft-check-*.json beside it."""
    pooled = json.loads((folder / "report.json").read_text())
    checks = {
        path.stem.removeprefix("sft-check-"): json.loads(path.read_text()) for path in folder.glob("sft-check-*.json")
    }
    page = folder / "README.md"
    page.write_text(demo_page(pooled, dict(sorted(checks.items()))))
    return page


def demo_page(pooled: Report, checks: Mapping[str, Report]) -> str:
    """Markdown.

    Args:
        pooled: of `demo_seeds.pool_seeds`, with "config" and "environment".
        checks: seed -> report of `berrypick eval --samples 16` over all test questions with that seed's SFT policy.
    """
    config, seeds = pooled["config"], pooled["seeds"]
    lines = [
        "# The demo over seeds",
        "",
        "Generated from report.json by `berrypick.experiments.demo.page`; the command that made it:",
        "",
        f"    berrypick demo --seeds {len(seeds)} --seed {seeds[0]} --steps {config['steps']} "
        f"--sft-steps {config['sft_steps']} --questions {config['questions']} --samples {config['samples']} "
        f"--index {config['index']} --out runs/seeds",
        "",
        f"World, preset priced; seeds {', '.join(map(str, seeds))}; {config['questions']} held-out questions x "
        f"{config['samples']} samples a seed; training reward over the 256 fixed training questions. "
        + _versions(pooled),
        "",
        "## Means over seeds",
        "",
        *_table(pooled),
        "",
        "The last rows are exact values of this test set (`berrypick.envs.world.frontier`).",
        "",
        "## Seed-paired differences",
        "",
        "Mean over seeds with Student's 95 % interval; with so few seeds the intervals are wide, and the seeds are the "
        "dots of the picture.",
        "",
        *_differences(pooled),
        "",
        "![pass@1 against pass@8](frontier.png)",
    ]
    if checks:
        lines += ["", "## SFT against the exact uniform order", "", *_checks(checks)]
    return "\n".join(lines) + "\n"


def _versions(pooled: Report) -> str:
    facts = pooled["environment"]
    names = ("torch", "transformers", "pyserini", "numpy")
    shown = ", ".join(f"{name} {facts['versions'][name]}" for name in names)
    return f"Python {facts['python']}, {facts['cpus']} CPUs, {shown}."


def _table(pooled: Report) -> list[str]:
    lines = ["| | " + " | ".join(_COLUMNS.values()) + " |", "|---" * (len(_COLUMNS) + 1) + "|"]
    for name, row in pooled["arms"].items():
        lines.append(_row(name, [row[key]["mean"] if key in row else None for key in _COLUMNS]))
    for name, exact in pooled["references"].items():
        lines.append(_row(f"*{name}*", [exact.get(key) for key in _COLUMNS]))
    return lines


def _row(name: str, values: Sequence[float | None]) -> str:
    return f"| {name} | " + " | ".join("" if value is None else f"{value:.3f}" for value in values) + " |"


def _differences(pooled: Report) -> list[str]:
    names = list(pooled["differences"])
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for key, label in _COLUMNS.items():
        cells = []
        for name in names:
            d = pooled["differences"][name].get(key)
            cells.append("" if d is None else f"{d['value']:+.3f} [{d['low']:+.3f}, {d['high']:+.3f}]")
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return lines


def _checks(checks: Mapping[str, Report]) -> list[str]:
    lines = [
        "`berrypick eval --env berrypick/World-v0 --env-arg index=lucene --policy runs/seeds/seed-N/sft --samples 16`, "
        "all test questions. SFT imitates the uniform order; its exact pass@1 and pass@8 are of the same questions.",
        "",
        "| seed | questions x samples | pass@1 | exact | pass@8 | exact | plan | executed right |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for seed, report in checks.items():
        arm = next(iter(report["arms"].values()))
        value = {key: estimate["value"] for key, estimate in arm["measures"].items()}
        exact = report["references"]["uniform order"]
        cells = [
            value["pass@1"],
            exact["pass@1"],
            value["pass@8"],
            exact["pass@8"],
            value["pass@1_plan"],
            value["executed_right"],
        ]
        shape = f"{arm['num_questions']} x {arm['samples']}"
        lines.append(f"| {seed} | {shape} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")
    return lines


if __name__ == "__main__":
    import sys

    sys.stdout.write(f"{write_demo_page(Path(sys.argv[1]))}\n")
