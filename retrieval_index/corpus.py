"""Passages, and reading and writing them as JSONL."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .data_files import numbered_lines
from .errors import BerrypickError, system_reason
from .json_text import parse_json
from .plain_text import encodable

__all__ = [
    "Corpus",
    "CorpusError",
    "Passage",
    "corpus_sha256",
    "has_lone_surrogate",
    "id_of",
    "jsonl_lines",
    "jsonl_object",
    "parse_passage",
    "passage_from_text",
    "read_corpus",
    "read_jsonl",
    "split_contents",
    "write_corpus",
]


class CorpusError(BerrypickError):
    """A line of a data file that cannot be used; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Passage:
    """The unit of retrieval."""

    id: str
    title: str
    text: str

    @property
    def contents(self) -> str:
        """The text that is indexed: the title, if any, and the passage text."""
        return f"{self.title}\n{self.text}" if self.title else self.text


@dataclass(frozen=True, slots=True)
class Corpus:
    """Passages of a file, and one message for each line that was skipped."""

    passages: tuple[Passage, ...]
    skipped: tuple[str, ...] = ()


_CURE = "fix the line, or skip bad lines with --skip-bad"


def read_jsonl(
    path: Path, *, skipped: list[str] | None = None, cure: str = _CURE
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the objects of a JSONL file, plain or gzipped, with their line numbers; skips blank lines.

    Args:
        path: the file.
        skipped: if set, bad lines are skipped and their messages appended here.
        cure: end of the error message; what the user can do.

    Raises:
        CorpusError: the file cannot be read, or a line is no JSON object.
    """
    for number, line in jsonl_lines(path):
        try:
            value = jsonl_object(path, number, line, cure)
        except CorpusError as error:
            if skipped is None:
                raise
            skipped.append(str(error))
            continue
        yield number, value


def read_corpus(path: Path, *, skip_bad: bool = False) -> Corpus:
    """Reads passages from JSONL.

    A line is {"id", "title", "text"}, or {"id", "contents"} with the title in double quotes on the first line (the
    Search-R1 and FlashRAG convention); if a line has both, title and text win. See `id_of` for the forms of ids.

    Args:
        path: JSONL, plain or gzipped.
        skip_bad: skip bad lines and list them, instead of raising.

    Raises:
        CorpusError: with file and line, for bad JSON, a missing, empty or mistyped field, a duplicate id or a lone
            surrogate.
    """
    passages: list[Passage] = []
    skipped: list[str] = []
    seen: set[str] = set()
    for number, line in jsonl_lines(path):
        try:
            passage = parse_passage(path, number, jsonl_object(path, number, line))
            if passage.id in seen:
                raise _bad(path, number, f"duplicate id {passage.id!r}", "give each passage a unique id")
        except CorpusError as error:
            if not skip_bad:
                raise
            skipped.append(str(error))
            continue
        seen.add(passage.id)
        passages.append(passage)
    if not passages:
        raise CorpusError(f"{path}: no passages; give a JSONL file with one passage per line")
    return Corpus(tuple(passages), tuple(skipped))


def write_corpus(path: Path, passages: Iterable[Passage]) -> None:
    """Writes {"id", "title", "text"} lines, compressed if the name ends with .gz; equal passages give equal bytes."""
    body = "".join(
        json.dumps({"id": p.id, "title": p.title, "text": p.text}, ensure_ascii=False) + "\n" for p in passages
    ).encode()
    path.write_bytes(gzip.compress(body, mtime=0) if path.suffix == ".gz" else body)


def corpus_sha256(passages: Iterable[Passage]) -> str:
    """Digest of ids, titles and texts in id order; independent of the order of the passages."""
    digest = hashlib.sha256()
    for passage in sorted(passages, key=lambda p: p.id):
        digest.update(json.dumps([passage.id, passage.title, passage.text]).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def jsonl_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields the lines of a file, plain or gzipped, that are not blank, with their numbers.

    Raises:
        CorpusError: the file cannot be read.
    """
    try:
        yield from numbered_lines(path)
    except (OSError, EOFError, zlib.error) as error:
        reason = system_reason(error)
        raise CorpusError(f"cannot read {path}: {reason}; give a JSONL file, plain or gzipped") from error


def jsonl_object(path: Path, number: int, line: bytes, cure: str = _CURE) -> dict[str, Any]:
    """The JSON object of a line; raises `CorpusError` with file and line if it is none."""
    try:
        value = parse_json(line)
    except ValueError as error:  # bad JSON, bad UTF-8, an integer of 5000 digits
        raise _bad(path, number, f"not valid JSON ({error})", cure) from error
    if not isinstance(value, dict):
        raise _bad(path, number, "not a JSON object", cure)
    return value


def parse_passage(path: Path, number: int, line: dict[str, Any]) -> Passage:
    """The passage of a JSON object; raises `CorpusError` with file and line, see `read_corpus`."""
    key = id_of(line)
    if not isinstance(key, str) or not key.strip():
        raise _bad(path, number, "id must be a non-empty string or a whole number")
    title, text = line.get("title"), line.get("text")
    if text is None and isinstance(line.get("contents"), str):
        title, text = split_contents(line["contents"])
    for name, value in (("title", title if title is not None else ""), ("text", text)):
        if not isinstance(value, str):
            raise _bad(path, number, f"{name} must be a string")
        if has_lone_surrogate(value):
            raise _bad(path, number, f"{name} contains a lone surrogate")
    assert isinstance(text, str)
    if not text.strip():
        raise _bad(path, number, "text is empty")
    if has_lone_surrogate(key):
        raise _bad(path, number, "id contains a lone surrogate")
    return Passage(key, title or "", text)


def passage_from_text(title: str, text: str) -> Passage:
    """A passage whose id is a digest of its title and text without white space, so that ids are reproducible."""
    title, text = " ".join(title.split()), " ".join(text.split())
    key = hashlib.sha1("".join(f"{title}{text}".split()).encode("utf-8", "replace"), usedforsecurity=False)
    return Passage(f"p-{key.hexdigest()[:12]}", title, text)


def id_of(line: Mapping[str, Any]) -> object:
    """The id in a line: `id`, or else `_id` (BEIR), `doc_id` or `docid`; a whole number is its decimal text."""
    key = next((line[name] for name in ("id", "_id", "doc_id", "docid") if line.get(name) is not None), None)
    return str(key) if isinstance(key, int) and not isinstance(key, bool) else key


def split_contents(contents: str) -> tuple[str, str]:
    """Title and text of a Search-R1 `contents`: the first line, in double quotes, is the title."""
    first, newline, rest = contents.partition("\n")
    if not newline:
        return "", contents
    return first.strip().removeprefix('"').removesuffix('"'), rest


def has_lone_surrogate(value: object) -> bool:
    """Whether any text in a JSON value, keys included, holds half of a UTF-16 pair, which UTF-8 cannot encode."""
    open_values = [value]
    while open_values:
        item = open_values.pop()
        if isinstance(item, str):
            if encodable(item) != item:
                return True
        elif isinstance(item, Mapping):
            open_values += (*item.keys(), *item.values())
        elif isinstance(item, list | tuple):
            open_values += item
    return False


def _bad(path: Path, number: int, reason: str, cure: str = _CURE) -> CorpusError:
    return CorpusError(f"{path}:{number}: {reason}; {cure}")
