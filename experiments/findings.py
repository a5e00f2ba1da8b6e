"""docs/findings.md, made of results/diversity_tax/report.json alone: no number in it is typed by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .diversity_tax_arms import ARMS
from .diversity_tax_tables import (
    answer_table,
    arm_table,
    language_table,
    markdown_table,
    middle_strength,
    plain,
    signed,
    verdict_table,
)
from .diversity_tax_text import headline

__all__ = ["findings", "strengths"]

Report = Mapping[str, Any]


_SEEN_BEFORE = (
    "What had been seen by then: seeds kept apart from the grid set the learning rate by GRPO alone, and one of them "
    "had been timed for every arm once the claims were written. The claim about a cue stood as not decidable until "
    "World had cues, and was then reworded before any cell with a cue ran. The claims about further cues, conflicting "
    "answers and the language model's pass@8 were added after the first grid and before their own cells, save that "
    "GRPO with and without sets had been timed on one seed apart from the grid. The formulas of `ucb_con`, `kl_cov` "
    "and `batch_shuffled` were corrected during the grid and all their cells computed anew. The language model's cells "
    "are shown here as they finish; the grid ends with all of them whatever they show, and no verdict is given before."
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
        "<!-- written by experiments/findings.py from results/diversity_tax/report.json; do not edit -->",
        headline(report),
        f"Command: `{report['command']}`. {cells['done']} cells done, {len(cells['failed'])} failed, "
        f"{cells['not_run']} not run; {report['seeds']} seeds of each arm, {report['test_questions']} test questions. "
        "Values in results/diversity_tax/report.json, per seed in per_seed.csv.",
        _scope(report),
        "![pass@1 against pass@k with the exact frontier](../results/diversity_tax/figures/tax_pass.png)",
        "![pass@1 against breadth](../results/diversity_tax/figures/tax_breadth.png)",
        *_further_pictures(report),
        "## Claims and verdicts",
        "Endpoints, expected signs, smallest effects and stopping rules were fixed before the grid was run "
        "(experiments/diversity_tax_claims.py). Differences are paired by seed; brackets are 95 % t-intervals over "
        "seeds; p-values are Holm-adjusted over all claims of the table.",
        _SEEN_BEFORE,
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
        "<!-- written by experiments/findings.py from results/diversity_tax/report.json; do not edit -->",
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


def _scope(report: Report) -> str:
    done, wanted = report["cells"]["language_model_done"], report["cells"]["language_model_cells"]
    language = (
        f"{done} of {wanted} cells of the language-model grid are in it."
        if wanted
        else "The language-model grid is not in it: its claims stay inconclusive (not run)."
    )
    return (
        "The policy of this grid is a table of kinds: it reads perfectly and never gives up, so plan and actual "
        "success are one, and its values are exact on the test questions. It shows what the order of kinds is worth, "
        "and nothing about reading. -cue: a word of each question favours a kind (rho .8). -answers: conflicting "
        f"answers, one a kind, and a query more. {language}"
    )


def _inside(report: Report) -> str:
    rows = [
        [verdict["claim"]["endpoint"], signed(verdict["estimate"]), signed(verdict["inside"])]
        for verdict in report["verdicts"]
        if verdict["inside"] is not None
    ]
    if not rows:
        return "No difference has a bootstrap over questions."
    text = "The same differences with seeds and, inside, questions resampled (they also carry what another draw of "
    return f"{text}questions would change):\n\n" + markdown_table(["endpoint", "over seeds", "over both"], rows)


def controls_table(report: Report, condition: str) -> str:
    """What else reaches the same place: stopping early, cooling, mixing weights, an entropy bonus."""
    arms, k = report["conditions"][condition]["arms"], report["group_k"]
    rows = []
    for arm in arms:
        one = arms[arm][middle_strength(arms, arm)]
        if "difference" not in one:
            continue
        entropy = one.get("equal_entropy", {})
        greedy = one["temperatures"].get("0", {}).get("pass@1")
        rows.append(
            [
                arm,
                one["control"],
                *(signed(one[name]) for name in ("matched", "matched_by_temperature", "matched_by_mixing")),
                signed(entropy.get("pass@1")),
                signed(entropy.get(f"pass@{k}")),
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
        "bonus at equal entropy; a dash where the curve never has that breadth or entropy."
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
            signed(one.get("matched")),
        ]
        for arm, strengths in arms.items()
        if len(strengths) > 1
        for strength, one in strengths.items()
    ]
    header = ["arm", "strength", "pass@1", f"pass@{k}", "breadth", "pass@1 at matched breadth"]
    return f"{condition}:\n\n{markdown_table(header, rows)}" if rows else f"{condition}: one strength each."


def _failures(report: Report) -> str:
    failed = report["cells"]["failed"]
    return "\n".join(f"- {key}: {why}" for key, why in failed.items()) if failed else "No cell failed."
