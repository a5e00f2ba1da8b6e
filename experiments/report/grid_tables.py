"""Tables of the diversity-tax report, made of its numbers alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .format import Report, broken_note, markdown_table, plain, signed

__all__ = [
    "answer_table",
    "arm_table",
    "language_table",
    "middle_strength",
    "tax_table",
    "verdict_table",
]


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
                signed(one.get("matched"), of=len(one["seeds"])),
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
        "kind entropy", "below frontier", "left of frontier", "seeds",
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
                _p_of(verdict),
                verdict["verdict"] + (f": {verdict['reason']}" if verdict["reason"] else ""),
            ]
        )
    return markdown_table(["claim", "source", "endpoint", "expected", "ours", "p (Holm)", "verdict"], rows)


def _p_of(verdict: Mapping[str, Any]) -> str:
    """Of contradiction where that is the verdict, of support otherwise."""
    p = verdict["p_contradicted" if verdict["verdict"] == "contradicted" else "p_supported"]
    return "–" if p is None else "<1e-4" if p < 1e-4 else f"{p:.2g}"


def tax_table(report: Report) -> str:
    """What diversity training costs and gets in every condition, registered or not."""
    k = report["group_k"]
    rows = [
        [
            row["policy"] if row["policy"] == "language model" else "table of kinds",
            row["condition"] + ("" if row["registered"] else " *"),
            row["kind"],
            signed(row["tax"]),
            signed(row["gain"]),
            plain(row["avoidable"]),
            signed(row["matched"], of=row["seeds"]),
            signed(row["resampled"]["tax"]) if "resampled" in row else "–",
            signed(row["actual"]["tax"]) if "actual" in row else "–",
            str(row["seeds"]) + broken_note(row),
        ]
        for row in report["taxes"]
    ]
    header = [
        "policy", "condition", "tax", "pass@1", f"pass@{k}", "avoidable", "pass@1 at matched breadth",
        "pass@1, questions resampled too", "pass@1 as it was done", "seeds",
    ]  # fmt: skip
    return markdown_table(header, rows)


def language_table(report: Report, condition: str) -> str:
    """The language model's arms, plan apart from giving up and execution; differences are to each arm's control."""
    names = {
        "give_up_loss": "give-up loss", "execution_loss": "execution loss",
        "query_token_entropy": "query entropy, a token", "policy_tokens": "policy tokens", "pass@1": "pass@1",
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
                signed(one.get("matched"), of=len(one["seeds"])),
                plain(measures[f"pass@{k}_plan"]),
                signed(difference.get(f"pass@{k}_plan")),
                plain(measures["breadth"]),
                plain(measures["kind_entropy"]),
                plain(one["frontier_distance"]),
                plain(one["avoidable_tax"]),
                plain(one["greedy"]),
                *(plain(measures[name]) for name in names),
                signed(difference.get("pass@1")),
                plain(measures[f"pass@{k}"]),
                str(len(one["seeds"])) + broken_note(one),
            ]
        )
    header = [
        "arm", "plan", "minus control", "at matched breadth", f"pass@{k} plan", "minus control", "breadth",
        "kind entropy", "below frontier", "left of frontier", "greedy plan", *names.values(), "minus control",
        f"pass@{k}", "seeds",
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
