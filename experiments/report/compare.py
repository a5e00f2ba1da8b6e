"""`berrypick report`: measures of run folders and rollouts files, compared where there are several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from ...envs.record import EpisodeRecord
from ..exact_rows import ExactRows, exact_rows
from ..summary import compare, summarize
from .arms import load_arms
from .page_file import check_page_file, write_page_file
from .terminal import difference_lines, final_screen

__all__ = ["print_report", "report_arms", "report_paths", "write_page"]


def report_paths(paths: Sequence[Path]) -> dict[str, Any]:
    """All measures of all arms, and paired differences of each arm to the first."""
    return report_arms(load_arms(paths))


def report_arms(arms: dict[str, list[EpisodeRecord]]) -> dict[str, Any]:
    """The same for records in memory; World's exact rows stand beside them where they hold."""
    return _report(arms, _exact(arms))


def _exact(arms: dict[str, list[EpisodeRecord]]) -> ExactRows | str:
    every = [record for records in arms.values() for record in records]
    return exact_rows(every, _largest_k(next(iter(arms.values()))))


def _report(arms: dict[str, list[EpisodeRecord]], exact: ExactRows | str) -> dict[str, Any]:
    first = next(iter(arms.values()))
    front = None if isinstance(exact, str) else exact.frontier
    summaries = {name: summarize(records, frontier=front) for name, records in arms.items()}
    base = next(iter(arms))
    differences = {f"{name} - {base}": compare(first, records) for name, records in arms.items() if name != base}
    report = {"arms": summaries, "differences": differences}
    if isinstance(exact, str):
        return {**report, "no_frontier": exact}
    return {**report, "references": exact.references, "frontier": exact.as_json()}


def _largest_k(records: Sequence[EpisodeRecord]) -> int:
    size = len(records) // len({record.question.id for record in records})
    return max(k for k in (1, 2, 4, 8) if k <= size)


def print_report(paths: Sequence[Path], report: dict[str, Any]) -> None:
    """Prints the screen of what `report_paths` said of these paths to standard output."""
    notes = difference_lines(report["differences"], ("em", "pass@8", "breadth", "query_token_entropy"))
    absent = sorted({name for arm in report["arms"].values() for name in arm["absent"]})
    if absent:
        notes.append(f"absent, for want of columns or samples: {', '.join(absent)}")
    console = Console(width=100)
    title = "berrypick report: " + ", ".join(map(str, paths))
    final_screen(console, title, report["arms"], references=report.get("references"), notes=notes)


def write_page(paths: Sequence[Path], file: Path) -> None:
    """Writes the HTML page of run folders or rollouts files; refuses to write over them, see `page_file.py`."""
    from .html import html_page

    check_page_file(file, paths)
    arms = load_arms(paths)
    exact = _exact(arms)
    page = html_page(arms, _report(arms, exact), None if isinstance(exact, str) else exact.frontier)
    write_page_file(file, page)
