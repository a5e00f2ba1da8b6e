"""Tables of the diversity-tax report, made of its numbers alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "answer_table",
    "arm_table",
    "language_table",
    "markdown_table",
    "middle_strength",
    "plain",
    "signed",
    "verdict_table",
]

Report = Mapping[str, Any]


def signed(row: Mapping[str, Any] | None, digits: int = 3) -> str:
    """ "+.021 [+.010, +.032]", a dash for nothing."""
    if row is None or row["value"] is None:
        return "–"
    value = f"{row['value']:+.{digits}f}"
    if row["low"] is None or row["high"] is None:
        return f"{value} (1 seed)"
    return f"{value} [{row['low']:+.{digits}f}, {row['high']:+.{digits}f}]"


def plain(row: Mapping[str, Any] | None, digits: int = 3) -> str:
    """ ".521 ±.004", a dash for nothing."""
    if row is None or row["value"] is None:
        return "–"
    if row["low"] is None or row["high"] is None:
        return f"{row['value']:.{digits}f}"
    return f"{row['value']:.{digits}f} ±{(row['high'] - row['low']) / 2:.{digits}f}"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that reads as text too."""
    widths = [max(len(str(row[at])) for row in (header, *rows)) for at in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(str(cell).ljust(width) for cell, width in zip(cells, widths)) + " |"

    return "\n".join([line(header), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])


def middle_strength(arms: Mapping[str, Any], arm: str) -> str:
    """The strength that claims are read at: the middle one in the order of the sweep."""
    strengths: list[str] = list(arms[arm])
    return strengths[len(strengths) // 2]


def arm_table(report: Report, condition: str) -> str:
    """Arms at their middle strength, side by side."""
    arms, k = report["conditions"][condition]["arms"], report["group_k"]
    rows = []
    for arm in arms:
        strength = middle_strength(arms, arm)
        one = arms[arm][strength]
        difference = one.get("difference", {})
        rows.append(
            [
                arm + (f" ({strength})" if len(arms[arm]) > 1 else ""),
                plain(one["measures"]["pass@1"]),
                signed(difference.get("pass@1")),
                signed(one.get("matched")),
                plain(one["measures"][f"pass@{k}"]),
                signed(difference.get(f"pass@{k}")),
                plain(one["measures"]["breadth"]),
                plain(one["measures"]["kind_entropy"]),
                plain(one["frontier_distance"]),
                plain(one["avoidable_tax"]),
                str(len(one["seeds"])),
            ]
        )
    header = [
        "arm", "pass@1", "minus control", "at matched breadth", f"pass@{k}", "minus control", "breadth",
        "kind entropy", "below frontier", "avoidable pass@1", "seeds",
    ]  # fmt: skip
    return markdown_table(header, rows)


def verdict_table(report: Report) -> str:
    """Claims and verdicts."""
    rows = []
    for verdict in report["verdicts"]:
        claim = verdict["claim"]
        rows.append(
            [
                claim["statement"],
                claim["source"],
                claim["endpoint"],
                f"{claim['expected']} {claim['smallest_effect']:g}",
                signed(verdict["estimate"]),
                "–" if verdict["p_supported"] is None else f"{verdict['p_supported']:.2g}",
                verdict["verdict"] + (f": {verdict['reason']}" if verdict["reason"] else ""),
            ]
        )
    return markdown_table(["claim", "source", "endpoint", "expected", "ours", "p (Holm)", "verdict"], rows)


def language_table(report: Report, condition: str) -> str:
    """The language model's arms, plan apart from giving up and execution; differences are to each arm's control."""
    names = {
        "give_up_loss": "give-up loss", "execution_loss": "execution loss", "pass@1": "pass@1",
        "query_token_entropy": "query entropy, a token", "policy_tokens": "policy tokens",
    }  # fmt: skip
    k = report["group_k"]
    rows = []
    for arm, one in report["language_model"][condition].items():
        measures, difference = one["measures"], one.get("difference", {})
        rows.append(
            [
                arm,
                plain(measures["pass@1_plan"]),
                signed(difference.get("pass@1_plan")),
                signed(one.get("matched")),
                plain(measures[f"pass@{k}_plan"]),
                signed(difference.get(f"pass@{k}_plan")),
                plain(measures["breadth"]),
                plain(measures["kind_entropy"]),
                plain(one["frontier_distance"]),
                plain(one["avoidable_tax"]),
                plain(one["greedy"]),
                *(plain(measures[name]) for name in names),
                str(len(one["seeds"])),
            ]
        )
    header = [
        "arm", "plan", "minus control", "at matched breadth", f"pass@{k} plan", "minus control", "breadth",
        "kind entropy", "below frontier", "avoidable plan", "greedy plan", *names.values(), "seeds",
    ]  # fmt: skip
    return markdown_table(header, rows)


def answer_table(report: Report, condition: str) -> str:
    """Worlds with conflicting answers: what a group's answers are worth to whoever weighs them at random."""
    arms = report["conditions"][condition]["arms"]
    names = ("searches", "choice@1", "choice@8", "choice@24_searches", "answers@8")
    rows = []
    for arm in arms:
        one = arms[arm][middle_strength(arms, arm)]
        row = [arm, *(plain(one["measures"][name]) for name in names)]
        rows.append([*row, signed(one.get("difference", {}).get("choice@8")), one.get("control", "–")])
    header = ["arm", "searches", *names[1:], "choice@8 minus control", "control"]
    return markdown_table(header, rows)
