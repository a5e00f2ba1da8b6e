"""Numbers, intervals and tables as text; every report, page and screen writes them with these functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from ..measures.rows import EstimateRow, SeedsRow

__all__ = [
    "NOTHING",
    "Report",
    "broken_note",
    "compact",
    "estimate_parts",
    "failure_lines",
    "interval",
    "interval_legend",
    "markdown_table",
    "narrow",
    "number",
    "plain",
    "signed",
    "text_columns",
]

Report: TypeAlias = Mapping[str, Any]
"""A report.json as it was read: names to rows, numbers and texts."""

NOTHING = "–"
"""Shown where a value is missing."""


def number(value: float | None, digits: int = 3) -> str:
    """Writes a number such as "0.521"; a dash for None, and no sign before a zero."""
    if value is None:
        return NOTHING
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def interval(low: float, high: float, digits: int = 3) -> str:
    """Writes an interval of differences such as "[+0.010, +0.032]"."""
    return f"[{low:+.{digits}f}, {high:+.{digits}f}]"


def signed(row: EstimateRow | SeedsRow | None, digits: int = 3, *, of: int | None = None) -> str:
    """Writes a difference such as "+0.021 [+0.010, +0.032]"; a dash for nothing.

    Args:
        row: value, low, high and n.
        digits: after the decimal point.
        of: number of seeds that were run. A row of fewer seeds says so. A row of less than half of them is shown as a
            dash, because the seeds that have a value would then be a selection by that value.
    """
    if row is None or row["value"] is None or (of is not None and 2 * row["n"] < of):
        return NOTHING
    value = f"{row['value']:+.{digits}f}"
    if row["low"] is not None and row["high"] is not None:
        value += " " + interval(row["low"], row["high"], digits)
    if of is not None and row["n"] < of:
        return f"{value} ({row['n']} of {of})"
    return value if row["low"] is not None else f"{value} (n = 1)"


def compact(row: EstimateRow | None) -> str:
    """Writes a difference without leading zeros, such as "+.021 [.010, .032]"; a dash for nothing."""
    if row is None:
        return NOTHING
    value, low, high = f"{row['value']:+.3f}", number(row["low"]), number(row["high"])
    if row["n"] < 2:
        return f"{_bare(value)} (1 question)"
    if row["low"] == row["high"]:
        return f"{_bare(value)} (no spread)"
    return f"{_bare(value)} [{_bare(low)}, {_bare(high)}]"


def _bare(text: str) -> str:
    """Drops the zero before a decimal point."""
    return text.replace("0.", ".", 1) if text.lstrip("+-").startswith("0.") else text


def plain(row: EstimateRow | SeedsRow | None, digits: int = 3, *, sign: str = "") -> str:
    """Writes an estimate such as "0.521 ±0.004", half the interval's width after it; a dash for nothing.

    Where the value is 0 or 1 and an end of its interval, the other end is written, such as "0.000 ≤0.434".

    Args:
        row: value, low, high and n.
        digits: after the decimal point.
        sign: "+" writes the sign of positive values too.
    """
    if row is None or row["value"] is None:
        return NOTHING
    value = f"{row['value']:{sign}.{digits}f}"
    if row["low"] is None or row["high"] is None:
        return value
    half = f"±{(row['high'] - row['low']) / 2:.{digits}f}"
    return f"{value} {_other_end(row['value'], row['low'], row['high'], digits) or half}"


def _other_end(value: float, low: float, high: float, digits: int) -> str:
    """The other end of the interval of 0 or of 1, such as "≤0.434"; "" for any other interval."""
    if 0 == value == low < high:  # stored rows are rounded: other intervals may seem to end at their value
        return f"≤{number(high, digits)}"
    return f"≥{number(low, digits)}" if low < high == value == 1 else ""


def estimate_parts(row: EstimateRow | None) -> tuple[str, str]:
    """Writes a value and its interval apart, such as ("0.521", "±0.004"), for a reader who styles them apart.

    The interval is half its width where it lies on both sides of the value. At an end of the range it is its other end,
    such as "≤0.434". Where ± would imply values below 0 that the interval does not hold, it is written out, such as
    "[2.0, 123.0]". It is a dash if all questions have the same value, and nothing for a single question. Values from 10
    on have one digit after the decimal point. Nothing is a dash and an empty text.
    """
    if row is None:
        return NOTHING, ""
    value, low, high = row["value"], row["low"], row["high"]
    digits = 3 if abs(value) < 10 else 1
    if row["n"] < 2:
        return number(value, digits), ""
    if low == high:
        return number(value, digits), NOTHING
    half = (high - low) / 2
    lopsided = low >= 0 and round(half, digits) > round(value, digits)
    both = f"[{number(low, digits)}, {number(high, digits)}]" if lopsided else f"±{half:.{digits}f}"
    return number(value, digits), _other_end(value, low, high, digits) or both


def narrow(interval: str) -> str:
    """An interval of `estimate_parts` without leading zeros, such as "±.004" or "[.000, 1.500]", for a terminal."""
    return re.sub(r"(?<![\d.])0\.", ".", interval)


_MARKS = (
    ("±", "± half the 95 % bootstrap interval over questions"),
    ("≤≥", "≤ ≥ the other end of the 95 % Wilson interval, as all questions agree"),
    ("[", "[low, high] a lopsided interval"),
    (NOTHING, f"{NOTHING} no spread seen"),
)


def interval_legend(rows: Iterable[EstimateRow]) -> str:
    """Explains the intervals that `estimate_parts` writes for these rows."""
    used = {note[0] for row in rows if (note := estimate_parts(row)[1])}
    return "; ".join([_MARKS[0][1], *(text for marks, text in _MARKS[1:] if used & {*marks})])


def broken_note(row: Report) -> str:
    """Writes ", 2 broken" after a number of seeds or an arm; nothing if none broke."""
    return f", {len(row['broken'])} broken" if row.get("broken") else ""


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Writes a Markdown table whose columns are aligned, so that it reads as text too."""
    widths = [max(len(str(row[at])) for row in (header, *rows)) for at in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(str(cell).ljust(width) for cell, width in zip(cells, widths)) + " |"

    return "\n".join([line(header), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])


def text_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Writes left-aligned columns two spaces apart, for a terminal."""
    widths = [max(len(row[at]) for row in (header, *rows)) for at in range(len(header))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in (header, *rows))


def failure_lines(failed: Mapping[str, str]) -> list[str]:
    """One line per reason: the first cell that failed for it, and how many more."""
    by_reason: dict[str, list[str]] = {}
    for key, why in failed.items():
        by_reason.setdefault(why, []).append(key)
    return [
        f"failed: {keys[0]}{f' and {len(keys) - 1} more' if len(keys) > 1 else ''}: {why}"
        for why, keys in by_reason.items()
    ]
