"""Reads question and corpus files in our layout or in an upstream format, which it recognises by content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...retrieval_index.corpus import CorpusError, Passage, has_lone_surrogate, id_of, read_corpus
from ..questions import Question
from .evidence import complete_evidence, ids_by_title
from .json_files import read_records_of, whole_json
from .questions_file import QuestionError, questions_from_lines
from .upstream_records import FORMATS, passage_from_text

__all__ = ["Dataset", "question_lines", "read_any_corpus", "read_dataset", "read_more_questions", "read_records_of"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Questions by split, the passages of their corpus, and the name of the format that was recognised.

    `partial` lists the records, as file and number, that name a supporting passage which is neither among their own nor
    found by its title in the corpus. The evidence of their questions is unknown.
    """

    questions: Mapping[str, tuple[Question, ...]]
    passages: tuple[Passage, ...]
    format: str
    partial: tuple[str, ...] = ()


def read_dataset(
    questions: Path,
    corpus: Path | None = None,
    *,
    split: str = "test",
    skipped: list[str] | None = None,
    passages_elsewhere: bool = False,
) -> Dataset:
    """Reads a question file with its corpus, or with the passages in its records.

    Args:
        questions: JSON, JSONL or Parquet, plain or gzipped, in any format of `upstream_records.FORMATS`.
        corpus: JSONL or JSON; without it the records must contain their passages.
        split: for records that name no split.
        skipped: if given, bad records are left out and their errors are added to this list.
        passages_elsewhere: the passages are in an index, so none are needed here; evidence is then left out.

    Raises:
        QuestionError: with file and record, for an unknown format or an invalid record.
    """
    lines, carried, name = _read_lines(questions, split, skipped)
    passages = read_any_corpus(corpus, skipped=skipped) if corpus else tuple(carried[key] for key in sorted(carried))
    if not passages and not passages_elsewhere:
        raise QuestionError(f"{questions}: these questions contain no passages; give their corpus too")
    if not passages:
        lines = [(where, _without_evidence(line)) for where, line in lines]
    titles = {passage.id: passage.title for passage in passages}
    if corpus and carried:
        _point_at(lines, carried, passages)
    partial = _complete(lines, passages) if passages else ()
    return Dataset(questions_from_lines(questions, lines, titles, skipped), passages, name, partial)


def question_lines(
    questions: Path, skipped: list[str] | None = None, *, split: str = "test"
) -> tuple[list[tuple[str, dict[str, Any]]], dict[str, Passage]]:
    """The records of a question file in our layout, as they are, and the passages that they contain by id.

    Supporting passages are not looked up: `metadata.supporting_ids` may name any id, and holds a `MissingPassage` where
    a record names a passage that it does not contain.
    """
    lines, carried, _ = _read_lines(questions, split, skipped)
    return lines, carried


def read_more_questions(path: Path, passages: Sequence[Passage], *, split: str) -> tuple[Question, ...]:
    """The questions of a file over passages that were read already; all of them get one split.

    Raises:
        QuestionError: with file and record, for an unknown format, an invalid record, or evidence that is not among the
            passages.
    """
    lines, carried, _ = _read_lines(path, split, None)
    if not passages:
        lines = [(where, _without_evidence(line)) for where, line in lines]
    _point_at(lines, carried, passages)
    _complete(lines, passages)
    for where, line in lines:
        if not isinstance(line["metadata"], dict):
            raise QuestionError(f"{where}: metadata must be an object; fix the line")
        line["metadata"]["split"] = split
    return questions_from_lines(path, lines, {passage.id: passage.title for passage in passages}, None)[split]


def _read_lines(
    questions: Path, split: str, skipped: list[str] | None
) -> tuple[list[tuple[str, dict[str, Any]]], dict[str, Passage], str]:
    """Records in our layout with their file and number, the passages that they contain, the name of their format."""
    lines: list[tuple[str, dict[str, Any]]] = []
    carried: dict[str, Passage] = {}
    name = ""
    for where, record in read_records_of(questions, skipped):
        upstream = next((known for known in FORMATS if known.recognise(record)), None)
        try:
            if upstream is None:
                fields = ", ".join(sorted(map(str, record))[:8])
                has = f"fields {fields}" if fields else "it has no fields"
                raise QuestionError(f"{where}: a record of no known question format ({has}); see docs/data.md")
            line, own = upstream.convert(record)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, QuestionError) as error:
            message = (
                f"{where}: {upstream.name} record that cannot be read ({error!r}); fix it" if upstream else str(error)
            )
            if skipped is None:
                raise QuestionError(message) from error
            skipped.append(message)
            continue
        name = name or upstream.name
        if isinstance(line.get("metadata"), dict):
            line["metadata"].setdefault("split", split)
        elif line.get("metadata") is None:
            line["metadata"] = {"split": split}
        lines.append((where, line))
        carried.update((passage.id, passage) for passage in own)
    return lines, carried, name


def _without_evidence(line: dict[str, Any]) -> dict[str, Any]:
    metadata = line["metadata"]
    if not isinstance(metadata, dict):
        return line  # refused later, with its file and line number
    return line | {"metadata": {key: value for key, value in metadata.items() if not key.startswith("supporting_ids")}}


def _point_at(
    lines: Iterable[tuple[str, dict[str, Any]]], carried: Mapping[str, Passage], passages: Iterable[Passage]
) -> None:
    """Replaces ids of passages from the records by the ids of equal passages, by title and text, in the corpus.

    A passage whose text is not in the corpus counts as missing from the record; its title may still find it.
    """
    known = {passage_from_text(passage.title, passage.text).id: passage.id for passage in passages}
    unique = ids_by_title(passages)
    for _, line in lines:
        hops = line["metadata"].get("supporting_ids") if isinstance(line["metadata"], dict) else None
        if isinstance(hops, list):
            line["metadata"]["supporting_ids"] = [
                known.get(key) or unique.get(carried[key].title, key)
                if isinstance(key, str) and key in carried
                else key
                for key in hops
            ]


def _complete(lines: Iterable[tuple[str, dict[str, Any]]], passages: Iterable[Passage]) -> tuple[str, ...]:
    """Looks up missing supporting passages by title; returns the records whose evidence stays unknown."""
    by_title = ids_by_title(passages)
    return tuple(where for where, line in lines if not complete_evidence(line, by_title))


def read_any_corpus(path: Path, *, skipped: list[str] | None = None) -> tuple[Passage, ...]:
    """Passages of our layout, of a JSON list of {"title", "text"}, or of a JSON object title -> sentences."""
    value = whole_json(path, skipped)
    if value is None:
        corpus = read_corpus(path, skip_bad=skipped is not None)
        if skipped is not None:
            skipped += corpus.skipped
        return corpus.passages
    found: dict[str, Passage] = {}
    form, places = value
    for place, item in places:
        passage: Passage | None
        if form == "object" and isinstance(item, list) and all(isinstance(part, str) for part in item):
            passage = passage_from_text(str(place), "".join(item))
        elif isinstance(item, dict) and isinstance(text := item.get("text", item.get("paragraph_text")), str):
            passage = passage_from_text(str(item.get("title", "")), text)
            key = id_of(item)
            passage = Passage(key, passage.title, passage.text) if isinstance(key, str) and key.strip() else passage
        else:
            passage = None
        reason = _refused(passage, found)
        if passage is not None and reason is None:
            found[passage.id] = passage
        elif skipped is None:
            raise CorpusError(f"{path}[{place!r}]: {reason}")
        else:
            skipped.append(f"{path}[{place!r}]: {reason}")
    if not found:
        raise CorpusError(f"{path}: no passages; give a JSONL file with one passage a line")
    return tuple(found.values())


def _refused(passage: Passage | None, found: Mapping[str, Passage]) -> str | None:
    """Why a passage of a JSON corpus cannot be used; None if it can."""
    if passage is None:
        return "no passage with title and text; give JSONL, see docs/data.md"
    if has_lone_surrogate((passage.id, passage.title, passage.text)):
        return "the passage contains a lone surrogate; fix it"
    if found.get(passage.id, passage) != passage:
        return f"duplicate id {passage.id!r}; give each passage a unique id"
    return None
