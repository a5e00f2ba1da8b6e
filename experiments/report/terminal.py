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
from .format import estimate_parts, number
from .notes import absent_lines, difference_lines, size_lines

__all__ = ["final_screen", "print_report", "report_console"]

WIDTH = 100
"""Columns of the output if it is no terminal, and the most that are used of a wider terminal."""

_WORLD_BLOCKS = {
    "Accuracy": ("pass@1", "pass@1_plan", "give_up_loss", "execution_loss", "pass@8", "frontier_distance"),
    "Breadth": (
        "breadth",
        "evidence_recall",
        "distinct_passages",
        "unique_query_ratio",
        "new_kind_after_miss",
        "executed_right",
    ),
    "Entropy (nats)": (
        "query_token_entropy",
        "query_sequence_entropy",
        "semantic_query_entropy",
        "kind_entropy",
        "path_entropy",
        "policy_tokens",
    ),
}
_TEXT_BLOCKS = {
    "Accuracy": ("em", "f1", "pass@2", "pass@4", "pass@8", "finished"),
    "Breadth": (
        "breadth",
        "evidence_recall",
        "distinct_passages",
        "unique_query_ratio",
        "searches",
        "valid_actions",
    ),
    "Entropy (nats)": (
        "query_token_entropy",
        "query_sequence_entropy",
        "semantic_query_entropy",
        "path_entropy",
        "policy_tokens",
    ),
}


def print_report(paths: Sequence[Path], report: ArmsReport) -> None:
    """Prints the report on these run folders and rollouts files to standard output."""
    first = "pass@1" if _is_world(report) else "em"
    notes = difference_lines(report["differences"], (first, "pass@8", "breadth", "query_token_entropy"))
    notes += absent_lines(report["arms"])
    if "no_frontier" in report and _is_world(report):
        notes.append(report["no_frontier"])
    if "lines_left_out" in report:
        notes.append(f"bad lines left out: {report['lines_left_out']}")
    final_screen(report_console(), "berrypick report: " + ", ".join(map(str, paths)), report, notes)


def final_screen(console: Console, title: str, report: ArmsReport, notes: Sequence[str] = ()) -> None:
    """Prints one table for each block of measures, with the exact reference rows below the arms.

    A block that is wider than the console becomes several tables.

    Args:
        console: prints to its output.
        title: the first line, what was run.
        report: see `experiments/measures/rows.py`.
        notes: lines below the tables.
    """
    width = min(console.width, WIDTH)
    console.print(Text(safe_text(title), style="bold"), width=width)
    *above, last = size_lines(report)
    interval = Text("± half the 95 % bootstrap interval over questions", style="dim")
    foot = [Text(safe_text(last)), interval] if above else [Text(f"{last}; ").append_text(interval)]
    for line in [*(Text(safe_text(line)) for line in above), *foot]:
        console.print(line, width=width)
    for heading, keys in (_WORLD_BLOCKS if _is_world(report) else _TEXT_BLOCKS).items():
        for table in _block(heading, keys, report["arms"], report.get("references", {}), width):
            console.print(table, width=width)
    if "references" in report:
        console.print(Text("rows without ±: exact values for the same questions", style="dim"), width=width)
    for note in notes:
        console.print(Text(safe_text(note)), width=width)


def _is_world(report: ArmsReport) -> bool:
    return any("pass@1_plan" in arm["measures"] for arm in report["arms"].values())


def report_console() -> Console:
    """Standard output: as wide as the terminal, or `WIDTH` in a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


_ESTIMATE = 12
"""Width of an estimate with its interval, such as "-0.002 ±.051"."""


def _head(key: str) -> str:
    measure = measure_of(key)
    return measure.short or measure.label


def _column_width(key: str) -> int:
    """Width of a column and of the space before it."""
    return max(_ESTIMATE, len(_head(key))) + 1


def _widths(keys: Sequence[str], width: int) -> list[int]:
    """Widths of columns that fill `width`; those with the longest heads get what is left over."""
    spare, rest = divmod(width - sum(map(_column_width, keys)), len(keys))
    longest = sorted(range(len(keys)), key=lambda at: -len(_head(keys[at])))[:rest]
    return [_column_width(key) - 1 + spare + (at in longest) for at, key in enumerate(keys)]


def _block(
    heading: str, keys: Sequence[str], arms: Mapping[str, SummaryRow], references: ReferenceRows, width: int
) -> list[Table]:
    """The block as tables that fit, each with about the same number of columns."""
    shown = [key for key in keys if any(key in arm["measures"] for arm in arms.values())]
    names = max(len(safe_text(name)) for name in (heading, *arms, *references))
    names = min(max(names, 14), width // 3)
    for size in range(len(shown), 0, -1):
        parts = [shown[at : at + size] for at in range(0, len(shown), size)]
        if size == 1 or all(sum(map(_column_width, part)) <= width - names - 2 for part in parts):
            size = -(-len(shown) // len(parts))
            parts = [shown[at : at + size] for at in range(0, len(shown), size)]
            return [_table(heading, part, arms, references, names, width) for part in parts]
    return []


def _table(
    heading: str,
    keys: Sequence[str],
    arms: Mapping[str, SummaryRow],
    references: ReferenceRows,
    names: int,
    width: int,
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0, width=width)
    table.add_column(heading, style="bold", no_wrap=True, width=names)
    for key, column in zip(keys, _widths(keys, width - names - 2), strict=True):
        table.add_column(_head(key), justify="right", no_wrap=True, width=column)
    for name, arm in arms.items():
        table.add_row(safe_text(name), *[_cell(arm["measures"].get(key)) for key in keys])
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
    return Text(value).append(" " + half.replace("±0.", "±."), style="dim")
