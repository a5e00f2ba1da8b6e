"""`berrypick report`: measures of run folders and rollouts files, compared where there are several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...envs.record import EpisodeRecord
from ...envs.world.frontier import Frontier
from ..measures.exact_rows import ExactRows, exact_rows
from ..measures.paired import compare
from ..measures.same_questions import check_same_questions
from ..measures.summary import summarize
from .arms import load_arms
from .terminal import difference_lines, final_screen, report_console

__all__ = ["Reported", "print_report", "read_report", "report_arms"]

Arms = Mapping[str, list[EpisodeRecord]]


@dataclass(frozen=True)
class Reported:
    """Rollouts by arm and what is said of them; the frontier is of their questions, where they are World's."""

    arms: Arms
    report: dict[str, Any]
    frontier: Frontier | None

    def page(self) -> str:
        """The self-contained HTML page."""
        from .html import html_page

        return html_page(self.arms, self.report, self.frontier)


def read_report(paths: Sequence[Path], skipped: list[str] | None = None) -> Reported:
    """All measures of all arms, and paired differences of each arm to the first.

    Args:
        paths: run folders and rollouts files.
        skipped: where given, bad lines are left out and their messages put here; the report counts them.
    """
    arms = load_arms(paths, skipped)
    found = _reported(arms)
    if skipped:
        found.report["lines_left_out"] = len(skipped)
    return found


def report_arms(arms: Arms) -> dict[str, Any]:
    """The same for records in memory; World's exact rows stand beside them where they hold."""
    check_same_questions(arms)
    return _reported(arms).report


def _reported(arms: Arms) -> Reported:
    exact = _exact(arms)
    front = None if isinstance(exact, str) else exact.frontier
    summaries = {name: summarize(records, frontier=front) for name, records in arms.items()}
    base, first = next(iter(arms.items()))
    differences = {f"{name} - {base}": compare(first, records) for name, records in arms.items() if name != base}
    report = {"arms": summaries, "differences": differences}
    if isinstance(exact, str):
        return Reported(arms, {**report, "no_frontier": exact}, None)
    return Reported(arms, {**report, "references": exact.references, "frontier": exact.as_json()}, exact.frontier)


def _exact(arms: Arms) -> ExactRows | str:
    if len({frozenset(record.question.id for record in records) for records in arms.values()}) > 1:
        return (
            "no exact frontier here: it is of one set of questions, and these arms differ in theirs; report them apart"
        )
    return exact_rows([record for records in arms.values() for record in records], _largest_k(arms))


def _largest_k(arms: Arms) -> int:
    """The largest k that every question of every arm has samples for."""
    size = min(min(Counter(record.question.id for record in records).values()) for records in arms.values())
    return max(k for k in (1, 2, 4, 8) if k <= size)


def print_report(paths: Sequence[Path], report: dict[str, Any]) -> None:
    """Prints the screen of what `read_report` said of these paths to standard output."""
    notes = difference_lines(report["differences"], ("em", "pass@8", "breadth", "query_token_entropy"))
    notes += _absent(report["arms"])
    if "no_frontier" in report and any("pass@1_plan" in arm["measures"] for arm in report["arms"].values()):
        notes.append(report["no_frontier"])
    if "lines_left_out" in report:
        notes.append(f"bad lines left out: {report['lines_left_out']}")
    final_screen(
        report_console(),
        "berrypick report: " + ", ".join(map(str, paths)),
        report["arms"],
        references=report.get("references"),
        notes=notes,
        differences=report["differences"],
    )


def _absent(arms: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Which measures no arm has, and which a single one lacks."""
    every = {name: set(arm["absent"]) for name, arm in arms.items()}
    everywhere = set.intersection(*every.values())
    lines = [f"absent, for want of columns or samples: {', '.join(sorted(everywhere))}"] if everywhere else []
    return lines + [
        f"absent in {name}: {', '.join(sorted(absent - everywhere))}"
        for name, absent in every.items()
        if absent - everywhere
    ]
