"""The end of the screen: each comparison with its intervals and its verdict, then the takeaway."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...retrieval_index.plain_text import safe_text
from .format import compact
from .takeaway import Verdict

__all__ = ["UNITS", "print_verdicts"]

UNITS = {
    "questions": "95 % intervals over questions; how much trainings differ is not in them",
    "seeds": "95 % intervals over seeds",
}
"""What the intervals of a comparison run over."""


def print_verdicts(console: Console, found: Sequence[Verdict], sentence: str, width: int, unit: str) -> None:
    """Prints a row for each comparison, and the takeaway as the last line.

    Args:
        console: prints to its output.
        found: one for each pair of arms; none prints only the sentence.
        sentence: the takeaway.
        unit: a key of `UNITS`.
        width: columns to use. Where a table of whole rows does not fit, each comparison takes a few lines.
    """
    if found:
        table = _table(found, width)
        console.print()
        console.print(table if table is not None else _lines(found), width=width)
        note = f"{UNITS[unit]}; no difference can be seen where 0 is inside; narrower: less found in several tries"
        console.print(Text(note, style="dim"), width=width)
    console.print(Text("\n" + safe_text(sentence), style="bold"), width=width)


def _cells(verdict: Verdict) -> tuple[str, str, str, str]:
    return (
        safe_text(f"{verdict.arm} - {verdict.base}"),
        compact(verdict.at_once),
        compact(verdict.in_tries) if verdict.in_tries else "",
        verdict.words,
    )


def _table(found: Sequence[Verdict], width: int) -> Table | None:
    """The table; None if a row would not fit."""
    tries = sorted({verdict.tries for verdict in found if verdict.in_tries})
    heads = ["Difference", "right at once", f"in {'/'.join(map(str, tries))} tries" if tries else "", "so it is"]
    rows = [_cells(verdict) for verdict in found]
    widths = [max(len(row[at]) for row in (heads, *rows)) for at in range(4)]
    if sum(widths) + 2 * 4 + 2 > width:
        return None
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), width=width, show_edge=False)
    for head, size in zip(heads[:3], widths):
        table.add_column(head, no_wrap=True, min_width=size, justify="left" if head == "Difference" else "right")
    table.add_column(heads[3], no_wrap=True)
    for verdict, row in zip(found, rows):
        table.add_row(
            Text(row[0], style="bold"), row[1], row[2], Text(row[3], style="" if any(verdict.signs) else "dim")
        )
    return table


def _lines(found: Sequence[Verdict]) -> Text:
    text = Text()
    for verdict in found:
        name, once, many, words = _cells(verdict)
        values = f"right at once {once}" + (f", in {verdict.tries} tries {many}" if many else "")
        text.append(name, style="bold").append(f": {words}\n  {values}\n")
    text.rstrip()
    return text
