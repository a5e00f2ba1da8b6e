"""docs/findings.md, made of results/diversity_tax/report.json alone: no number in it is typed by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...envs.world.world import PRESETS
from ..grid.arms import ARMS
from ..grid.experiment import failure_lines
from ..grid.language_report import BROKEN
from ..report.format import Report, markdown_table, plain, signed
from ..report.grid_tables import (
    answer_table,
    arm_table,
    language_table,
    middle_strength,
    tax_table,
    verdict_table,
)
from .headline import headline
from .taxes import MARGIN

__all__ = ["findings", "strengths"]

_SEEN_BEFORE = (
    "What had been seen by then: seeds kept apart from the grid set the learning rate by GRPO alone, and one of them "
    "had been timed for every arm once the claims were written. The claim about a cue stood as not decidable until "
    "World had cues, and was then reworded before any cell with a cue ran. The claims about further cues, conflicting "
    "answers and the language model's pass@8 were added after the first grid and before their own cells, save that "
    "GRPO with and without sets had been timed on one seed apart from the grid. The formulas of `ucb_con`, `kl_cov` "
    "and `batch_shuffled` were corrected during the grid and all their cells computed anew. The language model's cells "
    "were shown here as they finished; the grid ends with all of them whatever they show, and no verdict comes before."
)


_TAXES = (
    f"* not registered. Tax: real from {MARGIN:g} on, small below; zero where two one-sided tests place it within "
    f"{MARGIN:g} and no difference shows; Holm over the conditions of a policy. Avoidable: the part of the pass@1 lost "
    "that a policy on the exact frontier keeps at this pass@k. At matched breadth: against the control where it had "
    "the arm's breadth on its way, at its best where it had it more than once. Questions resampled too: another draw "
    "of questions and of seeds, those of each arm apart. Language model: pass@1 and pass@k are of its plan (kinds in "
    "its order, read perfectly), beside them what it did; a seed is broken that loses more than "
    f"{BROKEN:g} of pass@1 in between."
)

_CORRECTED = (
    "After the first language-model cells the reading of the results was corrected: a control that has an arm's "
    "breadth more than once is matched where it is best (its first passage had been taken), and it is evaluated at "
    "more steps than the arms; the avoidable part is no more than what was paid; seeds whose language model broke are "
    "marked; a claim that is not finished counts in Holm with p = 1; a row of fewer seeds says so."
)


_ANSWERS = (
    "Each record of the last hop states an answer of its own. An arm that trains on sets searches on for further "
    "answers while its budget lasts. choice@k is the best answer of k episodes to whoever weighs the answers by a draw "
    "from Dirichlet(1), the reward of VPO over a whole group; choice@24_searches is the same at equal queries."
)


def findings(report: Report) -> str:
    """The page."""
    cells = report["cells"]
    parts = [
        "# What training for diversity costs",
        "<!-- written by experiments/diversity_tax/page.py from results/diversity_tax/report.json; do not edit -->",
        headline(report),
        _scope(report),
        tax_table(report),
        _TAXES,
        f"Command: `{report['command']}`. {cells['done']} cells done, {len(cells['failed'])} failed, "
        f"{cells['not_run']} not run{_taken_over(cells)}; {report['seeds']} seeds of each arm of the table of kinds, "
        f"{report['test_questions']} test questions. Values in results/diversity_tax/report.json, per seed in "
        "per_seed.csv.",
        "![pass@1 against pass@k with the exact frontier](../results/diversity_tax/figures/tax_pass.png)",
        "![pass@1 against breadth](../results/diversity_tax/figures/tax_breadth.png)",
        *_further_pictures(report),
        "## Claims and verdicts",
        "Endpoints, expected signs, smallest effects and stopping rules were fixed before the grid was run "
        "(experiments/diversity_tax/claims.py). Differences are paired by seed; brackets are 95 % t-intervals over "
        "seeds. p is that of the verdict, Holm-adjusted over all claims: of contradiction where that is the verdict, "
        "of support otherwise; each of the two is a family of 5 %.",
        _SEEN_BEFORE,
        _CORRECTED,
        verdict_table(report),
        _inside(report),
    ]
    for condition in report["conditions"]:
        parts += [f"## {condition}", arm_table(report, condition), controls_table(report, condition)]
        if condition.split("/")[0].endswith("-answers"):
            parts += [_ANSWERS, answer_table(report, condition)]
    for condition in report["language_model"]:
        parts += [f"## {condition}, language model", language_table(report, condition)]
    parts += ["## Strengths", "All strengths of every arm: [findings_strengths.md](findings_strengths.md)."]
    parts += ["## Failures", _failures(report)]
    return "\n\n".join(parts) + "\n"


def strengths(report: Report) -> str:
    """The page of all strengths."""
    parts = [
        "# What training for diversity costs: all strengths",
        "<!-- written by experiments/diversity_tax/page.py from results/diversity_tax/report.json; do not edit -->",
        "[findings.md](findings.md) reads its claims at the middle strength of each arm.",
        *(strength_table(report, condition) for condition in report["conditions"]),
    ]
    return "\n\n".join(parts) + "\n"


def _further_pictures(report: Report) -> list[str]:
    folder, out = "../results/diversity_tax/figures", []
    if any("-cue" in condition for condition in report["conditions"]):
        out.append(f"![with a cue: pass@1 against pass@k]({folder}/tax_pass_cue.png)")
    if report["language_model"]:
        out.append(f"![language model: planned pass@1 against planned pass@k]({folder}/tax_language_pass.png)")
    return out


def _taken_over(cells: Mapping[str, Any]) -> str:
    if not cells["taken_over"]:
        return ""
    return f" ({cells['taken_over']} cells of the table of kinds stand as in the report before, of the same settings)"


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
        "A condition is a World and a start. A question has two hops, and each fact stands in a passage of each kind "
        f"with a probability of its own ({presets}): what a policy learns is the order in which it asks kinds. A "
        "diverse start imitates orders drawn at random, a narrow one a single order. The table of kinds is a policy "
        "that reads perfectly and never gives up, so plan and actual success are one, and its values are exact on the "
        "test questions; it shows what the order of kinds is worth, and nothing about reading. -cue: a word of each "
        "question favours a kind (rho .8). -answers: conflicting answers, one a kind, and a query more. "
        f"{language}"
    )


def _inside(report: Report) -> str:
    rows = [
        [verdict["claim"]["endpoint"], signed(verdict["estimate"]), signed(verdict["inside"])]
        for verdict in report["verdicts"]
        if verdict["inside"] is not None
    ]
    if not rows:
        return "No difference has a bootstrap over questions."
    text = "The same differences with seeds, of each arm apart, and inside them questions resampled (they also carry "
    return f"{text}what another draw of questions would change):\n\n" + markdown_table(
        ["endpoint", "over seeds", "over both"], rows
    )


def controls_table(report: Report, condition: str) -> str:
    """What else reaches the same place: stopping early, cooling, mixing weights, an entropy bonus."""
    arms, k = report["conditions"][condition]["arms"], report["group_k"]
    rows = []
    for arm in arms:
        one = arms[arm][middle_strength(arms, arm)]
        if "difference" not in one:
            continue
        entropy = one.get("equal_entropy", {})
        of = len(one["seeds"])
        greedy = one["temperatures"].get("0", {}).get("pass@1")
        rows.append(
            [
                arm,
                one["control"],
                *(signed(one[name], of=of) for name in ("matched", "matched_by_temperature", "matched_by_mixing")),
                signed(entropy.get("pass@1"), of=of),
                signed(entropy.get(f"pass@{k}"), of=of),
                "–" if greedy is None else f"{greedy:.3f}",
                "–" if one["overtakes_at_k"] is None else str(one["overtakes_at_k"]),
            ]
        )
    header = [
        "arm", "control", "pass@1 where the control stopped early", "where it was sampled at another temperature",
        "where start and end were mixed", "pass@1 at equal entropy", f"pass@{k} at equal entropy", "greedy pass@1",
        "above its control from k",
    ]  # fmt: skip
    note = (
        "Differences to the control at equal breadth, along three curves of the control, and to GRPO with an entropy "
        "bonus at equal entropy; a dash where the curve has that breadth or entropy in less than half of the seeds. "
        "Above its control from k: the interval over seeds lies above 0 from this k on."
    )
    return f"{note}\n\n{markdown_table(header, rows)}"


def strength_table(report: Report, condition: str) -> str:
    """All strengths of the arms that have several."""
    arms, k = report["conditions"][condition]["arms"], report["group_k"]
    rows = [
        [
            arm,
            f"{ARMS[arm].strength_name} {strength}",
            plain(one["measures"]["pass@1"]),
            plain(one["measures"][f"pass@{k}"]),
            plain(one["measures"]["breadth"]),
            signed(one.get("matched"), of=len(one["seeds"])),
        ]
        for arm, strengths in arms.items()
        if len(strengths) > 1
        for strength, one in strengths.items()
    ]
    header = ["arm", "strength", "pass@1", f"pass@{k}", "breadth", "pass@1 at matched breadth"]
    return f"{condition}:\n\n{markdown_table(header, rows)}" if rows else f"{condition}: one strength each."


def _failures(report: Report) -> str:
    failed = report["cells"]["failed"]
    return "\n".join(f"- {line}" for line in failure_lines(failed)) if failed else "No cell failed."
