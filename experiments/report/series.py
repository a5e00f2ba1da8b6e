"""The screen of `berrypick report --by step`: one row for each checkpoint, where narrowing begins, the alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...retrieval_index.plain_text import counted, safe_text
from ..measures.by_step import SeriesRow, StepRow
from ..measures.measures import measure_of
from .closing import WIDTH, report_console
from .format import estimate_parts

__all__ = ["print_series"]

_BLOCKS = {
    "Accuracy": ("em", "pass@8", "pass@4", "pass@2", "f1", "zero_variance", "finished"),
    "Breadth": (
        "breadth",
        "distinct_passages",
        "retrieval_clusters",
        "query_clusters",
        "unique_query_ratio",
        "query_similarity",
    ),
    "Entropy (nats)": ("query_token_entropy", "semantic_query_entropy", "path_entropy", "query_specificity"),
    "Text": ("format_dominant", "format_entropy", "degenerate_text", "valid_actions", "searches"),
}
_COLUMNS = 5
MARK = "<"
"""Marks the values from the onset of narrowing on."""


def print_series(series: Mapping[str, SeriesRow]) -> None:
    """Prints every series to standard output."""
    console = report_console()
    width = min(console.width, WIDTH)
    for name, rows in series.items():
        console.print(Text(safe_text(f"berrypick report by step: {name}"), style="bold"), width=width)
        for line in _size_lines(rows):
            console.print(Text(line), width=width)
        for heading, keys in _BLOCKS.items():
            shown = [key for key in keys if any(key in row["measures"] for row in rows["steps"])][:_COLUMNS]
            if shown:
                console.print(_table(heading, shown, rows), width=width)
        _print_notes(console, rows, width)


def _size_lines(rows: SeriesRow) -> list[str]:
    steps = rows["steps"]
    asked = {row["num_questions"] for row in steps}
    same = "the same questions at every step" if rows["shared"] else "different questions at different steps"
    size = f"{min(asked)} questions" if len(asked) == 1 else f"{min(asked)} to {max(asked)} questions"
    lines = [f"{size} x {steps[0]['samples']} samples, {same}; ± half the 95 % bootstrap interval over questions"]
    return lines + ([f"left out: {counted(rows['left_out'], 'rollout')} without a step"] if rows["left_out"] else [])


def _table(heading: str, keys: Sequence[str], rows: SeriesRow) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(heading, style="bold", no_wrap=True)
    for key in keys:
        table.add_column(measure_of(key).short or measure_of(key).label, justify="right", no_wrap=True)
    for row in rows["steps"]:
        table.add_row(f"step {row['step']}", *[_cell(key, row, rows) for key in keys])
    return table


def _cell(key: str, row: StepRow, rows: SeriesRow) -> Text:
    value, half = estimate_parts(row["measures"].get(key))
    onset = rows["onset"].get(key)
    mark = MARK if onset is not None and row["step"] >= onset["step"] else " "
    half = f" {half.replace('±0.', '±.')}" if half else ""
    return Text(value).append(half, style="dim").append(mark, style="bold red")


def _print_notes(console: Console, rows: SeriesRow, width: int) -> None:
    total = len(rows["steps"])
    for key, onset in rows["onset"].items():
        if onset is not None:
            line = f"{MARK} narrowing of {measure_of(key).label} from step {onset['step']} on: below the first step's "
            line += f"interval at {onset['steps_below']} of {total} steps, to the end"
            console.print(Text(line), width=width)
    if not any(rows["onset"].values()):
        line = "no onset of narrowing: no measure of breadth or entropy stays below the first step's interval"
        console.print(Text(line), width=width)
    for alarm in rows["alarms"]:
        console.print(Text(safe_text(f"alarm: {alarm['text']}"), style="bold red"), width=width)
    absent = set.intersection(*({*row["absent"]} for row in rows["steps"]))
    reasons: dict[str, list[str]] = {}
    for key in sorted(absent):
        reasons.setdefault(rows["steps"][0]["absent"][key], []).append(measure_of(key).label)
    for why, labels in reasons.items():
        console.print(Text(safe_text(f"not measured ({why}): {', '.join(labels)}")), width=width)
