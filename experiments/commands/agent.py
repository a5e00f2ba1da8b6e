"""`berrypick agent`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...retrieval_index.bounds import flags_at_least
from ...retrieval_index.plain_text import safe_text
from ..agent.figures import FLOOR_HEAD, MEASURES, arm_rows, end_note, floor_rows
from ..agent.recipe import AGENT, AgentRecipe, run_agent
from ..report.closing import Closing, print_closing, report_console
from .flags import Agent

__all__ = ["print_agent", "run_agent_command"]


def run_agent_command(flags: Agent) -> int:
    """Trains an agent, measures it and prints its figures."""
    flags_at_least(1, flags, "holdout", "questions", "sft_steps")
    recipe = AgentRecipe(
        policy=flags.policy,
        sets=flags.sets,
        reading=flags.reading,
        holdout=flags.holdout,
        questions=flags.questions,
        sft_steps=flags.sft_steps,
        dtype=flags.dtype,
        seed=flags.seed,
    )
    report = run_agent(recipe, flags.out, resume=flags.resume)
    console = report_console()
    print_agent(report, console)
    adapter, first = flags.out / "train" / "adapter", report["found"]["sets"][0]
    print_closing(
        console,
        Closing(
            [("agent", adapter), ("model card", adapter / "README.md"), ("report", flags.out / "report.json")],
            [
                f"berrypick play --env berrypick/Mixed-v0 --env-arg sets={first} --policy {shlex.quote(str(adapter))} "
                '--ask "..."',
                f"berrypick report {shlex.quote(str(flags.out / first / AGENT))}    (episodes, all measures, page)",
            ],
        ),
    )
    return 0


def print_agent(report: Mapping[str, Any], console: Console) -> None:
    """Prints the figures of an agent beside its floors, and the sets that were left out."""
    recipe = report["recipe"]
    title = f"berrypick agent: {recipe['policy']}, {recipe['questions']} held-out questions of each set, greedy"
    console.print(Text(safe_text(title), style="bold"))
    console.print(Text(f"± half the 95 % bootstrap interval over questions{end_note(report)}", style="dim"))
    console.print()
    arms, floors = arm_rows(report), floor_rows(report)
    for name in report["sets"]:
        console.print(_table((name, *MEASURES.values()), [row[1:] for row in arms if row[0] == name]))
        console.print(_table(FLOOR_HEAD[1:], [row[1:] for row in floors if row[0] == name]))
        console.print()
    for name, why in report["left_out"].items():
        console.print(Text(safe_text(f"without {name}: {why}"), style="dim"), soft_wrap=True)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Rows of text, the first column bold; 80 columns are enough."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0, show_edge=False)
    for at, head in enumerate(heads):
        table.add_column(head, justify="right" if at else "left", no_wrap=True, min_width=0 if at else 14)
    for first, *cells in rows:
        table.add_row(Text(safe_text(first), style="bold"), *(cell.replace("±0.", "±.") for cell in cells))
    return table
