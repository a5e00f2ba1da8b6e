"""The lines of docs/findings.md below the answer: setting, price law, what the method adds, scope."""

from __future__ import annotations

from collections import Counter

from ...envs.world.world import PRESETS
from ..report.format import Report, number, plain, signed
from .headline import LAW_RUN, rows_of, tabular_left
from .taxes import ARM

__all__ = ["lines"]

_ALL_WORLDS = 8
_CLAIMED = ("priced/diverse", "steep/diverse")


def lines(report: Report, law: Report | None) -> list[str]:
    """About twelve lines; those about results are there once all cells of the tabular policy are."""
    found = [] if tabular_left(report) else _found(report)
    return [
        line
        for line in [
            _setting(),
            _terms(),
            *_law_lines(law),
            *found,
            _language_matched(report),
            _language_left(report),
            _SCOPE,
        ]
        if line
    ]


def _setting() -> str:
    presets = ", ".join(f"`{name}` {_knobs(name)}" for name in ("priced", "steep", "free"))
    return (
        "Setting: planted worlds. A question has two hops, and a record of each *kind* states the fact of a hop with a "
        f"known probability ({presets}). A policy of three queries learns an order of kinds, so that F, the most "
        "pass@1 that a policy with a given pass@8 can have, is known exactly."
    )


def _knobs(preset: str) -> str:
    return "/".join(f"{a:g}".lstrip("0") for a in PRESETS[preset]["availability"])


def _terms() -> str:
    return (
        "Price: F at the arm's pass@8 minus F at its control's. Waste: F minus pass@1. The difference in pass@1 is "
        "price minus the difference of wastes, by arithmetic."
    )


_SCOPE = (
    "Scope: planted worlds and small policies (tables, and a language model of 0.8 M parameters trained from nothing); "
    "nothing here is about pretrained models or real corpora yet ([real corpora](real_corpora.md))."
)


def _law_lines(law: Report | None) -> list[str]:
    """What the price law says, or that it is not there yet."""
    if law is None or law["cells"]["not_run"]:
        done = 0 if law is None else law["worlds"]
        return [f"Price law: {done} of 208 random worlds are there; its verdicts come with all of them."]
    counts: dict[str, Counter[str]] = {}
    for row in law["verdicts"]:
        counts.setdefault(row["kind"], Counter())[row["verdict"]] += 1
    said = "; ".join(
        f"{kind}: " + ", ".join(f"{n} {verdict}" for verdict, n in found.items()) for kind, found in counts.items()
    )
    out = [f"Price law over {law['worlds']} random worlds, claims about {len(law['verdicts']) // 3} methods: {said}."]
    run = law["runs"].get(LAW_RUN)
    r2 = {
        row["run"]: row["value"] for row in law["verdicts"] if row["kind"] == "explained" and row["value"] is not None
    }
    if run and r2:
        best = max(r2, key=r2.__getitem__)
        out.append(
            "R2 of the price alone (tax = price, nothing fitted) for DARLING's tax, over worlds with a price of .01 or "
            f"more: {number(run['all']['r2'], 2)}; {number(run['no cue']['r2'], 2)} without a cue and "
            f"{number(run['cue']['r2'], 2)} with one, where the price explains nothing; over all worlds "
            f"{number(run['all']['r2_of_all'], 2)}. The largest of a method is {number(r2[best], 2)} ({best})."
        )
    return out


def _found(report: Report) -> list[str]:
    """What the grid found; the table below has its conditions."""
    return [
        _narrow(report),
        _said(
            report,
            "At equal pass@8, against its control stopped early, DARLING has",
            ("priced-matched", "steep-matched"),
            "of pass@1 in `priced` and `steep` (claim: a difference of at most .01)",
        ),
        _said(
            report,
            "A mixture of pass@1 and pass@4 credit (`pass_mix`) wastes",
            ("mix-priced", "mix-steep"),
            "at the worst of ten weights (claim: at most .01)",
        ),
        _said(
            report,
            "At equal pass@8 DARLING has",
            ("mix-darling-priced", "mix-darling-steep"),
            "more pass@1 than the mixture (claim: at most .002)",
        ),
        _said(
            report,
            "Random clusters with updates as long have",
            ("clusters-priced", "clusters-steep"),
            "of pass@1 at equal pass@8 against clusters by retrieval (claim: less)",
        ),
        _untrained(report),
        _settings(report),
        _said(
            report,
            "Interference: training for pass@k changes pass@1 by",
            ("interference-shared", "interference-own"),
            "with one table for 256 questions and with a table for each (claims: a cost, and none)",
        ),
    ]


def _claims(report: Report, names: tuple[str, str]) -> list[Report]:
    rows = {row["claim"]["id"]: row for row in report["verdicts"]}
    return [rows[name] for name in names if name in rows and rows[name]["estimate"] is not None]


def _said(report: Report, begin: str, names: tuple[str, str], end: str) -> str:
    """Both estimates of a pair of claims with their verdicts; empty unless both are there."""
    rows = _claims(report, names)
    if len(rows) < 2:
        return ""
    values = " and ".join(f"{signed(row['estimate'])}" for row in rows)
    verdicts = list(dict.fromkeys(row["verdict"] for row in rows))
    return f"{begin} {values} {end}: {' and '.join(verdicts)}."


def _narrow(report: Report) -> str:
    """Where training starts from demonstrations of a single order."""
    row = next((row for row in rows_of(report, ARM) if row["condition"] == "priced/narrow"), None)
    if row is None:
        return ""
    return (
        f"From demonstrations of a single order, DARLING changes pass@1 by {signed(row['tax'])} and pass@8 by "
        f"{signed(row['gain'])}."
    )


def _untrained(report: Report) -> str:
    """Distinct first queries without training, against DARLING's pass@8."""
    trained = {row["condition"]: row["pass@k"] for row in rows_of(report, ARM)}
    parts = [
        f"{plain(row['best_of_8'])} (`{row['condition'].removesuffix('/diverse')}`; DARLING's pass@8 "
        f"{plain(trained[row['condition']])})"
        for row in report["distinct_first"]
        if row["condition"] in _CLAIMED and row["arm"] == "dr_grpo" and row["condition"] in trained
    ]
    if not parts:
        return ""
    return f"Without training: 8 episodes of Dr. GRPO with first queries spread over the kinds find {', '.join(parts)}."


def _settings(report: Report) -> str:
    """What the size depends on: the range of the registered tax over learning rates and lengths."""
    found = [
        f"`{row['claim']['id'].removesuffix('-pass1')}` {min(values):+.3f} to {max(values):+.3f}"
        for row in report["verdicts"]
        if row["claim"]["id"] in ("priced-pass1", "steep-pass1")
        and (values := [one["value"] for one in row["settings"].values()])
    ]
    return (
        f"Over learning rates .3 and 1 and lengths of 40 and 80 steps: {'; '.join(found)} of pass@1." if found else ""
    )


_FREE_WAYS = ("matched", "matched_by_temperature", "matched_by_mixing")


def _language_matched(report: Report) -> str:
    """The language model's arms against what its control has for free; empty before all its worlds are there."""
    rows = report["language_model"].get("priced/diverse", {})
    parts = [
        f"{name} " + ", ".join(f"{row[way]['value']:+.3f}" for way in _FREE_WAYS)
        for name, row in ((name, rows.get(name, {})) for name in (ARM, "pass_mix"))
        if len(row.get("worlds", ())) >= _ALL_WORLDS
        and all((row.get(way) or {}).get("n") == len(row["worlds"]) for way in _FREE_WAYS)
    ]
    if not parts:
        return ""
    return (
        "Language model, pass@1 at equal pass@8 against its control stopped early, sampled hotter, or mixed with its "
        f"start (not registered): {'; '.join(parts)}."
    )


def _language_left(report: Report) -> str:
    """What is missing of the language model, whose rows are in the table; empty where nothing is."""
    left, cells = report["cells"]["language_model_not_run"], report["cells"]["language_model_cells"]
    return f"Of the language model's cells, {left} of {cells} are not run yet." if left else ""
