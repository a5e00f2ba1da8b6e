"""Question files: JSONL in the layout of docs/data.md, and the folder they are kept in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..retrieval_index.corpus import read_jsonl
from ..retrieval_index.errors import BerrypickError
from .questions import Question

__all__ = ["QuestionError", "data_folder", "read_questions"]


class QuestionError(BerrypickError):
    """A question line that is not valid; the message names file and line."""


def data_folder(name: str) -> Path:
    """The folder of a data set below BERRYPICK_DATA."""
    root = os.environ.get("BERRYPICK_DATA")
    if not root:
        raise BerrypickError(
            f"{name} needs its data: set BERRYPICK_DATA to the folder that holds {name}/corpus.jsonl.gz and "
            f"{name}/questions.jsonl, or pass data=FOLDER"
        )
    folder = Path(root) / name
    if not folder.is_dir():
        raise BerrypickError(f"no folder {folder}; set BERRYPICK_DATA to the folder that holds {name}/")
    return folder


def read_questions(path: Path, titles: Mapping[str, str]) -> dict[str, tuple[Question, ...]]:
    """Reads questions by split.

    A line is {"id", "question", "golden_answers", "metadata"}; `metadata.supporting_ids` become the evidence, one
    hop each, and `metadata.split` the split ("test" where absent).

    Args:
        path: JSONL, plain or .gz.
        titles: passage id to title, of the corpus the questions are asked over.

    Raises:
        QuestionError: with file and line, for a missing or mistyped field, a duplicate id, or a supporting passage
            that the corpus does not hold.
    """
    splits: dict[str, list[Question]] = {}
    seen: set[str] = set()
    for number, line in read_jsonl(path):
        question = _question(f"{path}:{number}", line, titles)
        if question.id in seen:
            raise QuestionError(
                f"{path}:{number}: duplicate question id {question.id!r}; give each question its own id"
            )
        seen.add(question.id)
        splits.setdefault(question.split, []).append(question)
    if not splits:
        raise QuestionError(f"{path}: no questions; give a JSONL file with one question a line")
    return {split: tuple(questions) for split, questions in splits.items()}


def _question(where: str, line: Mapping[str, Any], titles: Mapping[str, str]) -> Question:
    metadata = line.get("metadata", {})
    if not isinstance(metadata, dict):
        raise QuestionError(f"{where}: metadata must be an object")
    for name in ("id", "question"):
        if not isinstance(line.get(name), str) or not line[name].strip():
            raise QuestionError(f"{where}: {name} must be a text that is not empty")
    answers = line.get("golden_answers")
    if not isinstance(answers, list) or not answers or not all(isinstance(answer, str) for answer in answers):
        raise QuestionError(f"{where}: golden_answers must be a list of texts, at least one")
    supporting = metadata.get("supporting_ids") or []
    missing = [passage for passage in supporting if passage not in titles]
    if missing:
        raise QuestionError(
            f"{where}: supporting passage {missing[0]!r} is not in the corpus; give the corpus of these questions"
        )
    return Question(
        id=line["id"],
        text=line["question"],
        answers=tuple(answers),
        evidence=(tuple(frozenset([passage]) for passage in supporting),) if supporting else (),
        split=str(metadata.get("split", "test")),
        metadata={**metadata, "supporting_titles": [titles[passage] for passage in supporting]},
    )
