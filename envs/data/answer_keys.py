"""Reads a questions file as a key of right answers: ids with answers, and evidence where it is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...retrieval_index.corpus import has_lone_surrogate, id_of
from ..questions import answers_by_path
from ..rescoring import AnswerKey
from .evidence import complete_evidence
from .json_files import read_records_of
from .questions_file import QuestionError
from .upstream_records import FORMATS

__all__ = ["KeyedQuestion", "read_answer_keys"]


@dataclass(frozen=True, slots=True)
class KeyedQuestion:
    """The right answers of one question, and its text where the file has it."""

    key: AnswerKey
    text: str | None


def read_answer_keys(path: Path) -> dict[str, KeyedQuestion]:
    """Reads question id -> right answers.

    The file has any known question format. A shorter line is enough: {"id", "golden_answers"}. In its metadata,
    `supporting_ids` and `supporting_ids_by_annotator` are paths of evidence, `answers_by_path` are conflicting answers.
    No corpus is needed.

    Raises:
        QuestionError: with file and line, for a line without id or answers, or a duplicate id.
    """
    keys: dict[str, KeyedQuestion] = {}
    for where, record in read_records_of(path):
        line = _our_layout(where, record)
        name, answers, text = id_of(line), line.get("golden_answers"), line.get("question")
        if not isinstance(name, str) or not name:
            raise QuestionError(f"{where}: id must be a text that is not empty; fix the line")
        if not (isinstance(answers, list) and answers and all(isinstance(said, str) and said for said in answers)):
            raise QuestionError(f"{where}: golden_answers must be a list of texts, at least one; fix the line")
        if has_lone_surrogate([line.get(part) for part in ("id", "golden_answers", "question", "metadata")]):
            raise QuestionError(f"{where}: the line contains a lone surrogate; fix the line")
        if name in keys:
            raise QuestionError(f"{where}: duplicate question id {name!r}; give each question its own id")
        key = AnswerKey(tuple(answers), *_of_metadata(where, line.get("metadata") or {}))
        keys[name] = KeyedQuestion(key, text if isinstance(text, str) else None)
    if not keys:
        raise QuestionError(f"{path}: no questions; give a JSONL file with one question a line")
    return keys


def _our_layout(where: str, record: Mapping[str, Any]) -> Mapping[str, Any]:
    if id_of(record) is not None and "golden_answers" in record:
        return record
    upstream = next((known for known in FORMATS if known.recognise(record)), None)
    if upstream is None:
        raise QuestionError(f'{where}: no question; write {{"id": ..., "golden_answers": [...]}}, see docs/data.md')
    try:
        line = upstream.convert(dict(record))[0]
        complete_evidence(line, {})  # no corpus to find missing passages in
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise QuestionError(f"{where}: {upstream.name} record that cannot be read ({error!r}); fix it") from error
    return line


_Evidence = tuple[tuple[tuple[str, ...], ...], ...]


def _of_metadata(where: str, metadata: object) -> tuple[_Evidence | None, tuple[tuple[str, ...], ...]]:
    """Evidence and conflicting answers: each supporting passage is one hop."""
    if not isinstance(metadata, dict):
        raise QuestionError(f"{where}: metadata must be an object; fix the line")
    lists = [metadata.get("supporting_ids") or [], *(metadata.get("supporting_ids_by_annotator") or [])]
    if not all(isinstance(ids, list) and all(isinstance(name, str) for name in ids) for ids in lists):
        raise QuestionError(f"{where}: supporting_ids must be a list of texts; fix the line")
    paths = dict.fromkeys(tuple((name,) for name in ids) for ids in lists if ids)
    several = metadata.get("answers_by_path") or ()
    if not all(isinstance(aliases, list) and all(isinstance(said, str) for said in aliases) for aliases in several):
        raise QuestionError(f"{where}: metadata.answers_by_path must be a list of lists of texts; fix the line")
    return tuple(paths) or None, answers_by_path({"answers_by_path": several})
