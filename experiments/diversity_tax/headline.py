"""The diversity-tax report in one paragraph: sentences made of its numbers, none typed by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..report.format import Report, plain, signed
from .taxes import MARGIN

__all__ = ["headline"]


def headline(report: Report) -> str:
    """One paragraph: where the tax of diversity training is zero, negative or real, and what of it was avoidable."""
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
    table = [f"The table of kinds, in pass@1 and pass@{k}:", *_kinds(tabular, k)] if tabular else []
    return " ".join([*disagreements, intro, *table, *language])


def _kinds(rows: Sequence[Mapping[str, Any]], k: int) -> list[str]:
    """Conditions by the kind of their tax, a sentence a kind."""
    return [
        f"{text} in {'; '.join(_phrase(row, k) for row in rows if row['kind'] == kind)}."
        for kind, text in _KINDS.items()
        if any(row["kind"] == kind for row in rows)
    ]


_KINDS = {
    "real": f"The tax is real ({MARGIN:g} or more)",
    "small": f"There is a tax of less than {MARGIN:g}",
    "zero": f"The tax is zero (within {MARGIN:g}, no difference shown)",
    "small negative": f"The tax is negative, if by less than {MARGIN:g},",
    "negative": "The tax is negative",
    "undecided": "The tax is undecided",
    "open": "Nothing is decided before all seeds and cells are in; so far",
}


def _phrase(row: Mapping[str, Any], k: int) -> str:
    text = f"{row['condition']} ({signed(row['tax'])} for {signed(row['gain'])}"
    if row["avoidable"] is not None and row["avoidable"]["low"] is not None and row["avoidable"]["low"] > 0:
        text += f"; avoidable, since an ideal policy has this pass@{k} without it: {plain(row['avoidable'])}"
    if row["kind"] in ("real", "small") and row["matched"] is not None:
        text += f"; against its control stopped early at that breadth: {signed(row['matched'], of=row['seeds'])}"
    resampled = row.get("resampled", {}).get("tax")
    if resampled is not None and row["kind"] not in ("real", "open", "undecided"):
        text += f"; with other questions [{resampled['low']:+.3f}, {resampled['high']:+.3f}]"
    if "actual" in row:
        text += f"; as it was done {signed(row['actual']['tax'])} for {signed(row['actual']['gain'])}"
    if row.get("broken"):
        text += f"; {len(row['broken'])} of {row['seeds']} seeds broke, without them {signed(row['tax_of_whole'])}"
    return f"{text})"


def _language(report: Report) -> list[str]:
    """What is there of the language model."""
    cells = report["cells"]
    done, wanted = cells["language_model_done"], cells["language_model_cells"]
    rows = [row for row in report["taxes"] if row["policy"] == "language model"]
    if not done:
        failed = sum(key.startswith("language/") for key in cells["failed"])
        why = f"{failed} of {wanted} cells failed and none is done" if failed else "was not run"
        return [f"The language-model grid {why}, so whether it agrees with the table of kinds is open."]
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
    """Where table and language model disagree, and where they agree."""
    verdicts = {verdict["claim"]["id"]: verdict for verdict in report["verdicts"]}
    notes = []
    for ours, theirs in MIRRORED:
        table, language = verdicts[ours], verdicts[theirs]
        statement, decided = table["claim"]["statement"], {"supported", "contradicted"}
        if {table["verdict"], language["verdict"]} == decided:
            notes.append(
                f"Table and language model disagree on the claim that {statement}: "
                f"{table['verdict']} ({signed(table['estimate'])}) against {language['verdict']} "
                f"({signed(language['estimate'])})."
            )
        elif language["verdict"] in decided and language["verdict"] == table["verdict"]:
            notes.append(f"Table and language model agree: that {statement} is {table['verdict']}.")
    return sorted(notes, key=lambda note: "disagree" not in note)
