"""`berrypick data get` and `berrypick data check`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.plain_text import counted, safe_text
from ..answers import normalize
from ..questions import Question
from .leaks import find_leaks
from .upstream import read_dataset

__all__ = ["DataCheck", "DataGet"]


@dataclass(frozen=True)
class DataGet:
    """Downloads a public question set, with checksums, into the cache folder."""

    name: Annotated[str, tyro.conf.Positional]
    """hotpotqa, 2wikimultihopqa, musique, bamboogle, strategyqa, nq, triviaqa or popqa"""

    def run(self) -> int:
        """Downloads and prints the folder."""
        from .downloads import SOURCES, get_dataset

        folder = get_dataset(self.name)
        sys.stdout.write(f"{folder}\n")
        if not SOURCES[self.name].carries_passages:
            sys.stderr.write(
                f"{self.name} has questions only: put a corpus.jsonl into the same folder, or give the environment "
                "index=URL of a /retrieve server or index=FOLDER of an index\n"
            )
        return 0


@dataclass(frozen=True)
class DataCheck:
    """Reads question files and reports questions that occur in more than one split or file."""

    questions: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(help_behavior_hint="(at least one)")]
    """question files in any known format"""
    corpus: Path | None = None
    """their corpus, if the question files contain no passages; without it, evidence is not compared"""
    skip_bad: bool = False
    """leave out bad records and list them"""
    json: bool = False
    """print one JSON document"""

    def run(self) -> int:
        """Prints the leaks; the exit status is 1 if there is one."""
        if not self.questions:
            raise BerrypickError("give at least one question file, e.g. berrypick data check questions.jsonl")
        skipped: list[str] | None = [] if self.skip_bad else None
        sets: dict[str, tuple[Question, ...]] = {}
        formats = {}
        partial: list[str] = []
        wordless = 0
        for path in self.questions:
            dataset = read_dataset(path, self.corpus, skipped=skipped, passages_elsewhere=self.corpus is None)
            formats[str(path)] = dataset.format
            partial += dataset.partial
            wordless += sum(map(_accepts_no_words, (q for asked in dataset.questions.values() for q in asked)))
            sets |= {f"{path}:{split}": questions for split, questions in dataset.questions.items()}
        leaks = find_leaks(sets)
        if self.json:
            report = {
                "formats": formats,
                "questions": {name: len(questions) for name, questions in sets.items()},
                "skipped": skipped or [],
                "partial_evidence": partial,
                "wordless_answers": wordless,
                "leaks": [asdict(leak) for leak in leaks],
            }
            sys.stdout.write(json.dumps(report, indent=1, sort_keys=True) + "\n")
            return 1 if leaks else 0
        for file, recognised in formats.items():
            sys.stdout.write(f"{file}: {recognised}\n")
        for name, questions in sets.items():
            sys.stdout.write(f"{name}: {counted(len(questions), 'question')}\n")
        if partial:
            sys.stdout.write(
                f"evidence unknown: {counted(len(partial), 'record')} with a supporting passage that is in no known "
                f"place, the first is {safe_text(partial[0])}\n"
            )
        if wordless:
            sys.stdout.write(
                f"answers without words: {counted(wordless, 'question')}; any answer of only articles and punctuation "
                "is right there\n"
            )
        for line in skipped or []:
            sys.stdout.write(f"left out: {safe_text(line)}\n")
        for leak in leaks:
            sys.stdout.write(f"{leak.kind}: {' '.join(leak.first)} and {' '.join(leak.second)}\n")
        sys.stdout.write(f"{counted(len(leaks), 'leak')}\n")
        return 1 if leaks else 0


def _accepts_no_words(question: Question) -> bool:
    return any(not normalize(answer) for answer in question.answers)
