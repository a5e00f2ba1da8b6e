"""The screen of `berrypick report --by step`: one row for each checkpoint, where narrowing begins, the alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...retrieval_index.plain_text import safe_text
from ..measures.by_step import SeriesRow, StepRow
from ..measures.measures import measure_of
from .closing import WIDTH, Closing, print_closing, report_console
from .format import estimate_parts, narrow, number
from .series_notes import SERIES_BLOCKS, changing_keys, series_sentence, series_words, shown_keys

__all__ = ["print_series"]

MARK = "<"
"""Marks the values from the onset of narrowing on."""


def print_series(series: Mapping[str, SeriesRow], closing: Closing | None = None) -> None:
    """Prints every series to standard output, the sentence on each last, and then the closing lines."""
    console = report_console()
    width = min(console.width, WIDTH)
    for name, rows in series.items():
        console.print(Text(safe_text(f"berrypick report by step: {name}"), style="bold"), width=width)
        words = series_words(rows)
        shown, total = len(_steps(rows)), len(rows["steps"])
        few = [f"{shown} of {total} steps are shown; the page and --json have all"] if shown < total else []
        _print_lines(console, [*words.sizes, *few], width)
        still: list[str] = []
        for heading, keys in SERIES_BLOCKS.items():
            known = shown_keys(keys, rows)
            changing = changing_keys(known, rows) if heading == "Text" else known
            still += [key for key in known if key not in changing]
            for table in _tables(heading, changing, rows, width):
                console.print()
                console.print(table, width=width)
        console.print()
        if still:
            _print_lines(
                console, [f"the same at every step: {', '.join(_constant(key, rows) for key in still)}"], width
            )
        narrows = any(rows["onset"].values())
        _print_lines(console, [f"{MARK} {line}" if narrows else line for line in words.onsets], width)
        for alarm in words.alarms:
            console.print(Text(safe_text(f"alarm: {alarm}"), style="bold red"), width=width)
        absent = sorted(set.intersection(*({*row["absent"]} for row in rows["steps"])))
        if absent:
            _print_lines(console, [f"not measured: {', '.join(measure_of(key).label for key in absent)}"], width, "dim")
        console.print(Text("\n" + safe_text(series_sentence(rows)), style="bold"), width=width)
    if closing is not None:
        print_closing(console, closing)


def _print_lines(console: Console, lines: Sequence[str], width: int, style: str = "") -> None:
    for line in lines:
        console.print(Text(safe_text(line), style=style), width=width)


_ROWS = 12
"""Steps that a table shows at most; the page shows all."""


def _steps(rows: SeriesRow) -> list[StepRow]:
    """The steps that are shown: all, or the first, the last and some between them at equal distances."""
    steps = rows["steps"]
    if len(steps) <= _ROWS:
        return steps
    return [steps[round(at * (len(steps) - 1) / (_ROWS - 1))] for at in range(_ROWS)]


def _tables(heading: str, keys: Sequence[str], rows: SeriesRow, width: int) -> list[Table]:
    """The block as tables that fit."""
    steps = _steps(rows)
    names = max(len(heading), *(len(f"step {row['step']}") for row in steps)) + 1
    widths = {
        key: max(len(measure_of(key).head), *(len(_cell(key, row, rows).plain) for row in steps)) + 1 for key in keys
    }
    parts: list[list[str]] = []
    room = 0
    for key in keys:
        if widths[key] > room:
            parts.append([])
            room = width - names
        parts[-1].append(key)
        room -= widths[key]
    return [_table(heading, part, steps, rows) for part in parts]


def _table(heading: str, keys: Sequence[str], steps: Sequence[StepRow], rows: SeriesRow) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column(heading, style="bold", no_wrap=True)
    for key in keys:
        table.add_column(measure_of(key).head, justify="right", no_wrap=True)
    for row in steps:
        table.add_row(f"step {row['step']}", *[_cell(key, row, rows) for key in keys])
    return table


def _constant(key: str, rows: SeriesRow) -> str:
    """Such as "valid turns 1.000"; a step without the measure is passed over."""
    found = next(row["measures"][key] for row in rows["steps"] if key in row["measures"])
    return f"{measure_of(key).label} {number(found['value'])}"


def _cell(key: str, row: StepRow, rows: SeriesRow) -> Text:
    value, half = estimate_parts(row["measures"].get(key))
    onset = rows["onset"].get(key)
    mark = MARK if onset is not None and row["step"] >= onset["step"] else " "
    half = f" {narrow(half)}" if half else ""
    return Text(value).append(half, style="dim").append(mark, style="bold red")
