"""The report on real corpora as text and page: tables made from its numbers, none typed by hand."""

from __future__ import annotations

from collections.abc import Sequence

from ...envs.tasks.controls import CONTROLS
from ...policies.open_policy import MODELS
from ...policies.scripted import SCRIPTED
from ..measures.measures import MEASURES
from ..report.format import Report, failure_lines, markdown_table, plain, signed

__all__ = ["page", "report_text"]

SHOWN = {
    "em": "EM", "pass@4": "pass@4", "f1": "F1", "evidence_recall": "evidence recall", "all_hops": "all hops",
    "breadth": "breadth", "unique_query_ratio": "distinct queries", "semantic_query_entropy": "semantic entropy",
    "query_token_entropy": "token entropy", "searches": "searches", "valid_actions": "valid turns",
}  # fmt: skip


def _table(rows: Sequence[Report]) -> str:
    header = ["policy", "retrieval", *SHOWN.values(), "questions"]
    return markdown_table(
        header,
        [
            [
                row["policy"],
                row["retrieval"],
                *(plain(row["measures"].get(name)) for name in SHOWN),
                f"{row['questions']} x {row['samples'] * len(row['seeds'])}",
            ]
            for row in rows
        ],
    )


def _gains(report: Report, name: str) -> str:
    rows = [
        [gain["policy"], gain["retrieval"], signed(gain["gain"]["em"]), signed(gain["gain"]["f1"])]
        for gain in report["gains"]
        if gain["set"] == name
    ]
    return markdown_table(["policy", "retrieval", "EM minus closed book", "F1 minus closed book"], rows)


def _floors(report: Report) -> str:
    rows = [
        [row["set"], row["policy"], row["retrieval"], signed(row["gain"]["em"]), signed(row["gain"]["f1"]),
         str(row["questions"])]
        for row in report["floors"]
    ]  # fmt: skip
    return markdown_table(["set", "floor", "its retrieval", "agent's EM minus its", "F1", "questions"], rows)


def _agent(report: Report) -> str:
    """The agent's own rows with BM25."""
    rows = [row for row in report["rows"] if (row["policy"], row["retrieval"]) == ("smollm2-search", "bm25")]
    heads = ("em", "pass@4", "f1", "evidence_recall", "breadth", "unique_query_ratio", "searches", "valid_actions")
    return markdown_table(
        ["set", *(SHOWN[name] for name in heads)],
        [[row["set"], *(plain(row["measures"].get(name)) for name in heads)] for row in rows],
    )


def _sets(report: Report) -> list[str]:
    return list(dict.fromkeys(row["set"] for row in report["rows"]))


def _policies(report: Report) -> str:
    names = dict.fromkeys(row["policy"] for row in report["rows"])
    known = {name: policy.summary for name, policy in SCRIPTED.items()} | MODELS
    known["oracle"] += "; knows the answer, too, so its EM says nothing about retrieval"
    return "\n".join(f"- {name}: {known.get(name, 'a language model')}" for name in names)


def _no_width(report: Report) -> str:
    """What ±0.000 does not mean: the rule of three for each number of questions."""
    counts = sorted({row["questions"] for row in report["rows"]})
    bounds = ", ".join(f"{3 / count:.2g} of {count}" for count in counts)
    return (
        "±0.000 means that all n questions here gave the same value. Of other questions, up to 3 / n may give another "
        f"value, at 95 % ({bounds})."
    )


def _state(report: Report) -> str:
    cells = report["cells"]
    lines = [f"{cells['done']} cells done, {len(cells['failed'])} failed, {cells['not_run']} not run."]
    return "\n".join([*lines, *failure_lines(cells["failed"])])


def _body(report: Report) -> list[str]:
    parts = []
    for name in _sets(report):
        parts += [f"## {name}", _table([row for row in report["rows"] if row["set"] == name]), _gains(report, name)]
    return parts


def report_text(report: Report) -> str:
    """The terminal text of a run."""
    return "\n\n".join([f"real corpora, scale {report['scale']}: {_state(report)}", *_body(report)])


def page(report: Report) -> str:
    """docs/real_corpora.md."""
    meanings = "\n".join(f"- {label}: {MEASURES[name].meaning}" for name, label in SHOWN.items() if name in MEASURES)
    controls = "\n".join(f"- {name}: {meaning}" for name, meaning in CONTROLS.items())
    parts = [
        "# A trained agent on real corpora",
        "<!-- written by experiments/real_corpora/page.py from results/real_corpora/report.json; do not edit -->",
        "A pretrained model of 135 million parameters that learned to search ([agent.md](agent.md)), beside what it "
        "must beat: itself without retrieval, the model it was, and scripted policies. All answer the same held-out "
        "questions of each set, sampled at temperature 1, by the rules that the agent was trained under. ± is half of "
        "the 95 % interval over resampled questions, brackets are the whole interval; differences are paired by "
        "question. Greedily it answers more: its [model card](../policies/kept/smollm2_search/README.md) has 300 "
        "questions of each set.",
        f"## The agent\n\n{_agent(report)}\n\n{_floors(report)}",
        f"Command: `{report['command']}`. {_state(report)}",
        _no_width(report),
        f"Policies; only smollm2-search was trained:\n\n{_policies(report)}",
        f"Controls:\n\n{controls}",
        f"Measures:\n\n{meanings}\n- pass@4: at least one of 4 rollouts is right (unbiased estimate)",
        *_body(report),
    ]
    return "\n\n".join(parts) + "\n"
