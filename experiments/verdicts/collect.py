"""The published systems, their tests T1 to T12, and what results/ holds of each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...retrieval_index.errors import BerrypickError
from ..report.format import Report
from ..runs.run_folder import stored_json

__all__ = ["HEADLINE", "SYSTEMS", "TESTS", "System", "claims_of", "is_of_paper", "place_of", "published_reports"]

HEADLINE = "diversity_tax"
"""The experiment of the suite's own question; it holds claims of several papers, too."""


@dataclass(frozen=True, slots=True)
class System:
    """A published system.

    Attributes:
        name: of its experiment.
        title: as its paper calls it.
        papers: arXiv ids.
        ours: ids of claims that were registered under a paper's name though it does not make them; the experiment's
            Corrections say so.
    """

    name: str
    title: str
    papers: str
    ours: frozenset[str] = frozenset()


SYSTEMS: tuple[System, ...] = (
    System("outcome_exploration", "outcome-based exploration", "2509.06941"),
    System("darling", "DARLING", "2509.02534"),
    System("vector_policy", "Vector Policy Optimization", "2605.22817"),
    System("squeeze", "RL squeezes, SFT expands", "2509.21128, 2604.14877"),
    System("echo_chamber", "Echo Chamber", "2504.07912"),
    System("preference_tuning", "preference tuning and effective diversity", "2504.12522"),
    System("critique_loop", "critique in the loop", "2411.16579"),
    System("multiagent_finetuning", "multiagent finetuning", "2501.05707"),
    System(
        "hivemind",
        "Artificial Hivemind",
        "2510.22954",
        frozenset(("priced-floor", "steep-floor", "cue-floor", "priced-lost", "steep-lost", "free-lost")),
    ),
)
"""In the order in which they are tried."""

TESTS: Mapping[str, tuple[str, str]] = {
    "T1": ("RL concentrates: pass@1 rises, and right answers are found in fewer ways", HEADLINE),
    "T2": ("a bonus on outcomes of the batch diversifies unsolved questions", "outcome_exploration"),
    "T3": ("a bonus on all outcomes so far diversifies training, not its end", "outcome_exploration"),
    "T4": ("diversity that is lost on trained questions is lost on others", "outcome_exploration"),
    "T5": ("paying for rare meanings beats paying for rare words", "darling"),
    "T6": ("training on sets of answers pays the more, the more candidates there are", "vector_policy"),
    "T7": ("where all rewards are one, training on vectors gains nothing", "vector_policy"),
    "T8": ("RL makes one format of the start take over, and a KL term protects the others", "echo_chamber"),
    "T9": ("the diversity of demonstrations decides whether SFT or RL narrows", "squeeze"),
    "T10": ("critique keeps hard questions in self-training data", "critique_loop"),
    "T11": ("agents trained on their own data stay different", "multiagent_finetuning"),
    "T12": ("with quality counted, preference tuning and RL gain diversity", "preference_tuning"),
}
"""Test -> what is said, and the experiment that decides it."""


def published_reports(results: Path) -> dict[str, Report]:
    """The reports in results/ of the headline experiment and of all published systems that have one.

    Raises:
        BerrypickError: a report is damaged.
    """
    found: dict[str, Report] = {}
    for name in (HEADLINE, *(system.name for system in SYSTEMS)):
        file = results / name / "report.json"
        if file.is_file():
            try:
                found[name] = stored_json(file)
            except (OSError, ValueError) as error:
                raise BerrypickError(f"{file} is damaged ({error}); restore it") from error
    return found


def claims_of(reports: Mapping[str, Report], test: str) -> list[tuple[str, Report, Report | None]]:
    """The claims of a test: (experiment, row of the verdict, row of the checks of room or None)."""
    out = []
    for name, report in reports.items():
        checked = {row["id"]: row for row in (*report["registration"], *report.get("language_rooms", ()))}
        for row in report["verdicts"]:
            if re.search(rf"\b{test}\b", row["claim"]["source"]):
                out.append((name, row, checked.get(row["claim"]["id"])))
    return out


def is_of_paper(name: str, row: Report) -> bool:
    """Whether a claim of an experiment is one that a paper makes: its source is an arXiv id, and it is no control."""
    source: str = row["claim"]["source"]
    ours = any(system.name == name and row["claim"]["id"] in system.ours for system in SYSTEMS)
    return source[:1].isdigit() and "control" not in source and not ours


def place_of(report: Report) -> str:
    """The condition whose arms stand for an experiment: the first with an exact frontier, else the first."""
    conditions: Mapping[str, Report] = report["conditions"]
    with_frontier: Sequence[str] = [name for name, one in conditions.items() if one.get("frontier")]
    return (with_frontier or list(conditions))[0]
