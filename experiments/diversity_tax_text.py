"""The diversity-tax report in words: tables and sentences made of its numbers, none typed by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "answer_table",
    "arm_table",
    "headline",
    "language_table",
    "markdown_table",
    "plain",
    "report_text",
    "signed",
    "verdict_table",
]

Report = Mapping[str, Any]
MARGIN = 0.02
"""Differences of pass@1 within this are no tax; the equivalence margin of the claims."""
FEW_SEEDS = 8


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


def headline(report: Report, arm: str = "darling") -> str:
    """One paragraph: where the tax of diversity training is zero, negative or real, and what of it was avoidable."""
    sentences = []
    for condition, content in report["conditions"].items():
        if arm not in content["arms"]:
            continue
        one = _middle(content, arm)
        difference = one.get("difference", {})
        if difference.get("pass@1") is None or difference["pass@1"]["low"] is None:
            continue
        sentences.append(_sentence(condition, one, difference, report["group_k"]))
    if not sentences:
        return "No condition has an arm with at least two seeds: there is nothing to say yet."
    few = min(
        len(_middle(content, arm)["seeds"]) for content in report["conditions"].values() if arm in content["arms"]
    )
    if few < FEW_SEEDS:
        sentences.insert(0, f"With {few} seeds nothing below is a finding.")
    return " ".join([_language_note(report), *sentences])


def _middle(content: Mapping[str, Any], arm: str) -> Any:
    return content["arms"][arm][middle_strength(content["arms"], arm)]


MIRRORED = tuple((name, f"lm-{name}") for name in ("priced-pass1", "free-pass1", "priced-pass8", "free-pass8"))
"""Claims that are asked of both policies."""


def _language_note(report: Report) -> str:
    """Where table and language model disagree, before anything else."""
    cells = report["cells"]
    done, wanted = cells["language_model_done"], cells["language_model_cells"]
    if not done:
        return "The language-model grid was not run, so whether it agrees with the table of kinds is open."
    verdicts = {verdict["claim"]["id"]: verdict for verdict in report["verdicts"]}
    notes = []
    for ours, theirs in MIRRORED:
        table, language = verdicts[ours], verdicts[theirs]
        decided = {"supported", "contradicted"}
        if {table["verdict"], language["verdict"]} == decided:
            notes.append(
                f"Table and language model disagree on the claim that {table['claim']['statement']}: "
                f"{table['verdict']} ({signed(table['estimate'])}) against {language['verdict']} "
                f"({signed(language['estimate'])})."
            )
        elif language["verdict"] in decided and language["verdict"] == table["verdict"]:
            notes.append(f"Table and language model agree that the claim is {table['verdict']}: {theirs}.")
    return " ".join([f"{done} of {wanted} language-model cells were run.", *notes])


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


def _sentence(condition: str, one: Mapping[str, Any], difference: Mapping[str, Any], k: int) -> str:
    tax, gain, matched = difference["pass@1"], difference[f"pass@{k}"], one.get("matched")
    if tax["low"] > -MARGIN and tax["high"] < MARGIN:
        kind = "zero (within the margin)"
    elif tax["high"] < 0:
        kind = "real"
    elif tax["low"] > 0:
        kind = "negative: diversity training has more pass@1"
    else:
        kind = "undecided"
    text = f"In {condition} the tax is {kind}: pass@1 {signed(tax)}, pass@{k} {signed(gain)}."
    if kind == "real" and one["avoidable_tax"] is not None:
        text += (
            f" Of the pass@1 that the frontier has at this pass@{k}, {plain(one['avoidable_tax'])} was left: "
            "that part was avoidable."
        )
    if matched is not None and matched["value"] is not None:
        text += (
            f" At the breadth its control passed through ({matched['n']} seeds) the difference is {signed(matched)}."
        )
    return text


def report_text(report: Report) -> str:
    """The terminal text of a run."""
    cells = report["cells"]
    parts = [
        f"diversity tax, scale {report['scale']}: {cells['done']} cells done, {len(cells['failed'])} failed, "
        f"{cells['not_run']} not run; {report['test_questions']} test questions, evaluated exactly",
        headline(report),
    ]
    for key, why in list(cells["failed"].items())[:20]:
        parts.append(f"failed: {key}: {why}")
    for condition in report["conditions"]:
        parts.append(f"{condition}, arms at their middle strength (± half of the 95 % t-interval over seeds)")
        parts.append(arm_table(report, condition))
    for condition in report["language_model"]:
        parts += [f"{condition}, language model", language_table(report, condition)]
    parts.append(verdict_table(report))
    return "\n\n".join(parts)
