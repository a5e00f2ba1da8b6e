"""The final screen: arms side by side, every number with its interval; 80 columns are enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...retrieval_index.plain_text import safe_text
from ..measures.measures import measure_of
from ..measures.rows import ArmsReport, EstimateRow, ReferenceRows, SummaryRow
from .closing import WIDTH, Closing, print_closing, report_console
from .columns import blocks, column_notes, is_world
from .format import estimate_parts, interval_legend, narrow, number
from .notes import (
    absent_lines,
    contradiction_lines,
    coverage_lines,
    information_lines,
    likeness_lines,
    size_lines,
    trained_lines,
)
from .palette import arm_colours
from .population_table import population_sentence, print_population
from .takeaway import takeaway, verdicts
from .verdict_table import print_verdicts

__all__ = ["final_screen", "print_report"]


def print_report(paths: Sequence[Path], report: ArmsReport, closing: Closing | None = None) -> None:
    """Prints the report on these run folders and rollouts files to standard output.

    Args:
        paths: for the title.
        report: see `experiments/measures/rows.py`.
        closing: the last lines.
    """
    arms = report["arms"]
    notes = [*contradiction_lines(arms), *information_lines(arms), *likeness_lines(report.get("likeness", {}))]
    notes += absent_lines(arms)
    if "no_frontier" in report and is_world(report):
        notes.append(report["no_frontier"])
    if "no_population" in report:
        notes.append(report["no_population"])
    if "lines_left_out" in report:
        notes.append(f"bad lines left out: {report['lines_left_out']}")
    notes += coverage_lines(report.get("coverage", {}))
    if "rollouts_missing" in report:
        notes.append(f"rollouts missing: {report['rollouts_missing']}")
    console = report_console()
    final_screen(console, "berrypick report: " + ", ".join(map(str, paths)), report, notes)
    if closing is not None:
        print_closing(console, closing)


def final_screen(console: Console, title: str, report: ArmsReport, notes: Sequence[str] = ()) -> None:
    """Prints one table for each block of measures, the paired differences, and last the takeaway in one sentence.

    The exact reference rows are below the arms. A block that is wider than the console becomes several tables.

    Args:
        console: prints to its output.
        title: the first line, what was run.
        report: see `experiments/measures/rows.py`.
        notes: lines between the tables and the differences.
    """
    width = min(console.width, WIDTH)
    console.print(Text(safe_text(title), style="bold"), width=width)
    *above, last = [*trained_lines(report), *size_lines(report)]
    tables = blocks(report)
    keys = {key for keys in tables.values() for key in keys}
    shown = [row for arm in report["arms"].values() for key, row in arm["measures"].items() if key in keys]
    interval = Text(interval_legend(shown), style="dim")
    foot = [Text(safe_text(last)), interval] if above else [Text(f"{last}; ").append_text(interval)]
    for line in [*(Text(safe_text(line)) for line in above), *foot]:
        console.print(line, width=width)
    for heading, columns in tables.items():
        for part, table in _block(heading, columns, report["arms"], report.get("references", {}), width):
            console.print()
            console.print(table, width=width)
            console.print(Text(column_notes(part), style="dim"), width=width)
    exact = "lower rows: exact values for the same questions; " if "references" in report else ""
    console.print(Text(f"{exact}any measure: berrypick explain MEASURE", style="dim"), width=width)
    for note in notes:
        console.print(Text(safe_text(note)), width=width)
    if "population" in report:
        print_population(console, report["population"], width)
    print_verdicts(console, verdicts(report), takeaway(report) + population_sentence(report), width, "questions")


_ESTIMATE = 12
"""Width of an estimate with its interval, such as "-0.002 ±.051"."""

Arms = Mapping[str, SummaryRow]


def _column_width(key: str, arms: Arms) -> int:
    """Width of a column and of the space before it."""
    cells = (len(_cell(arm["measures"].get(key)).plain) for arm in arms.values())
    return max(_ESTIMATE, len(measure_of(key).head), *cells) + 1


def _widths(keys: Sequence[str], arms: Arms, width: int) -> list[int]:
    """Widths of columns that fill `width`; those with the longest heads get what is left over."""
    needed = [_column_width(key, arms) for key in keys]
    spare, rest = divmod(width - sum(needed), len(keys))
    longest = sorted(range(len(keys)), key=lambda at: -len(measure_of(keys[at]).head))[:rest]
    return [size - 1 + spare + (at in longest) for at, size in enumerate(needed)]


def _block(
    heading: str, keys: Sequence[str], arms: Arms, references: ReferenceRows, width: int
) -> list[tuple[Sequence[str], Table]]:
    """The block as tables that fit, each with the keys of its columns; all have about the same number of columns."""
    shown = [key for key in keys if any(key in arm["measures"] for arm in arms.values())]
    names = max(len(safe_text(name)) for name in (heading, *arms, *references))
    names = min(max(names, 14), width // 3)
    for size in range(len(shown), 0, -1):
        parts = [shown[at : at + size] for at in range(0, len(shown), size)]
        if size == 1 or all(sum(_column_width(key, arms) for key in part) <= width - names for part in parts):
            size = -(-len(shown) // len(parts))
            parts = [shown[at : at + size] for at in range(0, len(shown), size)]
            return [(part, _table(heading, part, arms, references, names, width)) for part in parts]
    return []


def _table(
    heading: str,
    keys: Sequence[str],
    arms: Arms,
    references: ReferenceRows,
    names: int,
    width: int,
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0, width=width, show_edge=False)
    table.add_column(heading, style="bold", no_wrap=True, width=names)
    for key, column in zip(keys, _widths(keys, arms, width - names), strict=True):
        table.add_column(measure_of(key).head, justify="right", no_wrap=True, width=column)
    colours = arm_colours(arms)
    for name, arm in arms.items():
        table.add_row(
            Text(safe_text(name), style=f"bold {colours[name]}"), *[_cell(arm["measures"].get(key)) for key in keys]
        )
    rows = [(name, row) for name, row in references.items() if any(key in row for key in keys)]
    if rows:
        table.add_section()
    for name, row in rows:
        cells = [f"{number(row[key])}     " if key in row else "" for key in keys]
        table.add_row(Text(name, style="dim"), *[Text(cell, style="dim") for cell in cells])
    return table


def _cell(estimate: EstimateRow | None) -> Text:
    value, half = estimate_parts(estimate)
    if not half:
        return Text(f"{value}    ", style="dim")
    return Text(value).append(f" {narrow(half)}", style="dim")
