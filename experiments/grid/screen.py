"""The report of a grid as a terminal shows it, in at most 80 columns; report.json holds the whole of it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

from ..report.format import Report, broken_note, failure_lines, plain, signed, text_columns
from .tables import middle_strength

__all__ = ["filled", "report_text", "verdict_lines"]

WIDTH = 80
FIRST_MEASURES = 4


def report_text(report: Report, headline: str, further: Sequence[str] = ()) -> str:
    """The terminal text of a run.

    Args:
        report: of a grid.
        headline: the first paragraph.
        further: tables that only this experiment has.
    """
    cells = report["cells"]
    begin = (
        f"{report['experiment'].replace('_', ' ')}, scale {report['scale']}: {cells['done']} cells done, "
        f"{len(cells['failed'])} failed, {cells['not_run']} not run; the unit is the world, and values of the tabular "
        "policy are exact in the population"
    )
    parts = [filled(begin), filled(headline), *map(filled, failure_lines(cells["failed"])), *further]
    for condition, content in report["conditions"].items():
        rows = {arm: one[middle_strength(one)] for arm, one in content["arms"].items()}
        own = any("pass@1" not in row["measures"] for row in rows.values())
        parts.append(_first_measures(condition, rows) if own else _arms(condition, rows, "", report["group_k"]))
    for condition, rows in report["language_model"].items():
        if not all("pass@1_population" in row["measures"] for row in rows.values()):
            continue  # an experiment with measures of its own shows them itself
        parts.append(_arms(f"{condition}, language model", rows, "_population", report["group_k"]))
    return "\n\n".join([*parts, verdict_lines(report["verdicts"], _worded)])


def filled(text: str, indent: str = "") -> str:
    """A paragraph, wrapped at the width of the screen."""
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def _arms(title: str, arms: Report, suffix: str, k: int) -> str:
    one, many = f"pass@1{suffix}", f"pass@{k}{suffix}"
    rows = []
    for arm, row in arms.items():
        measures = row["measures"]
        difference = row.get("difference", {}).get(one)
        rows.append(
            [
                arm + broken_note(row),
                plain(measures[one]),
                plain(difference, sign="+"),
                plain(measures[many]),
                plain(row["waste"], 4),
            ]
        )
    return f"{title}\n{text_columns(['arm', 'pass@1', 'minus control', f'pass@{k}', 'waste'], rows)}"


def _first_measures(title: str, arms: Report) -> str:
    """The arms of an experiment whose measures are its own: the first that it names, as many as there is room for."""
    names = [name for row in arms.values() for name in row["measures"]][:FIRST_MEASURES]
    rows = [[arm, *(plain(row["measures"][name]) for name in names)] for arm, row in arms.items()]
    return f"{title}\n{text_columns(['arm', *names], rows)}"


def _worded(verdict: Report) -> str | None:
    if verdict["verdict"] == "inconclusive" and verdict["p_supported"] is None:
        return None
    return f"{verdict['claim']['statement']}: {signed(verdict['estimate'])}"


def verdict_lines(verdicts: Sequence[Report], worded: Callable[[Report], str | None]) -> str:
    """One line per verdict; claims that cannot have one yet are counted by their reason.

    Args:
        verdicts: rows with a "verdict" and a "reason".
        worded: the claim of a row with its value; None while there can be no verdict on it.
    """
    lines, waiting = [], dict[str, int]()
    for verdict in verdicts:
        said = worded(verdict)
        if said is None:
            waiting[verdict["reason"]] = waiting.get(verdict["reason"], 0) + 1
            continue
        reason = f" ({verdict['reason']})" if verdict["reason"] else ""
        lines.append(filled(f"{verdict['verdict']}: {said}{reason}", "  "))
    for reason, count in waiting.items():
        claims = "1 claim" if count == 1 else f"{count} claims"
        lines.append(filled(f"inconclusive: {claims}: {reason}", "  "))
    return "\n".join(lines)
