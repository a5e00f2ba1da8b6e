"""docs/findings.md and docs/findings_details.md, made from reports alone: no number in them is typed by hand."""

from __future__ import annotations

from collections.abc import Mapping

from ...envs.world.world import PRESETS
from ..grid.language_report import BROKEN
from ..grid.page import condition_sections, failures, generated_mark, registration_section, run_line
from ..grid.tables import strength_table, verdict_table
from ..report.format import NOTHING, Report, markdown_table, number, plain, signed
from .corrections import CORRECTIONS
from .headline import answer, rows_of, tabular_left
from .taxes import ARM

__all__ = ["details", "findings"]

_MARK = generated_mark("diversity_tax/findings.py", "diversity_tax")

_SETTING = (
    "Setting: the worlds are planted. Each question has two hops, and a record of each *kind* states the fact of a hop "
    "with a known probability ({presets}). With three queries, a policy learns in which order to search the kinds. "
    "The most pass@1 that any policy with a given pass@8 can have, F, is therefore known exactly."
)
_TERMS = (
    "Price: F at the arm's pass@8 minus F at its control's: what the task asks for the pass@8 gained. Waste: F at a "
    "policy's pass@8 minus its pass@1. The difference in pass@1 is price minus the difference of wastes, by arithmetic."
)
_FIGURE = "![pass@1 against pass@8 with the exact frontier](../results/diversity_tax/figures/tax_findings.png)"
_SCOPE = (
    "Scope: planted worlds and small policies (tables, and a language model of 0.7 M parameters trained from nothing); "
    "nothing here is about pretrained models or real corpora yet ([real corpora](real_corpora.md))."
)


def findings(report: Report, law: Report | None) -> str:
    """The page of three minutes.

    Args:
        report: of the grid.
        law: of the price law; None where it is not published.
    """
    done = not tabular_left(report)
    presets = "; ".join(f"`{name}` {_knobs(name)}" for name in ("priced", "steep", "free"))
    lines = [
        _SETTING.format(presets=presets),
        _TERMS,
        *_law_lines(law),
        *(_found(report) if done else ()),
        _SCOPE,
    ]
    parts = [
        "# What training for diversity costs",
        _MARK,
        answer(report, law),
        "\n".join(f"- {line}" for line in lines if line),
        _FIGURE if done else "",
        _table(report) if done else "",
        _rerun(report),
        "## Corrections",
        CORRECTIONS,
        "Every arm, strength, claim, verdict and check: [findings_details.md](findings_details.md). The price law: "
        "[price_law.md](price_law.md).",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _found(report: Report) -> list[str]:
    """What the grid found, condition by condition; nothing of it is shown before all cells are there."""
    return [
        *(_condition_line(row) for row in rows_of(report, ARM)),
        *(_method_line(row) for row in rows_of(report, "pass_mix") if row["condition"] in _CLAIMED),
        *(_untrained_line(row) for row in report["distinct_first"] if _is_shown(row)),
        _settings_line(report),
        *(_language_line(row) for row in rows_of(report, ARM, "language model")),
        _language_left(report),
    ]


_CLAIMED = ("priced/diverse", "steep/diverse")


def _knobs(preset: str) -> str:
    return "/".join(f"{a:g}".lstrip("0") for a in PRESETS[preset]["availability"])


def _law_lines(law: Report | None) -> list[str]:
    """What the price law says, or that it is not there yet."""
    if law is None or law["cells"]["not_run"]:
        done = 0 if law is None else law["worlds"]
        return [f"Price law: {done} of 208 random worlds are there; its verdicts come with all of them."]
    counts: dict[tuple[str, str], int] = {}
    for row in law["verdicts"]:
        counts[row["kind"], row["verdict"]] = counts.get((row["kind"], row["verdict"]), 0) + 1
    said = "; ".join(
        f"{kind}: " + ", ".join(f"{n} {verdict}" for (name, verdict), n in counts.items() if name == kind)
        for kind in dict.fromkeys(row["kind"] for row in law["verdicts"])
    )
    lines = [f"Price law over {law['worlds']} random worlds, claims about {len(law['verdicts']) // 3} methods: {said}."]
    run = law["runs"].get(f"{ARM}-0.1")
    if run:
        r2 = {row["run"]: row["value"] for row in law["verdicts"] if row["kind"] == "explained"}
        best = max((name for name in r2 if r2[name] is not None), key=lambda name: r2[name])
        lines.append(
            "The price alone (tax = price, nothing fitted) explains DARLING's tax with R2 "
            f"{number(run['no cue']['r2'], 2)} in worlds without a cue and {number(run['cue']['r2'], 2)} with one, and "
            f"best that of {best} ({number(r2[best], 2)}); DARLING wastes {plain(run['waste'])}, "
            f"its control {plain(run['control_waste'])}."
        )
    return lines


def _condition_line(row: Report) -> str:
    text = f"`{row['condition']}`: {signed(row['tax'])} of pass@1 for {signed(row['gain'])} of pass@8"
    if row["price"] is not None:
        text += f"; price {signed(row['price'])}, waste {plain(row['waste'])} against {plain(row['control_waste'])}"
    return text + "."


def _method_line(row: Report) -> str:
    return (
        f"A half-and-half mixture of pass@1 and pass@4 credit (`pass_mix`), `{row['condition']}`: "
        f"{signed(row['tax'])} for {signed(row['gain'])}; waste {plain(row['waste'])}."
    )


def _is_shown(row: Report) -> bool:
    return row["condition"] in _CLAIMED and row["arm"] == "dr_grpo"


def _untrained_line(row: Report) -> str:
    return (
        f"Without training for diversity, `{row['condition']}`: 8 rollouts of {row['arm']} whose first queries are "
        f"spread over the kinds find the answer with {plain(row['best_of_8'])}, {signed(row['gain'])} more than 8 "
        "independent ones."
    )


def _settings_line(report: Report) -> str:
    """What the size depends on: the range of the registered tax over learning rates and lengths."""
    found = [
        f"{row['claim']['id']} {min(values):+.3f} to {max(values):+.3f}"
        for row in report["verdicts"]
        if row["claim"]["id"] in ("priced-pass1", "steep-pass1")
        and (values := [one["value"] for one in row["settings"].values()])
    ]
    return f"Over learning rates .3, 1 and 40 to 200 steps: {'; '.join(found)}." if found else ""


def _language_line(row: Report) -> str:
    return f"Language model, {row['worlds']} worlds, {_condition_line(row)}"


def _language_left(report: Report) -> str:
    """What is missing of the language model; empty where nothing is."""
    left, cells = report["cells"]["language_model_not_run"], report["cells"]["language_model_cells"]
    return (
        f"Language model: {left} of {cells} cells are not run yet; their rows have fewer worlds or none."
        if left
        else ""
    )


def _table(report: Report) -> str:
    rows = [
        [
            row["condition"],
            row["policy"],
            plain(row["pass@1"]),
            plain(row["pass@k"]),
            signed(row["tax"]),
            signed(row["gain"]),
            signed(row["price"]),
            plain(row["waste"]),
            signed(row["matched"], of=row["worlds"]),
            str(row["worlds"]),
        ]
        for row in [*rows_of(report, ARM), *rows_of(report, ARM, "language model")]
    ]
    if not rows:
        return ""
    header = [
        "condition", "policy", "pass@1", "pass@8", "pass@1 minus control", "pass@8 minus control", "price", "waste",
        "pass@1 at equal pass@8", "worlds",
    ]  # fmt: skip
    return f"DARLING against Dr. GRPO:\n\n{markdown_table(header, rows)}"


def _rerun(report: Report) -> str:
    cell = "tabular/priced-diverse/darling-0.1/world-1000"
    return (
        f"Rerun one number (seconds): `berrypick run diversity_tax --scale small --seeds {report['seeds']} --cell "
        f"{cell} --out runs/one`. {run_line(report)}"
    )


def _distinct_first(report: Report) -> str:
    rows = [
        [row["condition"], row["arm"], plain(row["best_of_8"]), signed(row["gain"])] for row in report["distinct_first"]
    ]
    return markdown_table(["condition", "control", "one of 8", "minus pass@8"], rows) if rows else NOTHING


def details(report: Report, names: Mapping[str, str]) -> str:
    """The page of everything.

    Args:
        report: of the grid.
        names: arm -> what its strength is called.
    """
    identities = [
        [row["condition"], row["measure"], f"{row['largest']:.1e}", str(row["n"])] for row in report["identities"]
    ]
    parts = [
        "# What training for diversity costs: details",
        _MARK,
        "The answer is in [findings.md](findings.md).",
        "## Claims and verdicts",
        "Endpoints, expected signs, margins and stopping rules were fixed before the grid was run "
        "(experiments/diversity_tax/claims.py). Differences are paired by world; brackets are 95 % t-intervals over "
        "worlds; support is tested against the margin, with Holm over all claims, 5 % each for support and for "
        "contradiction. Other settings: the range over learning rates and lengths.",
        verdict_table(report),
        *registration_section(report),
        "## Distinct first queries, without training",
        "Of 8 rollouts of a control, first queries spread evenly over the kinds: how often one finds the answer, and "
        "how much more often than 8 independent rollouts do.",
        _distinct_first(report),
        "## Identities",
        "Differences that are 0 by arithmetic, as tests of the instrument: the largest that any arm has.",
        markdown_table(["condition", "measure", "largest", "differences"], identities) if identities else NOTHING,
        *condition_sections(report),
        f"A language model is broken in a world where it loses more than {BROKEN:g} of pass@1 to giving up and misread "
        "passages.",
        "## Strengths",
        *(strength_table(report, condition, names) for condition in report["conditions"]),
        "## Failures",
        failures(report),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"
