"""The diversity-tax report as a terminal shows it: at most 80 columns, the whole of it stands in report.json."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from ..diversity_tax.headline import headline
from ..grid.experiment import failure_lines
from .format import Report, broken_note, plain, signed, text_columns
from .grid_tables import middle_strength

__all__ = ["report_text"]

WIDTH = 80


def report_text(report: Report) -> str:
    """The terminal text of a run."""
    cells = report["cells"]
    begin = (
        f"diversity tax, scale {report['scale']}: {cells['done']} cells done, {len(cells['failed'])} failed, "
        f"{cells['not_run']} not run; {report['test_questions']} test questions, on which the table of kinds is exact"
    )
    parts = [_filled(begin), _filled(headline(report)), *(_filled(line) for line in failure_lines(cells["failed"]))]
    parts += [_taxes(report, policy) for policy in dict.fromkeys(row["policy"] for row in report["taxes"])]
    for condition, content in report["conditions"].items():
        rows = {arm: one[middle_strength(content["arms"], arm)] for arm, one in content["arms"].items()}
        parts.append(_arms(condition, rows, "", report["group_k"]))
    for condition, rows in report["language_model"].items():
        parts.append(_arms(f"{condition}, language model, of its plan", rows, "_plan", report["group_k"]))
    return "\n\n".join([*parts, _verdicts(report)])


def _filled(text: str, indent: str = "") -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def _taxes(report: Report, policy: str) -> str:
    rows = [
        [
            row["condition"] + ("" if row["registered"] else " *"),
            row["kind"],
            plain(row["tax"], sign="+"),
            plain(row["gain"], sign="+"),
            str(row["seeds"]) + broken_note(row),
        ]
        for row in report["taxes"]
        if row["policy"] == policy
    ]
    name = "the language model, of its plan" if policy == "language model" else "the table of kinds"
    title = f"the tax of {name} (* not registered; ± half of the 95 % interval over seeds)"
    header = ["condition", "tax", "pass@1", f"pass@{report['group_k']}", "seeds"]
    return f"{_filled(title)}\n{text_columns(header, rows)}"


def _arms(title: str, arms: Mapping[str, Any], suffix: str, k: int) -> str:
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
                plain(measures["breadth"]),
            ]
        )
    return f"{title}\n{text_columns(['arm', 'pass@1', 'minus control', f'pass@{k}', 'breadth'], rows)}"


def _verdicts(report: Report) -> str:
    """A line a verdict; claims that cannot have one yet are counted by their reason."""
    lines, waiting = [], dict[str, int]()
    for verdict in report["verdicts"]:
        if verdict["verdict"] == "inconclusive" and verdict["p_supported"] is None:
            waiting[verdict["reason"]] = waiting.get(verdict["reason"], 0) + 1
            continue
        reason = f" ({verdict['reason']})" if verdict["reason"] else ""
        line = f"{verdict['verdict']}: {verdict['claim']['statement']}: {signed(verdict['estimate'])}{reason}"
        lines.append(_filled(line, "  "))
    lines += [_filled(f"inconclusive: {count} claims: {reason}", "  ") for reason, count in waiting.items()]
    return "\n".join(lines)
