"""Several seeds of the same arms on a screen: their means, then their seed-paired differences and the takeaway."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...retrieval_index.plain_text import safe_text
from ..measures.measures import measure_of
from ..measures.pooled import PooledReport
from .closing import WIDTH
from .format import NOTHING, number, signed
from .palette import arm_colours
from .takeaway import takeaway_of, verdicts_of
from .verdict_table import print_verdicts

__all__ = ["print_pooled", "shown_measures"]

_WORLD = ("training_reward", "pass@1", "pass@1_plan", "pass@8", "kind_entropy", "breadth", "frontier_distance")
_TEXT = ("training_reward", "pass@1", "f1", "pass@8", "breadth", "distinct_passages", "path_entropy")


def shown_measures(pooled: PooledReport) -> list[str]:
    """Keys of the columns: those of World or of other environments that some arm has."""
    known = {key for row in pooled["arms"].values() for key in row}
    return [key for key in (_WORLD if "pass@1_plan" in known else _TEXT) if key in known]


def print_pooled(pooled: PooledReport, console: Console) -> None:
    """Prints the means of each arm, then the seed-paired differences; 80 columns are enough."""
    keys, colours = shown_measures(pooled), arm_colours(pooled["arms"])
    seeds = ", ".join(map(str, pooled["seeds"]))
    rewards = " (reward: on training questions)" if "training_reward" in keys else ""
    console.print(f"means over seeds {seeds}{rewards}", style="italic", highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0, width=min(WIDTH, console.width))
    table.add_column("", no_wrap=True)
    for key in keys:
        table.add_column(measure_of(key).head, justify="right", no_wrap=True)
    for name, row in pooled["arms"].items():
        cells = [number(row[key]["mean"]) if key in row else NOTHING for key in keys]
        table.add_row(Text(safe_text(name), style=f"bold {colours[name]}"), *cells)
    table.add_section()
    for name, exact in pooled["references"].items():
        table.add_row(name, *(number(exact[key]) if key in exact else "" for key in keys), style="dim")
    console.print(table)
    for name, differences in pooled["differences"].items():
        parts = [f"{measure_of(key).label} {signed(differences[key])}" for key in keys if key in differences]
        console.print(Text(safe_text(f"{name}: " + "; ".join(parts))))
    if found := verdicts_of(pooled["arms"], pooled["differences"]):
        print_verdicts(console, found, takeaway_of(found), min(WIDTH, console.width), "seeds")
