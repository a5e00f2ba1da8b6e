"""The final screen: arms side by side, 100 columns, every number with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...retrieval_index.plain_text import safe_text

__all__ = ["difference_lines", "final_screen"]

WIDTH = 100

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
) -> None:
    """Prints one table a block of measures, the exact reference rows below the arms, and sentences.

    Args:
        console: where to.
        title: what was run.
        arms: name -> summary, see `experiments/summary.py`.
        references: name -> measure -> exact value.
        notes: sentences made from the numbers.
    """
    world = any("pass@1_plan" in arm["measures"] for arm in arms.values())
    first = next(iter(arms.values()))
    console.print(Text(safe_text(title), style="bold"), width=WIDTH)
    console.print(
        f"{first['num_questions']} questions x {first['samples']} samples; [dim]±: half width of the 95 % bootstrap "
        "interval over questions[/dim]",
        width=WIDTH,
        highlight=False,
    )
    for heading, columns in _WORLD_BLOCKS if world else _TEXT_BLOCKS:
        console.print(_block(heading, columns, arms, references or {}), width=WIDTH)
    for note in notes:
        console.print(Text(safe_text(note)), width=WIDTH)


def _block(
    heading: str,
    columns: Sequence[tuple[str, str]],
    arms: Mapping[str, Summary],
    references: Mapping[str, Mapping[str, float]],
) -> Table:
    shown = [(key, label) for key, label in columns if any(key in arm["measures"] for arm in arms.values())]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True, width=WIDTH)
    table.add_column(heading, style="bold", no_wrap=True, ratio=14)
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
