"""The final screen: arms side by side, every number with its interval; 80 columns are enough."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...retrieval_index.plain_text import safe_text
from .sizes import size_lines

__all__ = ["difference_lines", "final_screen", "report_console"]

WIDTH = 100
"""Columns of a screen that is no terminal, and most of one that is."""

Summary = Mapping[str, Any]

_WORLD_BLOCKS: Sequence[tuple[str, Sequence[tuple[str, str]]]] = (
    (
        "Accuracy",
        (
            ("pass@1", "pass@1"),
            ("pass@1_plan", "plan"),
            ("give_up_loss", "give-up"),
            ("execution_loss", "misread"),
            ("pass@8", "pass@8"),
            ("frontier_distance", "to frontier"),
        ),
    ),
    (
        "Breadth",
        (
            ("breadth", "breadth"),
            ("evidence_recall", "evid. recall"),
            ("distinct_passages", "passages"),
            ("unique_query_ratio", "uniq. query"),
            ("new_kind_after_miss", "new | miss"),
            ("executed_right", "right search"),
        ),
    ),
    (
        "Entropy (nats)",
        (
            ("query_token_entropy", "a token"),
            ("query_sequence_entropy", "a query"),
            ("semantic_query_entropy", "by result"),
            ("kind_entropy", "kind | hop"),
            ("path_entropy", "paths"),
            ("policy_tokens", "tokens/ep."),
        ),
    ),
)
_TEXT_BLOCKS: Sequence[tuple[str, Sequence[tuple[str, str]]]] = (
    (
        "Accuracy",
        (
            ("em", "EM"),
            ("f1", "F1"),
            ("pass@2", "pass@2"),
            ("pass@4", "pass@4"),
            ("pass@8", "pass@8"),
            ("finished", "finished"),
        ),
    ),
    (
        "Breadth",
        (
            ("breadth", "breadth"),
            ("evidence_recall", "evid. recall"),
            ("distinct_passages", "passages"),
            ("unique_query_ratio", "uniq. query"),
            ("searches", "searches"),
            ("valid_actions", "valid turns"),
        ),
    ),
    (
        "Entropy (nats)",
        (
            ("query_token_entropy", "a token"),
            ("query_sequence_entropy", "a query"),
            ("semantic_query_entropy", "by result"),
            ("path_entropy", "paths"),
            ("policy_tokens", "tokens/ep."),
        ),
    ),
)


def final_screen(
    console: Console,
    title: str,
    arms: Mapping[str, Summary],
    *,
    references: Mapping[str, Mapping[str, float]] | None = None,
    notes: Sequence[str] = (),
    differences: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Prints one table a block of measures, the exact reference rows below the arms, and sentences.

    A block that is wider than the console becomes several tables.

    Args:
        console: where to.
        title: what was run.
        arms: name -> summary, see `experiments/measures/summary.py`.
        references: name -> measure -> exact value.
        notes: sentences made from the numbers.
        differences: what was compared; says over how many questions.
    """
    world = any("pass@1_plan" in arm["measures"] for arm in arms.values())
    width = min(console.width, WIDTH)
    console.print(Text(safe_text(title), style="bold"), width=width)
    *above, last = size_lines(arms, differences or {})
    interval = Text("±: half width of the 95 % bootstrap interval over questions", style="dim")
    foot = [Text(safe_text(last)), interval] if above else [Text(f"{last}; ").append_text(interval)]
    for line in [*(Text(safe_text(line)) for line in above), *foot]:
        console.print(line, width=width)
    for heading, columns in _WORLD_BLOCKS if world else _TEXT_BLOCKS:
        for table in _block(heading, columns, arms, references or {}, width):
            console.print(table, width=width)
    for note in notes:
        console.print(Text(safe_text(note)), width=width)


def report_console() -> Console:
    """Standard output: as wide as the terminal, or `WIDTH` in a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


_COLUMN = 13
"""Width of a label or of an estimate with its interval, and the space before it."""


def _block(
    heading: str,
    columns: Sequence[tuple[str, str]],
    arms: Mapping[str, Summary],
    references: Mapping[str, Mapping[str, float]],
    width: int,
) -> list[Table]:
    """The block as tables of about equally many columns that fit."""
    shown = [(key, label) for key, label in columns if any(key in arm["measures"] for arm in arms.values())]
    if not shown:
        return []
    names = max(len(safe_text(name)) for name in (heading, *arms, *references))
    names = min(max(names, 14), width // 3)
    tables = math.ceil(len(shown) / max(1, (width - names - 2) // _COLUMN))
    size = math.ceil(len(shown) / tables)
    return [_table(heading, shown[at : at + size], arms, references, names, width) for at in range(0, len(shown), size)]


def _table(
    heading: str,
    shown: Sequence[tuple[str, str]],
    arms: Mapping[str, Summary],
    references: Mapping[str, Mapping[str, float]],
    names: int,
    width: int,
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True, width=width)
    table.add_column(heading, style="bold", no_wrap=True, ratio=14, min_width=names)
    for _, label in shown:
        table.add_column(label, justify="right", no_wrap=True, ratio=12)
    for name, arm in arms.items():
        table.add_row(safe_text(name), *[_cell(arm["measures"].get(key)) for key, _ in shown])
    rows = [(name, row) for name, row in references.items() if any(key in row for key, _ in shown)]
    if rows:
        table.add_section()
    for name, row in rows:
        cells = [f"{row[key]:.3f}     " if key in row else "" for key, _ in shown]
        table.add_row(Text(name, style="dim"), *[Text(cell, style="dim") for cell in cells])
    return table


def _cell(estimate: Mapping[str, float] | None) -> Text:
    if estimate is None:
        return Text("—    ", style="dim")
    half = (estimate["high"] - estimate["low"]) / 2
    value = estimate["value"]
    digits = 3 if abs(value) < 10 else 1
    text = Text(f"{value:.{digits}f}".replace("-0.000", "0.000"))
    text.append(f" ±{half:.{digits}f}".replace("±0.", "±."), style="dim")
    return text


def difference_lines(differences: Mapping[str, Mapping[str, Any]], measures: Sequence[str]) -> list[str]:
    """One line a comparison: "grpo - sft: pass@1 +.041 [.020, .062]; ..."."""
    lines = []
    for name, result in differences.items():
        parts = []
        for measure in measures:
            if measure in result["differences"]:
                d = result["differences"][measure]
                parts.append(f"{measure} {d['value']:+.3f} [{d['low']:+.3f}, {d['high']:+.3f}]")
        lines.append(f"{name}: " + "; ".join(parts))
    return lines
