"""docs/findings.md, made from results/diversity_tax/report.json alone: no number in it is typed by hand."""

from __future__ import annotations

from ...envs.world.world import PRESETS
from ..grid.condition import Condition
from ..grid.language_report import BROKEN
from ..grid.page import condition_sections, failures, generated_mark, inside_table, run_line
from ..grid.tables import verdict_table
from ..report.format import Report, broken_note, markdown_table, plain, signed
from .headline import headline
from .taxes import MARGIN

__all__ = ["findings"]

_SEEN_BEFORE = (
    "What had been seen by then: seeds kept apart from the grid set the learning rate by GRPO alone, and one of them "
    "had been timed for every arm once the claims were written. The claim about a cue was not decidable until World "
    "had cues, and was then reworded before any cell with a cue ran. The claims about further cues, conflicting "
    "answers and the language model's pass@8 were added after the first grid and before their own cells, except that "
    "GRPO with and without sets had been timed on one seed apart from the grid. The formulas of `ucb_con`, `kl_cov` "
    "and `batch_shuffled` were corrected during the grid and all their cells were computed again. The cells of the "
    "language model were shown here as they finished; the grid ends with all of them whatever they show, and no "
    "verdict comes before."
)

_TAXES = (
    f"* not registered. Tax: real from {MARGIN:g} on, small below; zero if two one-sided tests place it within "
    f"{MARGIN:g} and no difference shows; Holm over the conditions of a policy. Avoidable: the part of the lost pass@1 "
    "that a policy on the exact frontier keeps at this pass@k. At matched breadth: against the control where it had "
    "the arm's breadth on its way, at its best if it had that breadth more than once. Questions resampled too: "
    "another draw of questions, and of seeds for each arm. Language model: pass@1 and pass@k are planned (kinds in "
    "its order, read perfectly); the actual values are next to them. A seed is broken if it loses more than "
    f"{BROKEN:g} of pass@1 between the two."
)

_CORRECTED = (
    "The reading of the results was corrected after the first language-model cells. A control that has an arm's "
    "breadth more than once is matched at its best point (before: at its first), and it is evaluated at more steps "
    "than the arms. The avoidable part is capped at the price. Seeds whose language model broke are marked. A claim "
    "whose cells are not finished counts in Holm with p = 1. Rows with fewer seeds are marked."
)


def findings(report: Report, title: str) -> str:
    """The page."""
    parts = [
        f"# {title}",
        generated_mark("diversity_tax/page.py", "diversity_tax"),
        headline(report),
        _scope(report),
        tax_table(report),
        _TAXES,
        run_line(report),
        "![pass@1 against pass@k with the exact frontier](../results/diversity_tax/figures/tax_pass.png)",
        "![pass@1 against breadth](../results/diversity_tax/figures/tax_breadth.png)",
        *_further_figures(report),
        "## Claims and verdicts",
        "Endpoints, expected signs, smallest effects and stopping rules were fixed before the grid was run "
        "(experiments/diversity_tax/claims.py). Differences are paired by seed; brackets are 95 % t-intervals over "
        "seeds. p belongs to the verdict: to contradiction if the claim is contradicted, otherwise to support. Each "
        "family is Holm-adjusted over all claims at 5 %.",
        _SEEN_BEFORE,
        _CORRECTED,
        verdict_table(report),
        inside_table(report),
        *condition_sections(report),
        "## Strengths",
        "All strengths of every arm: [findings_strengths.md](findings_strengths.md).",
        "## Failures",
        failures(report),
    ]
    return "\n\n".join(parts) + "\n"


def _further_figures(report: Report) -> list[str]:
    folder, out = "../results/diversity_tax/figures", []
    if any(Condition.of(name).has_cue for name in report["conditions"]):
        out.append(f"![with a cue: pass@1 against pass@k]({folder}/tax_pass_cue.png)")
    if report["language_model"]:
        out.append(f"![language model: planned pass@1 against planned pass@k]({folder}/tax_language_pass.png)")
    return out


def _scope(report: Report) -> str:
    done, wanted = report["cells"]["language_model_done"], report["cells"]["language_model_cells"]
    language = (
        f"{done} of {wanted} cells of the language-model grid are in it."
        if wanted
        else "The language-model grid is not in it: its claims stay inconclusive (not run)."
    )
    presets = "; ".join(
        f"{name}: {', '.join(f'{one:g}' for one in knobs['availability'])} and {knobs['budget']} queries"
        for name, knobs in PRESETS.items()
    )
    return (
        "A condition is a World and a start. A question has two hops, and each fact is in the passage of each kind "
        f"with a probability that depends on the kind ({presets}): a policy learns the order in which to ask kinds. A "
        "diverse start imitates orders drawn at random, a narrow one a single order. The tabular policy reads "
        "perfectly and never gives up, so its planned and actual success are equal, and its values are exact on the "
        "test questions; it shows what the order of kinds is worth, and nothing about reading. -cue: a word of each "
        f"question favours a kind (rho .8). -answers: conflicting answers, one per kind, and one more query. {language}"
    )


def tax_table(report: Report) -> str:
    """What diversity training costs and gains in every condition, registered or not."""
    k = report["group_k"]
    rows = [
        [
            row["policy"],
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
        "pass@1, questions resampled too", "actual pass@1", "seeds",
    ]  # fmt: skip
    return markdown_table(header, rows)
