"""`berrypick report`: run folders and rollouts files to a screen, a JSON document and a page."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from typing import TYPE_CHECKING

from ...envs.record import EpisodeRecord
from ...policies.open_policy import open_policy, require_training
from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.plain_text import safe_text, skipped_text
from ...retrieval_index.store import open_searcher
from ..measures.arms_report import measure_arms
from ..measures.by_step import series_by_step
from ..measures.score_again import score_again
from ..measures.search_again import search_again
from ..report.arms import LoadedArms, load_rollouts, stored_report
from ..report.html import QUESTIONS_SHOWN, html_page
from ..report.page_file import check_page_file, write_page_file
from ..report.series import print_series
from ..report.terminal import print_report
from .flags import Report
from .json_output import print_json

if TYPE_CHECKING:
    from ...policies.language.model import LanguageModelPolicy

__all__ = ["run_report"]


def run_report(flags: Report) -> int:
    """Prints the measures of the paths; the folder of an experiment already has its report."""
    if not flags.paths:
        raise BerrypickError("berrypick report needs at least one run folder or rollouts file")
    if len(flags.paths) == 1 and (stored := stored_report(flags.paths[0])) is not None:
        if flags.html is not None:
            raise BerrypickError(f"{flags.paths[0]} is the folder of an experiment, which has no page; omit --html")
        if flags.json:
            print_json(stored)
        else:
            sys.stdout.write(safe_text(stored["text"]).rstrip("\n") + "\n")
        return 0
    if flags.by == "step" and flags.html is not None:
        raise BerrypickError("a report by step has no page yet; omit --html or --by")
    if flags.html is not None:
        check_page_file(flags.html, flags.paths)  # before the measures, which can take minutes
    skipped: list[str] | None = [] if flags.skip_bad else None
    questions = QUESTIONS_SHOWN if flags.html else 0
    with _changes(flags) as change:
        loaded = load_rollouts(flags.paths, skipped, questions=questions, change=change)
    if flags.by == "step":
        return _by_step(flags, loaded, skipped)
    report = measure_arms(loaded.rollouts)
    if skipped:
        report["lines_left_out"] = len(skipped)
    sys.stderr.write(skipped_text(skipped or []))
    if flags.html is not None:
        write_page_file(flags.html, html_page(loaded.episodes, report))
    if flags.json:
        print_json(report)
    else:
        print_report(flags.paths, report)
    return 0


def _by_step(flags: Report, loaded: LoadedArms, skipped: list[str] | None) -> int:
    series = series_by_step(loaded.rollouts)
    sys.stderr.write(skipped_text(skipped or []))
    if flags.json:
        print_json({"series": series, "lines_left_out": len(skipped or [])})
    else:
        print_series(series)
    return 0


_Change = Callable[[Iterator[EpisodeRecord]], Iterator[EpisodeRecord]]


@contextmanager
def _changes(flags: Report) -> Iterator[_Change]:
    """What --index and --policy do to the records before they are measured."""
    policy = _open_scorer(flags.policy) if flags.policy else None
    with closing(open_searcher(flags.index)) if flags.index else nullcontext() as searcher:

        def change(records: Iterator[EpisodeRecord]) -> Iterator[EpisodeRecord]:
            if searcher is not None:
                records = search_again(records, searcher)
            return records if policy is None else score_again(records, policy)

        yield change


def _open_scorer(name: str) -> LanguageModelPolicy:
    require_training("berrypick report --policy")
    from ...policies.language.model import LanguageModelPolicy

    policy = open_policy(name)
    if not isinstance(policy, LanguageModelPolicy):
        raise BerrypickError(f"--policy {name} has no token probabilities; give a run folder or weights")
    return policy
