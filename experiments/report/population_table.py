"""World: a table of what the arms are worth over all questions, and of the price in their difference."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...retrieval_index.plain_text import safe_text
from ..measures.rows import ArmsReport, EstimateRow, PopulationRow
from .format import compact, estimate_parts

__all__ = ["POPULATION_NOTE", "population_heads", "population_rows", "population_sentence", "print_population"]

POPULATION_NOTE = (
    "All questions that this World can draw, read perfectly. Waste: pass@1 below the most that any policy with that "
    "pass@{k} can have; price: the change of that most, which the task asks."
)


def population_heads(row: PopulationRow) -> tuple[list[str], list[str]]:
    """The heads of the table of arms and of the table of differences."""
    many = f"pass@{row['k']}"
    return ["all questions", "pass@1", many, "waste"], ["difference", "pass@1", "of it price", "of it waste"]


def population_rows(row: PopulationRow) -> tuple[list[list[str]], list[list[str]]]:
    """The cells of both tables as text, such as "0.550 ±.002" and "-.007 [-.008, -.006]"."""
    many = f"pass@{row['k']}"
    return (
        [[name, *(_value(one[key]) for key in ("pass@1", many, "waste"))] for name, one in row["arms"].items()],
        [
            [name, *(compact(one[key]) for key in ("pass@1", "price", "by_waste"))]
            for name, one in row["differences"].items()
        ],
    )


def _value(row: EstimateRow) -> str:
    value, half = estimate_parts(row)
    return f"{value} {half.replace('0.', '.', 1)}"


def population_sentence(report: ArmsReport) -> str:
    """After a space, splits the one difference of a report into price and waste; "" without one or with several."""
    row = report.get("population")
    if row is None or len(row["differences"]) != 1:
        return ""
    (one,) = row["differences"].values()
    once, many, price, waste = (
        f"{100 * one[key]['value']:+.1f}" for key in ("pass@1", f"pass@{row['k']}", "price", "by_waste")
    )
    return (
        f" Over all questions of this World that is {once} points at once: {price} are the price of {many} in "
        f"{row['k']} tries, {waste} come from {'more' if one['by_waste']['value'] < 0 else 'less'} waste."
    )


def print_population(console: Console, row: PopulationRow, width: int) -> None:
    """Prints both tables and what they say, in `width` columns; a table that does not fit becomes lines."""
    for heads, rows in zip(population_heads(row), population_rows(row)):
        console.print()
        console.print(_table(heads, rows, width), width=width)
    console.print(Text(POPULATION_NOTE.format(k=row["k"]), style="dim"), width=width)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Table | Text:
    widths = [max(len(line[at]) for line in (heads, *rows)) for at in range(len(heads))]
    if sum(widths) + 2 * len(widths) > width:
        lines = [
            f"{safe_text(name)}: " + ", ".join(f"{head} {cell}" for head, cell in zip(heads[1:], cells))
            for name, *cells in rows
        ]
        return Text("\n".join(lines))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), width=width, show_edge=False)
    for at, head in enumerate(heads):
        table.add_column(head.capitalize() if at == 0 else head, no_wrap=True, justify="right" if at else "left")
    for name, *cells in rows:
        table.add_row(Text(safe_text(name), style="bold"), *cells)
    return table
