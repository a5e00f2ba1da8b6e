"""The answer in three sentences, made from the report's numbers: what was asked, what was found, where it breaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from statistics import median

from ..report.format import Report, number
from .registration import CLAIMED, CLAIMS, Kind

__all__ = ["answer", "claimed_runs", "headline"]

_SAID: dict[Kind, str] = {
    "explained": "that the price explains the tax (R2 of at least {:g})",
    "little waste": "that waste differs little from the control's (median of at most {:g})",
    "predicted": "that a World's settings predict the tax (median error of at most {:g})",
}
_VERDICTS = ("supported", "contradicted", "inconclusive", "not decidable here")
_ALIKE = 1.5
"""A ratio of two medians below it is called about the same."""


def claimed_runs(report: Report) -> dict[str, Report]:
    """The rows of the runs that claims are about; of all runs where none of those was run."""
    rows = {name: report["runs"][name] for name in CLAIMED if name in report["runs"]}
    return rows or dict(report["runs"])


def headline(report: Report) -> list[str]:
    """Three sentences."""
    k = report["group_k"]
    asked = (
        f"In random Worlds, is the pass@1 that diversity training loses (the tax) what the exact frontier says that "
        f"the pass@{k} it buys must cost (the price), or do methods waste pass@1 beyond it?"
    )
    return [asked, answer(report), _breaks(report)]


def answer(report: Report) -> str:
    """What was found, in one sentence."""
    rows = claimed_runs(report)
    if not rows:
        return "Nothing was found yet, because no World has a result."
    found = f"in {_worlds(report['worlds'])}, {_values(report)}"
    if not report["pilot_worlds"]:
        return f"No claim is decided, because the pilot has not been run; {found}."
    if report["waiting"]:
        missing = f"{report['waiting']} {'World has' if report['waiting'] == 1 else 'Worlds have'} no result yet"
        return f"No claim is decided, because {missing}; so far, {found}."
    said = "; ".join(_count(report, kind) for kind in _SAID)
    return f"{said}; {found}."


def _worlds(count: int) -> str:
    return "1 World" if count == 1 else f"{count} Worlds"


def _count(report: Report, kind: Kind) -> str:
    """How many claims of a kind have which verdict."""
    verdicts = Counter(row["verdict"] for row in report["verdicts"] if row["kind"] == kind)
    threshold = next(claim.threshold for claim in CLAIMS if claim.kind == kind)
    counts = ", ".join(f"{verdicts[name]} {name}" for name in _VERDICTS if verdicts[name])
    return f"{verdicts.total()} claims {_SAID[kind].format(threshold)}: {counts}"


def _values(report: Report) -> str:
    """The range of R2 over runs with a price in half of the Worlds, and how the predictions compare."""
    rows = claimed_runs(report)
    enough = {name: row for name, row in rows.items() if 2 * row["all"]["priced"] >= row["all"]["worlds"]}
    known = {name: row["all"]["r2"] for name, row in enough.items() if row["all"]["r2"] is not None}
    if not known:
        return "no run has a price in enough Worlds for an R2"
    low, high = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
    text = f"R2 is {number(known[low], 2)} ({low})"
    if low != high:
        text = f"R2 ranges from {number(known[low], 2)} ({low}) to {number(known[high], 2)} ({high})"
    if len(enough) < len(rows):
        text += f" in the {len(enough)} of {len(rows)} runs with a price in half of the Worlds"
    errors = [row["all"] for row in rows.values() if row["all"]["median_error"] is not None]
    if not errors:
        return text
    nothing = sum(row["median_error"] < row["median_tax"] for row in errors)
    fitted = sum(row["median_error"] < row["regression_error"] for row in errors)
    return (
        f"{text}; the constant balance predicts the tax better than a tax of 0 does in {nothing} of {len(errors)} runs "
        f"and better than a regression on the settings in {fitted}"
    )


def _breaks(report: Report) -> str:
    """Where the law is worst: Worlds with a cue against those without, and the run with the largest waste."""
    rows = claimed_runs(report)
    both = [
        (row["no cue"]["median_waste_difference"], row["cue"]["median_waste_difference"])
        for row in rows.values()
        if None not in (row["no cue"]["median_waste_difference"], row["cue"]["median_waste_difference"])
    ]
    parts = []
    if both:
        without, with_cue = (median(side) for side in zip(*both))
        word = "about as large"
        if max(without, with_cue) > _ALIKE * min(without, with_cue):
            word = "larger" if with_cue > without else "smaller"
        parts.append(
            f"with a cue the difference of wastes is {word}: {number(with_cue)} with a cue against {number(without)} "
            f"without (medians over Worlds with a price, then over the {_runs(len(both))} that have both; this "
            "comparison was not registered)"
        )
    free = sum(row["all"]["worlds"] - row["all"]["priced"] for row in rows.values())
    taxed = sum(row["all"]["taxed_without_price"] for row in rows.values())
    if free:
        parts.append(
            f"where a World has no price for a run, the tax is {report['identity']:g} or more all the same in {taxed} "
            f"of {free} cases, which the claims of R2 and waste leave out"
        )
    worst = _largest((row["all"]["median_waste_difference"], name) for name, row in rows.items())
    if worst:
        parts.append(f"the run with the largest difference of wastes is {worst[1]}, with a median of {worst[0]:.3f}")
    if not parts:
        return "Where the law breaks cannot be said, because no run has a World with a price."
    return f"Where it breaks: {'; '.join(parts)}."


def _runs(count: int) -> str:
    return "run" if count == 1 else f"{count} runs"


def _largest(values: Iterable[tuple[float | None, str]]) -> tuple[float, str] | None:
    return max(((value, name) for value, name in values if value is not None), default=None)
