"""The study's report as text and page; every number comes from the report."""

from __future__ import annotations

from collections.abc import Sequence

from ..report.format import NOTHING, Report, failure_lines, interval, markdown_table, number, plain
from .agents import AGENTS
from .cells import SETTINGS
from .claims import TEMPERATURES

__all__ = ["headline", "page", "report_text"]

SHOWN = {
    "em": "EM", "f1": "F1", "pass@8": "pass@8", "evidence_recall": "evidence recall", "breadth": "breadth",
    "query_sequences": "query sequences", "wrong_answers": "wrong answers", "query_token_entropy": "token entropy",
    "shared_entropy": "at shared histories", "searches": "searches", "valid_actions": "valid turns",
}  # fmt: skip

_MEANINGS = """\
- EM, F1: exact match and token F1 of the answer; EM at temperature 1 is pass@1
- pass@8: at least one of 8 rollouts is right
- evidence recall: share of the supporting passages that a rollout was shown; breadth: that some rollout was shown
- query sequences: different sequences of queries among the rollouts of a question; wrong answers likewise
- token entropy: nats per token of queries, at the agent's own histories, and at those of sft_diverse
"""


def _rows(report: Report, settings: Sequence[str]) -> str:
    """A table of all agents in some settings."""
    found = {(row["agent"], row["setting"]): row for row in report["rows"]}
    body, used = [], set()
    for setting in settings:
        for agent in dict.fromkeys(row["agent"] for row in report["rows"]):
            if (row := found.get((agent, setting))) is not None:
                used |= row["measures"].keys()
                body.append((agent, setting, row))
    names = {name: label for name, label in SHOWN.items() if name in used}
    header = ["agent", "setting", *names.values(), "seeds"]
    lines = [
        [agent, setting, *(plain(row["measures"].get(name)) for name in names), str(len(row["seeds"]))]
        for agent, setting, row in body
    ]
    return markdown_table(header, lines) if lines else "No cell has been computed yet."


def _claims(report: Report) -> str:
    header = ["claim", "source", "measure", "claimed", "found", "seeds", "verdict"]
    body = []
    for row in report["claims"]:
        found = NOTHING if row["value"] is None else f"{row['value']:+.3f} {interval(row['low'], row['high'])}"
        asked = {"more": f"> +{row['margin']:g}", "less": f"< -{row['margin']:g}", "equal": f"within {row['margin']:g}"}
        verdict = row["verdict"] + (f": {row['reason']}" if row["reason"] else "")
        body.append(
            [
                row["statement"],
                row["source"],
                row["measure"],
                asked[row["expected"]],
                found,
                str(len(row["seeds"])),
                verdict,
            ]
        )
    return markdown_table(header, body)


def headline(report: Report) -> str:
    """Up to three sentences: what RL changed, what sharpening alone does, and how many claims were decided."""
    means = {
        (row["agent"], row["setting"], name): estimate["value"]
        for row in report["rows"]
        for name, estimate in row["measures"].items()
    }

    def said(agent: str, setting: str) -> str:
        em, breadth = (means.get((agent, setting, name)) for name in ("em", "breadth"))
        return f"EM {number(em)} and breadth {number(breadth)}"

    parts = []
    if ("sft_diverse", "hotpotqa", "em") in means:
        parts.append(
            f"After imitation the agent has {said('sft_diverse', 'hotpotqa')} at temperature 1, and "
            f"{said('sft_diverse', 'hotpotqa-greedy')} greedily."
        )
    if ("grpo", "hotpotqa", "em") in means:
        parts.append(
            f"After 60 steps of GRPO it has {said('grpo', 'hotpotqa')} at temperature 1, and "
            f"{said('grpo', 'hotpotqa-greedy')} greedily."
        )
    decided = sum(row["verdict"] in ("supported", "contradicted") for row in report["claims"])
    parts.append(f"{decided} of {len(report['claims'])} registered claims are decided so far.")
    return " ".join(parts)


def _state(report: Report) -> str:
    cells = report["cells"]
    lines = [f"{cells['done']} cells done, {len(cells['failed'])} failed, {cells['not_run']} not run."]
    return "\n".join([*lines, *failure_lines(cells["failed"])])


def report_text(report: Report) -> str:
    """The terminal text of a run."""
    parts = [f"real agent, scale {report['scale']}: {_state(report)}", headline(report)]
    return "\n\n".join([*parts, _rows(report, list(SETTINGS)), _claims(report)])


def page(report: Report) -> str:
    """docs/real_agent.md."""
    sizes = report["sizes"]
    agents = "\n".join(f"- {name}: {agent.summary}" for name, agent in AGENTS.items())
    others = [name for name in SETTINGS if not name.startswith("hotpotqa")]
    controls = [name for name, setting in SETTINGS.items() if setting.control]
    parts = [
        "# A real search agent: SFT against RL",
        "<!-- written by experiments/real_agent/page.py from results/real_agent/report.json; do not edit -->",
        headline(report),
        f"![Accuracy against breadth](../results/{report['experiment']}/figures/plane.png)",
        f"Command: `{report['command']}`. {_state(report)}",
        f"Weights: {sizes['model']}, LoRA matrices of rank 8. SFT: {sizes['sft_steps']} updates on "
        f"{sizes['sft_batch']} demonstrations each. RL: {sizes['rl_steps']} updates on {sizes['questions']} questions "
        f"that SFT did not show, {sizes['group']} rollouts each, reward EM, learning rate {sizes['rl_rate']:g}. A seed "
        "deals the questions anew.",
        f"## Agents\n\n{agents}",
        f"## Measures\n\n{_MEANINGS}",
        "± is half of the 95 % interval over seeds and questions; with one seed, over questions alone.",
        f"## HotpotQA\n\n{_rows(report, [*reversed(TEMPERATURES)])}",
        f"## Other sets\n\n{_rows(report, others)}",
        f"## Controls of retrieval, greedy\n\n{_rows(report, controls)}",
        f"## Claims\n\n{_claims(report)}",
        "Three seeds decide little: with two degrees of freedom, a difference of EM or breadth below about .05 cannot "
        "be told from none where seeds differ by .02. One corpus of 14,863 passages, one model: sizes will differ "
        "elsewhere.",
    ]
    return "\n\n".join(parts) + "\n"
