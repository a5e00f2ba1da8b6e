"""The diversity-tax report in one paragraph and two tables: sentences made from its numbers, none typed by hand."""

from __future__ import annotations

from collections.abc import Sequence

from ..grid.screen import filled
from ..report.format import Report, broken_note, plain, signed, text_columns
from .taxes import MARGIN

__all__ = ["headline", "tax_screen"]


def headline(report: Report) -> str:
    """One paragraph: where the tax of diversity training is zero, negative or real, and how much was avoidable."""
    rows, k = report["taxes"], report["group_k"]
    disagreements, language = _disagreements(report), _language(report)
    if not rows:
        return " ".join([*disagreements, "No condition has a seed of both the arm and its control.", *language])
    arm, control = rows[0]["arm"], rows[0]["control"]
    intro = (
        f"Diversity training ({arm}) against the same training without its bonus ({control}). pass@1: one episode "
        f"finds the answer; pass@{k}: one of {k} does. The tax is the pass@1 lost for the pass@{k} gained. Intervals "
        f"are 95 % over training seeds, on the same {report['test_questions']} test questions."
    )
    tabular = [row for row in rows if row["policy"] == "tabular" and row["registered"]]
    table = [f"The tabular policy, in pass@1 and pass@{k}:", *_kinds(tabular, k)] if tabular else []
    return " ".join([*disagreements, intro, *table, *language])


def _kinds(rows: Sequence[Report], k: int) -> list[str]:
    """One sentence per kind of tax, with the conditions that have it."""
    return [
        f"{text} in {'; '.join(_phrase(row, k) for row in rows if row['kind'] == kind)}."
        for kind, text in _KINDS.items()
        if any(row["kind"] == kind for row in rows)
    ]


_KINDS = {
    "real": f"The tax is real ({MARGIN:g} or more)",
    "small": f"There is a tax of less than {MARGIN:g}",
    "zero": f"The tax is zero (within {MARGIN:g}, no difference shown)",
    "small negative": f"The tax is negative by less than {MARGIN:g}",
    "negative": "The tax is negative",
    "undecided": "The tax is undecided",
    "open": "Nothing is decided before all seeds and cells are in; so far",
}


def _phrase(row: Report, k: int) -> str:
    text = f"{row['condition']} ({signed(row['tax'])} for {signed(row['gain'])}"
    if row["avoidable"] is not None and row["avoidable"]["low"] is not None and row["avoidable"]["low"] > 0:
        text += f"; avoidable, since the exact frontier has this pass@{k} without it: {plain(row['avoidable'])}"
    if row["kind"] in ("real", "small") and row["matched"] is not None:
        text += f"; against the control stopped early at equal breadth: {signed(row['matched'], of=row['seeds'])}"
    resampled = row.get("resampled", {}).get("tax")
    if resampled is not None and row["kind"] not in ("real", "open", "undecided"):
        text += f"; with other questions [{resampled['low']:+.3f}, {resampled['high']:+.3f}]"
    if "actual" in row:
        text += f"; actual {signed(row['actual']['tax'])} for {signed(row['actual']['gain'])}"
    if row.get("broken"):
        text += f"; {len(row['broken'])} of {row['seeds']} seeds broke, without them {signed(row['tax_of_whole'])}"
    return f"{text})"


def _language(report: Report) -> list[str]:
    """How far the language-model grid is, and what it says."""
    cells = report["cells"]
    done, wanted = cells["language_model_done"], cells["language_model_cells"]
    rows = [row for row in report["taxes"] if row["policy"] == "language model"]
    if not done:
        failed = sum(key.startswith("language/") for key in cells["failed"])
        why = f"{failed} of {wanted} cells failed and none is done" if failed else "was not run"
        return [f"The language-model grid {why}, so whether it agrees with the tabular policy is open."]
    k = report["group_k"]
    kinds = _kinds(rows, k)
    named = f"The language model, {done} of {wanted} cells"
    if not kinds:
        return [f"{named}: no condition has both the arm and its control."]
    seeds = " and ".join(sorted({str(row["seeds"]) for row in rows}))
    return [f"{named}, {seeds} seeds, in planned pass@1 and pass@{k}:", *kinds]


MIRRORED = tuple((name, f"lm-{name}") for name in ("priced-pass1", "free-pass1", "priced-pass8", "free-pass8"))
"""Claims that are asked of both policies."""


def _disagreements(report: Report) -> list[str]:
    """Where tabular policy and language model disagree, and where they agree."""
    verdicts = {verdict["claim"]["id"]: verdict for verdict in report["verdicts"]}
    notes = []
    for ours, theirs in MIRRORED:
        table, language = verdicts[ours], verdicts[theirs]
        statement, decided = table["claim"]["statement"], {"supported", "contradicted"}
        if {table["verdict"], language["verdict"]} == decided:
            notes.append(
                f"Tabular policy and language model disagree on the claim that {statement}: "
                f"{table['verdict']} ({signed(table['estimate'])}) against {language['verdict']} "
                f"({signed(language['estimate'])})."
            )
        elif language["verdict"] in decided and language["verdict"] == table["verdict"]:
            notes.append(f"Tabular policy and language model agree: the claim that {statement} is {table['verdict']}.")
    return sorted(notes, key=lambda note: "disagree" not in note)


def tax_screen(report: Report) -> list[str]:
    """The taxes of each policy, as tables for a terminal."""
    return [_taxes(report, policy) for policy in dict.fromkeys(row["policy"] for row in report["taxes"])]


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
    name = "the language model, planned" if policy == "language model" else "the tabular policy"
    title = f"tax of {name} (* not registered; ± half of the 95 % interval over seeds)"
    header = ["condition", "tax", "pass@1", f"pass@{report['group_k']}", "seeds"]
    return f"{filled(title)}\n{text_columns(header, rows)}"
