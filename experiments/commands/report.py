"""`berrypick report`: run folders and rollouts files to a screen, a JSON document and a page."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ...envs.record import EpisodeRecord, RecordError
from ...policies.open_policy import open_policy, require_training
from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.plain_text import safe_text
from ...retrieval_index.store import open_searcher
from ..measures.arms_report import measure_arms
from ..measures.by_step import series_by_step
from ..measures.coverage import stored_coverage
from ..measures.cross_scores import FirstTurns, add_question_information
from ..measures.likeness import likeness
from ..measures.score_again import score_again
from ..measures.search_again import search_again
from ..measures.sweep import measure_sweep
from ..report.arms import LoadedArms, load_rollouts, stored_report
from ..report.episode_sample import PAGE_CHARS
from ..report.page import report_closing, sweep_closing, write_page, write_series_page, write_sweep_page
from ..report.page_file import check_page_file
from ..report.series import print_series
from ..report.sweep import print_sweep
from ..report.sweep_folder import SweepFolder, evaluated_cells, sweep_folder
from ..report.terminal import print_report
from ..runs.progress_of_run import trained_by
from .json_output import print_json
from .rollout_flags import Report
from .row_map import parse_row_map, source_text

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
    if flags.html is not None and flags.no_html:
        raise BerrypickError("--html and --no-html contradict each other; give one of them")
    if flags.html is not None:
        check_page_file(flags.html, flags.paths)  # before the measures, which can take minutes
    sweep = sweep_folder(flags.paths[0]) if len(flags.paths) == 1 else None
    with_page = flags.html is not None or not (flags.no_html or flags.json)
    if sweep is not None and not (flags.by == "step" or evaluated_cells(flags.paths[0])):
        return _sweep(flags, sweep, LoadedArms({}, {}, {}), with_page)
    with _changes(flags) as changes:
        loaded = load_rollouts(
            flags.paths,
            skip_bad=not flags.strict,
            format=flags.format or None,
            mapping=parse_row_map(flags.map),
            episode_chars=PAGE_CHARS if with_page else 0,
            change=changes.change,
        )
        if changes.policy is not None:
            add_question_information([*zip(loaded.rollouts.values(), changes.first_turns)], changes.policy)
    for source in loaded.sources.values():
        if flags.strict and source.num_missing:
            raise RecordError(f"{source.path}: {source.whole.missing_text()}; give the whole file, or omit --strict")
        sys.stderr.write(source_text(source))
    if flags.by == "step":
        return _by_step(flags, loaded, with_page)
    return _by_arm(flags, loaded, with_page) if sweep is None else _sweep(flags, sweep, loaded, with_page)


def _sweep(flags: Report, sweep: SweepFolder, loaded: LoadedArms, with_page: bool) -> int:
    folder = flags.paths[0]
    report = measure_sweep(sweep.cells(), sweep.failures, loaded.rollouts)
    page, why = None, ""
    if with_page:
        page, why = write_sweep_page(folder, loaded.episodes, report, flags.html)
    if flags.json:
        print_json(report)
    else:
        print_sweep(folder, report, sweep_closing(folder, sweep, page, why))
    return 0


def _by_arm(flags: Report, loaded: LoadedArms, with_page: bool) -> int:
    for name, rollouts in loaded.rollouts.items():
        if (steps := len({rollout.checkpoint_step for rollout in rollouts})) > 1:
            sys.stderr.write(
                safe_text(f"{name}: {steps} checkpoint steps are measured together; --by step keeps them apart\n")
            )
    report = measure_arms(loaded.rollouts)
    for name, source in loaded.sources.items():
        if source.own:
            continue  # what a measure needs says more than what the file lacks
        absent = report["arms"][name]["absent"]
        absent.update((key, reason) for key, reason in source.absent.items() if key in absent)
    how = {name: trained_by(Path(source.path).parent) for name, source in loaded.sources.items()}
    if known := {name: text for name, text in how.items() if text}:
        report["trained"] = known
    if len(loaded.rollouts) > 1 and (alike := likeness(loaded.rollouts)):
        report["likeness"] = alike
    if left_out := _left_out(loaded):
        report["lines_left_out"] = left_out
    if coverage := stored_coverage(flags.paths):
        report["coverage"] = coverage
    if missing := sum(source.num_missing for source in loaded.sources.values()):
        report["rollouts_missing"] = missing
    page, why = None, ""
    if with_page:
        page, why = write_page(flags.paths, loaded.episodes, report, flags.html)
    if flags.json:
        print_json(report)
    else:
        print_report(flags.paths, report, report_closing(flags.paths, page, why))
    return 0


def _by_step(flags: Report, loaded: LoadedArms, with_page: bool) -> int:
    series, left_out = series_by_step(loaded.rollouts), _left_out(loaded)
    page, why = None, ""
    if with_page:
        total = sum(map(len, loaded.rollouts.values()))
        page, why = write_series_page(flags.paths, loaded.episodes, series, total, flags.html, left_out=left_out)
    if flags.json:
        print_json({"series": series, "lines_left_out": left_out})
    else:
        print_series(series, report_closing(flags.paths, page, why))
    return 0


def _left_out(loaded: LoadedArms) -> int:
    return sum(source.num_skipped for source in loaded.sources.values())


class _Changes(NamedTuple):
    """What --index and --policy do to the records of an arm before they are measured.

    Attributes:
        change: changes the records of the next arm.
        policy: the policy of --policy.
        first_turns: for each arm that was read, the turns to score under other questions; empty without a policy.
    """

    change: Callable[[Iterator[EpisodeRecord]], Iterator[EpisodeRecord]]
    policy: LanguageModelPolicy | None
    first_turns: list[FirstTurns]


@contextmanager
def _changes(flags: Report) -> Iterator[_Changes]:
    policy = _open_scorer(flags.policy) if flags.policy else None
    first_turns: list[FirstTurns] = []
    with closing(open_searcher(flags.index)) if flags.index else nullcontext() as searcher:

        def change(records: Iterator[EpisodeRecord]) -> Iterator[EpisodeRecord]:
            if searcher is not None:
                records = search_again(records, searcher)
            if policy is None:
                return records
            first_turns.append(FirstTurns())
            return score_again(first_turns[-1].watch(records), policy)

        yield _Changes(change, policy, first_turns)


def _open_scorer(name: str) -> LanguageModelPolicy:
    require_training("berrypick report --policy")
    from ...policies.language.model import LanguageModelPolicy

    policy = open_policy(name)
    if not isinstance(policy, LanguageModelPolicy):
        raise BerrypickError(f"--policy {name} has no token probabilities; give a run folder or weights")
    return policy
