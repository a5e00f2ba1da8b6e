"""The diversity-tax report in words: sentences made of its numbers, none typed by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .diversity_tax_tables import arm_table, language_table, middle_strength, plain, signed, verdict_table

__all__ = ["headline", "report_text"]

Report = Mapping[str, Any]
MARGIN = 0.02
"""Differences of pass@1 within this are no tax; the equivalence margin of the claims."""
FEW_SEEDS = 8


def headline(report: Report, arm: str = "darling") -> str:
    """One paragraph: where the tax of diversity training is zero, negative or real, and what of it was avoidable."""
    k = report["group_k"]
    language = {condition: arms[arm] for condition, arms in report.get("language_model", {}).items() if arm in arms}
    tabular = {
        condition: _middle(content, arm)
        for condition, content in report["conditions"].items()
        if arm in content["arms"]
    }
    parts = [
        _taxes(f"the language model pays in planned pass@1 and gets in planned pass@{k}", language, "_plan", k),
        _taxes(f"the table of kinds pays in pass@1 and gets in pass@{k}", tabular, "", k),
    ]
    if not any(parts):
        return "No condition has an arm with at least two seeds: there is nothing to say yet."
    intro = f"What {arm} costs against its control, by condition (preset/start)."
    return " ".join([_language_note(report), intro, *filter(None, parts)])


def _taxes(what: str, rows: Mapping[str, Any], suffix: str, k: int) -> str:
    """Conditions by the kind of their tax; nothing without a condition of two seeds."""
    found: dict[str, list[str]] = {}
    seeds = []
    for condition, one in rows.items():
        difference = one.get("difference", {})
        tax, gain = difference.get(f"pass@1{suffix}"), difference.get(f"pass@{k}{suffix}")
        if tax is None or tax["low"] is None:
            continue
        found.setdefault(_kind_of_tax(tax), []).append(_phrase(condition, one, tax, gain))
        seeds.append(len(one["seeds"]))
    if not found:
        return ""
    few = f" With {min(seeds)} seeds nothing of this is a finding." if min(seeds) < FEW_SEEDS else ""
    kinds = [f"{text} in {'; '.join(found[kind])}." for kind, text in _TAXES.items() if kind in found]
    return " ".join([f"What {what}:{few}", *kinds])


_TAXES = {
    "real": "The tax is real",
    "negative": "The tax is negative, diversity training has more pass@1,",
    "zero": f"The tax is zero (within {MARGIN:g})",
    "undecided": "The tax is undecided",
}


def _kind_of_tax(tax: Mapping[str, Any]) -> str:
    if tax["low"] > -MARGIN and tax["high"] < MARGIN:
        return "zero"
    if tax["high"] < 0:
        return "real"
    return "negative" if tax["low"] > 0 else "undecided"


def _phrase(condition: str, one: Mapping[str, Any], tax: Mapping[str, Any], gain: Mapping[str, Any] | None) -> str:
    matched, avoidable = one.get("matched"), one["avoidable_tax"]
    text = f"{condition} ({signed(tax)}, {signed(gain)}"
    if _kind_of_tax(tax) == "real" and avoidable is not None and avoidable["value"] is not None:
        text += f"; avoidable, as the frontier has as much of the latter at more of the former: {plain(avoidable)}"
    if _kind_of_tax(tax) == "real" and matched is not None and matched["value"] is not None:
        text += f"; at the breadth its control passed through: {signed(matched)}"
    return f"{text})"


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
