"""The screen of `berrypick report SWEEP`: training and held-out measures of its objectives over seeds, alarms."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from ...retrieval_index.plain_text import counted, safe_text
from ..measures.measures import measure_of
from ..measures.sweep import SweepReport
from .closing import WIDTH, Closing, print_closing, report_console
from .format import NOTHING, number
from .palette import arm_colours
from .pooled import print_pooled
from .takeaway import takeaway, takeaway_of, verdicts_of
from .terminal import final_screen

__all__ = ["print_sweep", "sweep_lines", "sweep_takeaway"]

_COLUMNS = ("training_reward", "breadth", "unique_query_ratio", "query_token_entropy", "zero_variance")


def sweep_lines(report: SweepReport) -> list[str]:
    """Says which alarms were raised, which cells failed, and which are left out of the means over seeds."""
    lines = [f"alarm in {name}: {alarm['text']}" for name, found in report["alarms"].items() for alarm in found]
    lines += [f"failed: {name}: {why}" for name, why in report["failures"].items()]
    if report["left_out"]:
        lines.append(f"not in the means over seeds, as their seeds lack an objective: {', '.join(report['left_out'])}")
    return lines


def sweep_takeaway(report: SweepReport) -> str:
    """Writes the sentence that a reader should keep."""
    if report["held_out"] is not None:
        return takeaway_of(verdicts_of(report["held_out"]["arms"], report["held_out"]["differences"]))
    if report["cells"] is not None:
        return takeaway(report["cells"])
    rewards = {name: row["training_reward"] for name, row in report["training"].items() if "training_reward" in row}
    best = sorted(rewards.items(), key=lambda item: -item[1]["mean"])
    text = ", ".join(f"{name} {row['mean']:.3f} ({counted(len(row['per_seed']), 'seed')})" for name, row in best)
    return (
        f"Reward in training, mean of the last 5 steps: {text or 'not recorded'}; no cell is evaluated on held-out "
        "questions, so which is better cannot be said."
    )


def print_sweep(folder: Path, report: SweepReport, closing: Closing) -> None:
    """Prints the report on a sweep to standard output."""
    console = report_console()
    width = min(console.width, WIDTH)
    console.print(Text(safe_text(f"berrypick report: {folder}"), style="bold"), width=width)
    size = f"{counted(len(report['training']), 'objective')}, {counted(len(report['alarms']), 'finished cell')}"
    console.print(Text(f"{size}; training: mean over seeds of the last 5 steps, on training questions"), width=width)
    console.print()
    console.print(_training(report, width))
    for line in sweep_lines(report):
        style = "bold red" if line.startswith(("alarm", "failed")) else ""
        console.print(Text(safe_text(line), style=style), width=width)
    console.print()
    if report["held_out"] is not None:
        console.print(Text("Held-out questions", style="bold"))
        print_pooled(report["held_out"], console)
    elif report["cells"] is not None:
        final_screen(console, "Held-out questions", report["cells"])
    else:
        console.print(Text(safe_text(sweep_takeaway(report)), style="bold"), width=width)
    print_closing(console, closing)


def _training(report: SweepReport, width: int) -> Table:
    keys = [key for key in _COLUMNS if any(key in row for row in report["training"].values())]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0, width=width, show_edge=False)
    table.add_column("Training", style="bold", no_wrap=True)
    for key in keys:
        table.add_column(measure_of(key).head, justify="right", no_wrap=True)
    table.add_column("alarms", justify="right", no_wrap=True)
    colours = arm_colours(report["training"])
    for name, row in report["training"].items():
        found = sum(len(alarms) for cell, alarms in report["alarms"].items() if cell.startswith(f"{name}-seed"))
        values = [number(row[key]["mean"]) if key in row else NOTHING for key in keys]
        table.add_row(Text(safe_text(name), style=f"bold {colours[name]}"), *values, str(found))
    return table
