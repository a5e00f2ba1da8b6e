"""The section of a page on language models: a measure is a row, an arm is a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..report.format import Report, markdown_table, plain
from .system_parts import SystemTable

__all__ = ["language_section"]


def language_section(report: Report, measures: Sequence[str], tables: Sequence[SystemTable], about: str) -> list[str]:
    """Paragraphs and tables; how many cells are not run yet comes last.

    Args:
        report: of the experiment.
        measures: of the rows, in their order.
        tables: of the tabular policy, whose heads name the measures that both have.
        about: what was trained and what the measures are; shown only above tables.
    """
    names = {measure: head for table in tables for head, measure in table.columns.items()}
    parts = []
    for condition, arms in report["language_model"].items():
        parts += [f"{condition}:", _table(arms, {name: names.get(name, name.replace("_", " ")) for name in measures})]
    cells = report["cells"]
    missing = cells["language_model_not_run"]
    if missing:
        parts.append(
            f"{missing} of {cells['language_model_cells']} cells of language models have not been run; until they are, "
            "their claims are inconclusive."
        )
    return ["## Language model", *([about] if report["language_model"] else []), *parts] if parts else []


def _table(arms: Mapping[str, Report], labels: Mapping[str, str]) -> str:
    """Where all arms have one start, it has one column."""
    starts = {name: one["start"] for name, one in arms.items()}
    first = next(iter(starts.values()))
    if all(start == first for start in starts.values()):
        columns = {"start": first, **{name: one["measures"] for name, one in arms.items()}}
    else:
        columns = {
            f"{name}, {when}": values
            for name, one in arms.items()
            for when, values in (("start", one["start"]), ("end", one["measures"]))
        }
    rows = [[label, *(plain(values[name]) for values in columns.values())] for name, label in labels.items()]
    worlds = ", ".join(f"{name} {len(one['worlds'])}" for name, one in arms.items())
    return f"{markdown_table(['measure', *columns], rows)}\n\nWorlds: {worlds}."
