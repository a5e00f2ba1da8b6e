"""Question files in the layout of docs/data.md, and the folders where data sets and indexes are stored."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ...retrieval_index.corpus import has_lone_surrogate, id_of, read_jsonl
from ...retrieval_index.errors import BerrypickError
from ..questions import Question

__all__ = ["QuestionError", "cache_folder", "data_folder", "questions_from_lines", "read_questions", "set_folder"]


logger = logging.getLogger(__name__)

_OTHER_KEYS = ("supporting_ids", "supporting_titles", "supporting_facts")
"""Keys of data sets that name evidence, or name it otherwise."""


class QuestionError(BerrypickError):
    """An invalid line of a question file; the message names file and line."""


def cache_folder() -> Path:
    """The folder of indexes and downloaded sets: BERRYPICK_CACHE, or ~/.cache/berrypick."""
    return Path(os.environ.get("BERRYPICK_CACHE") or Path.home() / ".cache" / "berrypick")


def data_folder(name: str) -> Path:
    """The folder of a data set: below BERRYPICK_DATA, otherwise the download of `berrypick data get`."""
    root = os.environ.get("BERRYPICK_DATA")
    if root and (Path(root) / name).is_dir():
        return Path(root) / name
    downloaded = cache_folder() / "data" / name
    if downloaded.is_dir():
        return downloaded
    if root:
        raise BerrypickError(f"no folder {Path(root) / name}; set BERRYPICK_DATA to the folder that holds {name}/")
    raise BerrypickError(
        f"{name} needs its data: set BERRYPICK_DATA to the folder that holds {name}/corpus.jsonl.gz and "
        f"{name}/questions.jsonl, pass data=FOLDER, or try `berrypick data get {name}`"
    )


def set_folder(name: str) -> Path:
    """The folder of a question set that a user names: the folder itself, or see `data_folder`."""
    return Path(name) if Path(name).is_dir() else data_folder(name)


def read_questions(
    path: Path, titles: Mapping[str, str], *, skipped: list[str] | None = None
) -> dict[str, tuple[Question, ...]]:
    """Reads questions by split.

    A line is {"id", "question", "golden_answers", "metadata"}. Each of `metadata.supporting_ids` becomes one hop of the
    evidence. `metadata.split` is the split, by default "test".

    Args:
        path: JSONL, plain or .gz.
        titles: passage id -> title, of the corpus of these questions.
        skipped: if given, bad lines are left out and their errors are added to this list.

    Raises:
        QuestionError: with file and line, for bad JSON, a missing, empty or mistyped field, a lone surrogate, a
            duplicate id, or a supporting passage that is not in the corpus.
    """
    lines = ((f"{path}:{number}", line) for number, line in read_jsonl(path, skipped=skipped))
    return questions_from_lines(path, lines, titles, skipped)


def questions_from_lines(
    path: Path, lines: Iterable[tuple[str, Mapping[str, Any]]], titles: Mapping[str, str], skipped: list[str] | None
) -> dict[str, tuple[Question, ...]]:
    """Checks lines of our layout, each with its file and line number, and sorts them by split; see `read_questions`."""
    splits: dict[str, list[Question]] = {}
    seen: set[str] = set()
    unread: dict[str, str] = {}  # keys with lists, of questions without evidence, and where each is first
    for where, line in lines:
        try:
            question = _question(where, line, titles)
            for key in () if question.evidence else _lists(question.metadata):
                unread.setdefault(key, where)
            if question.id in seen:
                raise QuestionError(f"{where}: duplicate question id {question.id!r}; give each question its own id")
        except QuestionError as error:
            if skipped is None:
                raise
            skipped.append(str(error))
            continue
        seen.add(question.id)
        splits.setdefault(question.split, []).append(question)
    for key in get_close_matches("supporting_ids", unread, cutoff=0.75):
        logger.warning("%s: metadata.%s is not read; evidence is read from metadata.supporting_ids", unread[key], key)
    if not splits:
        raise QuestionError(f"{path}: no questions; give a JSONL file with one question a line")
    return {split: tuple(questions) for split, questions in splits.items()}


def _lists(metadata: Mapping[str, Any]) -> list[str]:
    """Keys of lists that are not known to be evidence by another name."""
    return [key for key, value in metadata.items() if isinstance(value, list) and key not in _OTHER_KEYS]


def _question(where: str, line: Mapping[str, Any], titles: Mapping[str, str]) -> Question:
    metadata = line.get("metadata")
    if metadata is None:
        metadata = {}
    if not isinstance(metadata, dict):
        raise _bad(where, "metadata must be an object")
    key = id_of(line)
    for name, value in (("id", key), ("question", line.get("question"))):
        _check_text(where, name, value)
    answers = line.get("golden_answers")
    if not isinstance(answers, list) or not answers:
        raise _bad(where, "golden_answers must be a list of texts, at least one")
    for answer in answers:
        _check_text(where, "each of golden_answers", answer)
    split = metadata.get("split", "test")
    _check_text(where, "metadata.split", split)
    if has_lone_surrogate(metadata):
        raise _bad(where, "metadata contains a lone surrogate")
    paths = evidence_paths(where, metadata, titles)
    return Question(
        id=str(key),
        text=line["question"],
        answers=tuple(answers),
        evidence=tuple(tuple(frozenset([passage]) for passage in path) for path in paths),
        split=split,
        metadata={**metadata, "supporting_titles": [titles[passage] for passage in (paths[0] if paths else ())]},
    )


def evidence_paths(where: str, metadata: Mapping[str, Any], titles: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    """The passages of each known path to the answer: `supporting_ids` first, then those of other annotators.

    Raises:
        QuestionError: not a list of texts, or a passage that is not in the corpus.
    """
    lists = [metadata.get("supporting_ids") or [], *(metadata.get("supporting_ids_by_annotator") or [])]
    paths: dict[tuple[str, ...], None] = {}
    for supporting in lists:
        if isinstance(supporting, list):
            supporting = [id_of({"id": passage}) for passage in supporting]
        if not isinstance(supporting, list) or not all(isinstance(passage, str) for passage in supporting):
            raise _bad(where, "metadata.supporting_ids must be a list of passage ids")
        for passage in supporting:
            if passage not in titles:
                raise QuestionError(
                    f"{where}: supporting passage {passage!r} is not in the corpus; give the corpus of these questions"
                )
        if supporting:
            paths[tuple(supporting)] = None
    return tuple(paths)


def _check_text(where: str, name: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise _bad(where, f"{name} must be a text that is not empty")
    if has_lone_surrogate(value):
        raise _bad(where, f"{name} contains a lone surrogate")


def _bad(where: str, reason: str) -> QuestionError:
    return QuestionError(f"{where}: {reason}; fix the line, or leave such lines out with --skip-bad")
