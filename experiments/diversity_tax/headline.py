"""The diversity-tax report in one paragraph and one table: sentences made from its numbers, none typed by hand."""

from __future__ import annotations

from collections.abc import Sequence

from ..grid.screen import filled
from ..report.format import Report, plain, signed, text_columns
from .taxes import ARM

__all__ = ["LAW_RUN", "answer", "headline", "lost", "rows_of", "tabular_left", "tax_screen"]


def headline(report: Report) -> str:
    """One paragraph: what diversity training costs in each condition, and which part of it the task asks for."""
    rows = rows_of(report, ARM)
    if not rows:
        return "No condition has a world of both the arm and its control."
    k = report["group_k"]
    intro = (
        f"Diversity training ({ARM}) against the same training without its bonus ({rows[0]['control']}). pass@1: one "
        f"episode finds the answer; pass@{k}: one of {k} does. The difference in pass@1 is a price, which the exact "
        f"frontier asks for the pass@{k} gained, minus what the arm wastes more than its control. Intervals are 95 % "
        "over worlds."
    )
    return " ".join([unfinished(report), intro, *(_sentence(row, k) for row in rows)]).strip()


def unfinished(report: Report) -> str:
    """What is left to run, as a sentence; empty where nothing is."""
    left = tabular_left(report)
    return f"{left} cells are left to run, and nothing is decided before." if left else ""


def tabular_left(report: Report) -> int:
    """Cells of the tabular policy that have not been run."""
    left: int = report["cells"]["not_run"] - report["cells"]["language_model_not_run"]
    return left


def rows_of(report: Report, arm: str, policy: str = "tabular") -> list[Report]:
    """The tax rows of an arm in the conditions that its claims are read in."""
    return [
        row
        for row in report["taxes"]
        if (row["policy"], row["arm"]) == (policy, arm) and row["condition"].count("/") == 1
    ]


def _sentence(row: Report, k: int) -> str:
    text = f"{row['condition']}: {signed(row['tax'])} in pass@1 for {signed(row['gain'])} in pass@{k}"
    if row["price"] is not None:
        text += f" (price {signed(row['price'])}, waste {plain(row['waste'])} against {plain(row['control_waste'])})"
    return text + "."


def tax_screen(report: Report) -> Sequence[str]:
    """Price and waste of the shown arms, by policy, and the identities."""
    k = report["group_k"]
    header = ["condition", "arm", "pass@1", f"pass@{k}", "price", "waste"]
    out = []
    for policy in ("language model", "tabular"):
        rows = [
            [
                row["condition"],
                row["arm"],
                signed(row["tax"]).split(" ")[0],
                signed(row["gain"]).split(" ")[0],
                signed(row["price"]).split(" ")[0],
                plain(row["waste"]).split(" ")[0],
            ]
            for row in report["taxes"]
            if row["policy"] == policy
        ]
        if rows:
            out.append(f"{policy}, minus control:\n{text_columns(header, rows)}")
    if report["identities"]:
        found = "; ".join(
            f"{row['measure']} in {row['condition']} {row['largest']:.0e} ({row['n']} differences)"
            for row in report["identities"]
        )
        out.append(filled(f"0 by arithmetic, the largest found: {found}."))
    return out


def answer(report: Report, law: Report | None = None) -> str:
    """The answer in a few sentences with its numbers; what is left to run where it cannot be given yet.

    Args:
        report: of the grid.
        law: of the price law over random worlds; the conditions of the grid say less than it does.
    """
    rows = {row["condition"]: row for row in rows_of(report, ARM)}
    if tabular_left(report) or "priced/diverse" not in rows or "steep/diverse" not in rows:
        done, left = report["cells"]["done"], report["cells"]["not_run"]
        return (
            f"**Not answered yet: {done} of {done + left} cells of the second grid are there, and no verdict comes "
            "before all are; the first edition's answer is withdrawn (Corrections).**"
        )
    if law is not None and not law["cells"]["not_run"] and law["runs"].get(LAW_RUN):
        return f"**{_answer_of_law(law, report)}**"
    priced, steep = rows["priced/diverse"], rows["steep/diverse"]
    text = (
        f"Diversity training (DARLING) costs {lost(priced, 'tax')} of pass@1 where search kinds are unequal, "
        f"{lost(steep, 'tax')} where steeply so"
    )
    if "free/diverse" in rows:
        text += f", {lost(rows['free/diverse'], 'tax')} where equal"
    text += f"; the task itself asks {lost(priced, 'price')} and {lost(steep, 'price')} of that"
    cue = rows.get("priced-cue/diverse")
    if cue is not None:
        text += f", and with a cue {lost(cue, 'price')} of {lost(cue, 'tax')}"
    return f"**{text}.**"


LAW_RUN = f"{ARM}-0.1"


def _answer_of_law(law: Report, report: Report) -> str:
    run = law["runs"][LAW_RUN]
    without, cued, k = run["no cue"], run["cue"], law["group_k"]
    text = (
        f"Over {law['worlds']} random planted worlds, a table of choices that is trained for diversity (DARLING) ends "
        f"with {lost(run, 'tax')} less pass@1 and {lost(run, 'gain', sign=1)} more pass@{k} than the same training "
        "without it."
    )
    if without["tax"] and cued["tax"]:
        text += (
            f" Where questions do not hint at the source that helps: {lost(without, 'tax')} less for "
            f"{lost(without, 'gain', sign=1)} more, and the task itself asks {lost(without, 'price')} of that; where "
            f"they do (a cue): {lost(cued, 'tax')} less for {lost(cued, 'gain', sign=1)} more, and the task asks "
            f"{lost(cued, 'price')}; the rest is waste beyond that of the training without it."
        )
    matched = ("priced-matched", "steep-matched")
    stopped = [row for row in report["verdicts"] if row["claim"]["id"] in matched]
    if len(stopped) == 2 and all(row["estimate"] for row in stopped):
        here = max(abs(row["estimate"]["value"]) for row in stopped)
        rates = [abs(one["value"]) for row in stopped for one in row["settings"].values() if one]
        text += (
            f" Training without it, stopped early at the same pass@{k}, had pass@1 within {_short(here)} in the two "
            "presets that were tried, neither with a cue"
            + (f" (at other learning rates within {_short(max(rates))})." if rates else ".")
        )
    return text


def lost(row: Report, name: str, *, sign: int = -1) -> str:
    """How much pass@1 a difference takes away: .023 for -.023; with sign 1, how much it gives."""
    value = sign * row[name]["value"]
    return _short(value)


def _short(value: float) -> str:
    return "0" if abs(value) < _SMALLEST else f"{value:.3f}".replace("0.", ".", 1)


_SMALLEST = 5e-4
"""Differences below it are written as 0, as three digits have it."""
