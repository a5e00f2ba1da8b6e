"""docs/findings.md and docs/findings_details.md, made from reports alone: no number in them is typed by hand."""

from __future__ import annotations

from collections.abc import Mapping

from ..grid.language_report import BROKEN
from ..grid.page import condition_sections, failures, generated_mark, registration_section, run_line
from ..grid.tables import strength_table, verdict_table
from ..report.format import NOTHING, Report, markdown_table, plain, signed
from .corrections import CORRECTIONS
from .findings_lines import lines
from .headline import answer, rows_of, tabular_left
from .taxes import ARM

__all__ = ["details", "findings"]

_MARK = generated_mark("diversity_tax/findings.py", "diversity_tax")

_SHOWN = ("priced/diverse", "steep/diverse", "free/diverse", "priced-cue/diverse")


def findings(report: Report, law: Report | None) -> str:
    """The page of three minutes.

    Args:
        report: of the grid.
        law: of the price law; None where it is not published.
    """
    done = not tabular_left(report)
    parts = [
        "# What training for diversity costs",
        _MARK,
        answer(report, law),
        "\n".join(f"- {line}" for line in lines(report, law)),
        _picture("tax_findings", "pass@1 against pass@8 with the exact frontier") if done else "",
        _table(report) if done else "",
        _rerun(report),
        "## Corrections",
        CORRECTIONS,
        "Every arm, strength, claim, verdict and check: [findings_details.md](findings_details.md). The price law: "
        "[price_law.md](price_law.md).",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _table(report: Report) -> str:
    rows = [
        [
            row["condition"].removesuffix("/diverse"),
            row["policy"],
            str(row["worlds"]),
            *(plain(row[name], sign="+") for name in ("tax", "gain", "price")),
            plain(row["waste"]),
        ]
        for row in [*rows_of(report, ARM), *rows_of(report, ARM, "language model")]
        if row["condition"] in _SHOWN
    ]
    header = ["condition", "policy", "worlds", "pass@1", "pass@8", "price", "waste"]
    text = "DARLING minus Dr. GRPO; ± is half of a 95 % interval over worlds:"
    return f"{text}\n\n{markdown_table(header, rows)}" if rows else ""


def _rerun(report: Report) -> str:
    cell = "tabular/priced-diverse/darling-0.1/world-1000"
    return (
        f"Rerun one number (about 10 seconds): `berrypick run diversity_tax --scale small --seeds {report['seeds']} "
        f"--cell {cell} --given results/diversity_tax --out runs/one`. All of them: `{report['command']}` "
        f"({_counts(report)}; values in results/diversity_tax)."
    )


_PICTURES = (
    ("tax_pass", "pass@1 against pass@8"),
    ("tax_pass_cue", "pass@1 against pass@8, with a cue"),
    ("tax_breadth", "pass@1 against breadth"),
    ("tax_breadth_cue", "pass@1 against breadth, with a cue"),
    ("tax_language_pass", "pass@1 against pass@8, language model"),
    ("tax_language_breadth", "pass@1 against breadth, language model"),
)


def _picture(name: str, text: str) -> str:
    return f"![{text}](../results/diversity_tax/figures/{name}.png)"


def _counts(report: Report) -> str:
    cells = report["cells"]
    return f"{cells['done']} cells done, {len(cells['failed'])} failed, {cells['not_run']} not run"


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
        f"The answer is in [findings.md](findings.md). {run_line(report)}",
        "## Claims and verdicts",
        "Endpoints, expected signs, margins and stopping rules were fixed before the grid was run "
        "(experiments/diversity_tax/claims.py). Differences are paired by world; brackets are 95 % t-intervals over "
        "worlds; support is tested against the margin, with Holm over all claims, 5 % each for support and for "
        "contradiction. Other settings: the range over learning rates and lengths.",
        verdict_table(report),
        *registration_section(report),
        "## Figures",
        *(_picture(name, text) for name, text in _PICTURES if report["language_model"] or "language" not in name),
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
