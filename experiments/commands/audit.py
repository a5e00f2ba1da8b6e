"""`berrypick index audit`: what a corpus can answer, as lines or as JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ...envs.answers import check_scoring
from ...envs.audit import AuditedQuestions, audit_lines, audit_passages, audited_questions, corpus_stream, of_task
from ...retrieval_index.bounds import flags_at_least
from ...retrieval_index.corpus import Passage
from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.plain_text import safe_text, skipped_text
from ...retrieval_index.store import index_folder, open_table, read_manifest
from .audit_flags import IndexAudit
from .env_arguments import open_task
from .json_output import print_json

__all__ = ["run_audit"]

_Stream = Callable[[], Iterable[Passage]]


def run_audit(flags: IndexAudit) -> int:
    """Audits; the exit status is 1 if a supporting passage is missing or a question leaks."""
    flags_at_least(0, flags, "examples")
    check_scoring(flags.scoring)
    skipped: list[str] | None = [] if flags.skip_bad else None
    questions, passages, total = _open(flags, skipped)
    with _progress(total) as advance:
        audit = audit_passages(questions, passages, scoring=flags.scoring, progress=advance)
    sys.stderr.write(skipped_text(list(dict.fromkeys(skipped or []))))
    if flags.json:
        print_json(audit.as_json())
    else:
        sys.stdout.write("".join(f"{safe_text(line)}\n" for line in audit_lines(audit, examples=flags.examples)))
    return int(bool(audit.support.missing or audit.split_leaks or audit.asked))


def _open(flags: IndexAudit, skipped: list[str] | None) -> tuple[AuditedQuestions, _Stream, int | None]:
    """The questions, the passages and their number, if it is known."""
    if flags.env:
        if flags.folder or flags.corpus or flags.questions:
            raise BerrypickError("--env brings its own questions and passages; leave out the other files")
        task = open_task(flags.env, flags.env_arg)
        if not task.passages:
            raise BerrypickError(f"{flags.env} does not hold the passages of its index; audit that index folder")
        return of_task(task), lambda: task.passages, len(task.passages)
    if flags.questions is None:
        raise BerrypickError(
            "berrypick index audit needs --questions FILE with an index folder or --corpus FILE, or --env ID"
        )
    if flags.folder and flags.corpus:
        raise BerrypickError("give an index folder or --corpus, not both")
    questions = audited_questions(flags.questions, skipped=skipped)
    if flags.folder:
        folder = index_folder(flags.folder)
        table = open_table(folder, read_manifest(folder))
        return questions, lambda: table, len(table)
    if flags.corpus:
        return questions, corpus_stream(flags.corpus, skipped), None
    if not questions.carried:
        raise BerrypickError(f"{flags.questions} contains no passages; give an index folder or --corpus FILE")
    return questions, questions.carried.values, len(questions.carried)


@contextmanager
def _progress(total: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error, hidden unless that is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("passages", total=total)
        yield lambda done: bar.advance(task, done)
