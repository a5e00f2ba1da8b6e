"""The audit as lines of a terminal, at most 100 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from ...retrieval_index.plain_text import counted, safe_text
from .audit import Audit
from .duplicates import NEAR

__all__ = ["COVERAGE_PAPER", "audit_lines", "bound_text"]

COVERAGE_PAPER = "arXiv 2605.27881"
"""Argues that coverage of the corpus outweighs the choice of the algorithm."""

_NAME, _WIDTH = 36, 100


def audit_lines(audit: Audit, *, examples: int = 5) -> Iterator[str]:
    """The lines of an audit.

    Args:
        audit: what was found.
        examples: so many of each kind of finding are named.
    """
    coverage, support, duplicates = audit.coverage, audit.support, audit.duplicates
    yield f"{counted(coverage.questions, 'question')}, {counted(audit.passages, 'passage')}"
    yield ""
    yield _share("answer in some passage", coverage.found, coverage.open)
    yield from _named("no passage has the answer of", coverage.absent, examples)
    if coverage.open < coverage.questions:
        yield _count("answer yes, no or without words", coverage.questions - coverage.open, "not looked for")
    if support.questions:
        yield _share("support in the corpus, by id", support.by_id, support.questions)
        if support.by_title:
            yield _share("  further ones, by title only", support.by_title, support.questions)
        yield _share("answer in the supporting passages", support.answered, support.open)
        missing = [f"{row.question} ({row.title or row.passage})" for row in support.missing]
        yield _count("supporting passages missing", len(missing))
        yield from _named("question (passage)", missing, examples)
    else:
        yield _count("questions that name their support", 0)
    yield _count("exact duplicates of a passage", len(duplicates.exact))
    yield from _named("first = duplicate", [f"{a} = {b}" for a, b in duplicates.exact], examples)
    least = "" if duplicates.whole else "at least; too many to compare all"
    yield _count(f"near duplicates ({NEAR:.0%} of word runs)", len(duplicates.near), least)
    yield from _named("first ~ duplicate", [f"{a} ~ {b} ({share:.2f})" for a, b, share in duplicates.near], examples)
    leaks = [f"{leak.kind}: {' '.join(leak.first)} and {' '.join(leak.second)}" for leak in audit.split_leaks]
    yield _count("questions that are in two splits", len(leaks))
    yield from _named("", leaks, examples)
    asked = [f"{question} in {passage}" for question, passage in audit.asked]
    yield _count("questions whose text is in a passage", len(asked))
    yield from _named("question in passage", asked, examples)
    if coverage.absent:
        yield ""
        yield from textwrap.wrap(bound_text(coverage.bound, len(coverage.absent), coverage.questions), _WIDTH)


def bound_text(bound: float, absent: int, questions: int) -> str:
    """The line that says how far accuracy can go on a corpus."""
    return (
        f"Coverage bounds accuracy at {bound:.3f}: the answer of {absent} of {counted(questions, 'question')} is in no "
        f"passage. No policy can copy it, whatever trains it, so add passages first ({COVERAGE_PAPER})."
    )


def _share(name: str, part: int, whole: int) -> str:
    return f"{name:<{_NAME}} {part:>9,} of {whole:>9,}  {part / whole:>7.1%}" if whole else _count(name, 0)


def _count(name: str, number: int, note: str = "") -> str:
    return f"{name:<{_NAME}} {number:>9,}{f'  ({note})' if note else ''}"


def _named(what: str, rows: Sequence[str], examples: int) -> Iterator[str]:
    """The first rows, indented; `--json` has all of them."""
    for row in rows[:examples]:
        yield f"    {what}{': ' if what else ''}{safe_text(row)}"
    if 0 < examples < len(rows):
        yield f"    ... and {len(rows) - examples:,} more, see --json"
